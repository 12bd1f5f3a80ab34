"""A report as a folder: the page, the Markdown, its figures and the records it is made of."""

import contextlib
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from facelink.benchmark.document import Document
from facelink.benchmark.report.cells import check_document, check_name
from facelink.benchmark.report.html import GENERATOR, document_html
from facelink.benchmark.report.markdown import FIGURES_FOLDER, document_markdown
from facelink.errors import OutputError
from facelink.files import check_writable, sync_folder, write_json, write_text

PAGE_NAME = "index.html"
MARKDOWN_NAME = "report.md"
RECORDS_FOLDER = "records"

_MARK = f'<meta name="generator" content="{GENERATOR}">'


def write_report(
    folder: Path | str, document: Document, records: Mapping[str, Any] | None = None
) -> None:
    """Write a report into a folder, whole or not at all.

    Parameters
    ----------
    folder
        Gets ``index.html``, ``report.md``, ``figures/NAME.svg`` and
        ``records/NAME.json``. A report that is there already is replaced,
        with everything in it.
    document
        What it says.
    records
        What programs may want to read, by name, as JSON-serialisable values.

    Raises
    ------
    InputError
        If tables have ragged rows, or names clash or do not serve as file names.
    OutputError
        If the folder holds anything but a report, or cannot be written. What
        stood there before is unchanged.
    """
    folder = Path(folder)
    records = records or {}
    check_document(document)
    for name in records:
        check_name(name, "records")
    check_report_folder(folder)
    made = _neighbor(folder)
    try:
        _fill(made, document, records)
        _replace(folder, made)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def check_report_folder(folder: Path | str) -> None:
    """Fail before long work starts if a report could not be written into a folder after it.

    Raises
    ------
    OutputError
        If there is a file of that name or a folder that holds anything but a
        report, or if the folder around it cannot be written.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"cannot write report {folder}: it is a file; give the name of a folder.")
    if folder.is_dir():
        _check_is_report(folder)
    check_writable(_neighbor(folder))


def _check_is_report(folder: Path) -> None:
    """Raise `OutputError` if replacing the folder would lose what no report put there."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not _is_of_report(path, name):
            raise OutputError(
                f"cannot write report {folder}: the folder holds {name}, which is not part of a "
                "report; choose a new folder, or move the file away."
            )


def _is_of_report(path: Path, name: str) -> bool:
    """Whether a report of this program puts something of this name there."""
    if path.is_symlink():
        return False
    if path.is_dir():
        return name in (FIGURES_FOLDER, RECORDS_FOLDER)
    if name == PAGE_NAME:
        with path.open(encoding="utf-8", errors="replace") as page:
            return _MARK in page.read(1_000)
    parts = (path.parent.name, path.suffix)
    is_part = name.count("/") == 1 and parts in (
        (FIGURES_FOLDER, ".svg"),
        (RECORDS_FOLDER, ".json"),
    )
    in_report = (path.parents[name.count("/")] / PAGE_NAME).exists()
    return in_report and (is_part or name == MARKDOWN_NAME)


def _fill(folder: Path, document: Document, records: Mapping[str, Any]) -> None:
    for section in document.sections:
        for figure in section.figures:
            write_text(folder / FIGURES_FOLDER / f"{figure.name}.svg", figure.svg + "\n")
    for name, record in records.items():
        write_json(folder / RECORDS_FOLDER / f"{name}.json", record)
    write_text(folder / MARKDOWN_NAME, document_markdown(document))
    write_text(folder / PAGE_NAME, document_html(document))


def _replace(folder: Path, made: Path) -> None:
    """Put the folder just made in place of another one, or of none."""
    old = _neighbor(folder)
    try:
        if folder.exists():
            folder.replace(old)
        made.replace(folder)
    except OSError as error:
        if old.exists():
            with contextlib.suppress(OSError):
                old.replace(folder)
        raise OutputError(
            f"cannot write report {folder}: {error.strerror or error}. What stood there before is "
            "unchanged; choose another place."
        ) from error
    sync_folder(folder.absolute().parent)
    shutil.rmtree(old, ignore_errors=True)


def _neighbor(folder: Path) -> Path:
    """Make up a hidden name beside the folder that nothing else uses."""
    folder = folder.absolute()
    return folder.parent / f".{folder.name[:32]}.{secrets.token_hex(4)}.part"
