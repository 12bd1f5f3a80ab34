"""The folder of a run: known by a file in it, and used by one process at a time."""

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from facelink.album.lock import write_lock
from facelink.errors import InputError, OutputError
from facelink.files import make_folder, write_json

STAGES = ("features", "neighbors", "likelihoods", "links", "labels")
"""Names of the stages and of their folders, in order."""

REPORT_JSON, REPORT_PAGE = "report.json", "report.md"
"""Names of what the last run that ended has found."""

_MARK, _LOCK = "run.json", "lock.sqlite"
_FORMAT = "facelink.run"


@contextlib.contextmanager
def work_folder(folder: Path) -> Iterator[None]:
    """Hold a run's folder while the block runs.

    It is made if it is missing. What a killed process left half written is
    removed.

    Parameters
    ----------
    folder
        The folder.

    Raises
    ------
    InputError
        If something else than the folder of a run is there.
    OutputError
        If it cannot be written, or another process uses it; the message says
        which.
    """
    check_is_run(folder)
    try:
        make_folder(folder)
    except OSError as error:
        raise OutputError(
            f"cannot make the folder {folder}: {error.strerror or error}; choose another place."
        ) from error
    with write_lock(folder / _LOCK, "facelink run"):
        write_json(folder / _MARK, {"format": _FORMAT, "stages": list(STAGES)})
        for place in (folder, *(folder / stage for stage in STAGES)):
            for left in place.glob(".*.part*"):
                left.unlink(missing_ok=True)
        yield


def forget(folder: Path) -> None:
    """Remove what earlier runs have left: all stages and the report.

    Raises
    ------
    OutputError
        If something cannot be removed; it would be kept as if it were of the new run.
    """
    for name in (*STAGES, REPORT_JSON, REPORT_PAGE):
        path = folder / name
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(
                f"cannot remove {path}: {error.strerror or error}; remove it by hand, or give "
                "another folder for --work."
            ) from error


def check_is_run(folder: Path) -> None:
    """Raise `InputError` if something else than a run is there, or a folder with other things."""
    mark = folder / _MARK
    try:
        is_run = json.loads(mark.read_text(encoding="utf-8")).get("format") == _FORMAT
    except (OSError, ValueError, AttributeError, RecursionError):
        is_run = False
    if not folder.exists() or is_run:
        return
    if not folder.is_dir():
        raise InputError(f"{folder} is a file; give the name of a folder for --work.")
    others = [path.name for path in folder.iterdir() if not path.name.startswith((".", "lock."))]
    if others:
        raise InputError(
            f"{folder} holds {others[0]!r} and is not the folder of a run; give an empty or a new "
            "folder for --work."
        )
