"""The command `facelink album export`: an album's people for other programs."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from facelink.album.export.faces import (
    ExportedFace,
    chosen_faces,
    find_people,
    people_of,
    read_faces,
)
from facelink.album.export.gallery import check_gallery_size, write_gallery
from facelink.album.export.in_place import write_in_place
from facelink.album.export.links import write_links
from facelink.album.export.report import ExportReport
from facelink.album.export.sidecars import write_sidecars
from facelink.album.export.tables import write_csv, write_parquet
from facelink.album.export.xmp import PhotoRegions, photo_regions
from facelink.album.library import Album, open_album
from facelink.album.queries import photos, places
from facelink.cli import options
from facelink.cli.album_opening import AlbumPath, editing
from facelink.cli.output import note, print_facts, print_json
from facelink.cli.photos import note_problems
from facelink.errors import InputError
from facelink.files import check_writable

_MIN_FACES_SHOWN = 3
"""Faces that a person without a name needs for a folder or a place in the gallery."""

_NOTHING_CHOSEN = (
    "nothing to export chosen; give one or more of --csv FILE, --parquet FILE, --links DIR, --xmp, "
    "--xmp-dir DIR, --in-place and --gallery FILE."
)


@dataclass(frozen=True)
class _Choice:
    """What was asked for, whatever the form."""

    album: Album
    faces: list[ExportedFace]
    people: frozenset[int] | None
    min_faces: int | None
    write: bool

    def rows(self, default_min_faces: int) -> list[ExportedFace]:
        """Faces to export."""
        min_faces = default_min_faces if self.min_faces is None else self.min_faces
        return chosen_faces(self.faces, self.people, min_faces)

    def shown(self) -> list[ExportedFace]:
        """Faces of people who are shown: not of those left out of lists, unless asked for."""
        states = ("person",) if self.people is None else ("person", "hidden")
        return [face for face in self.rows(_MIN_FACES_SHOWN) if face.state in states]

    def regions(self) -> list[PhotoRegions]:
        """Regions of every photograph."""
        return list(photo_regions(photos(self.album), self.faces, self.people, places(self.album)))


def export(
    album: AlbumPath,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", help="One row a face, safe for spreadsheets."),
    ] = None,
    parquet: Annotated[
        Path | None, typer.Option("--parquet", metavar="FILE", help="One row a face.")
    ] = None,
    links: Annotated[
        Path | None,
        typer.Option(
            "--links",
            metavar="DIR",
            help="A folder for each person with links to the photographs. Run again, it is "
            "brought up to date; what facelink did not make there stays.",
        ),
    ] = None,
    copies: Annotated[
        bool, typer.Option("--copies", help="Copy the photographs instead of linking them.")
    ] = False,
    xmp: Annotated[
        bool,
        typer.Option(
            "--xmp",
            help="Face regions of people with names (MWG-RS, as digiKam and Immich read them) in "
            "sidecars beside the photographs: photo.jpg.xmp.",
        ),
    ] = False,
    xmp_dir: Annotated[
        Path | None,
        typer.Option("--xmp-dir", metavar="DIR", help="Put the sidecars below this folder."),
    ] = None,
    in_place: Annotated[
        bool,
        typer.Option(
            "--in-place",
            help="Write face regions into the photographs themselves (JPEG, PNG) instead, after "
            "copying each to photo.jpg.original.",
        ),
    ] = False,
    backup: Annotated[
        Path | None,
        typer.Option("--backup", metavar="DIR", help="Put those copies below this folder."),
    ] = None,
    gallery: Annotated[
        Path | None,
        typer.Option("--gallery", metavar="FILE", help="A page with everyone's faces (.html)."),
    ] = None,
    limit: Annotated[
        int,
        typer.Option(
            "--limit", metavar="N", min=1, help="Faces of each person in the gallery, at most."
        ),
    ] = 60,
    people: Annotated[
        list[str] | None,
        typer.Option(
            "--people",
            metavar="NAME|NUMBER …",
            help="Only these people. [default: all; in tables, faces of nobody too]",
        ),
    ] = None,
    min_faces: Annotated[
        int | None,
        typer.Option(
            "--min-faces",
            metavar="N",
            min=1,
            help="People without a name need so many faces. [default: 3 for --links and "
            "--gallery, otherwise 1]",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List what would be written; write nothing.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Give an album's people to other programs. Photographs are touched by --in-place only.

    Run it again after naming and merging: sidecars and links are brought up to date. What
    it writes holds names; treat it like the album.

    Example: facelink album export people.album --xmp --gallery people.html
    """
    forms: dict[str, Callable[[_Choice], ExportReport]] = {}
    if csv is not None:
        forms["csv"] = _table(csv, write_csv)
    if parquet is not None:
        forms["parquet"] = _table(parquet, write_parquet)
    if gallery is not None:
        forms["gallery"] = _page(gallery, limit)
    if links is not None:
        forms["links"] = lambda choice: write_links(
            links, people_of(choice.shown()), copies=copies, write=choice.write
        )
    if xmp_dir is not None or (xmp and not in_place):
        forms["xmp"] = lambda choice: write_sidecars(choice.regions(), xmp_dir, write=choice.write)
    if in_place:
        forms["in_place"] = lambda choice: write_in_place(
            choice.album, choice.regions(), backup, write=choice.write
        )
    _check_options(forms, links=links, copies=copies, backup=backup)
    with _opened(album, for_writing=in_place and not dry_run) as opened:
        wanted = None if people is None else find_people(opened, people)
        choice = _Choice(opened, read_faces(opened), wanted, min_faces, not dry_run)
        reports = {name: run(choice) for name, run in forms.items()}
    _print_reports(reports, dry_run=dry_run, as_json=json)
    if any(report.has_failed for report in reports.values()):
        raise typer.Exit(1)


def _check_options(
    forms: dict[str, Any], *, links: Path | None, copies: bool, backup: Path | None
) -> None:
    if not forms:
        raise InputError(_NOTHING_CHOSEN)
    if copies and links is None:
        raise InputError("--copies without --links; say with --links DIR where the copies go.")
    if backup is not None and "in_place" not in forms:
        raise InputError("--backup without --in-place; only that changes photographs.")


def _opened(album: Path, *, for_writing: bool) -> AbstractContextManager[Album]:
    return editing(album, "export") if for_writing else open_album(album)


def _table(
    path: Path, write: Callable[[Path, list[ExportedFace]], None]
) -> Callable[[_Choice], ExportReport]:
    def run(choice: _Choice) -> ExportReport:
        report = _new_file(path)
        if choice.write:
            check_writable(path)
            write(path, choice.rows(1))
        return report

    return run


def _page(path: Path, limit: int) -> Callable[[_Choice], ExportReport]:
    def run(choice: _Choice) -> ExportReport:
        report, people = _new_file(path), people_of(choice.shown())
        if choice.write:
            title = choice.album.folder.resolve().stem
            write_gallery(path, choice.album, people, limit=limit, title=title)
        else:
            check_gallery_size(choice.album, people, limit)
        return report

    return run


def _new_file(path: Path) -> ExportReport:
    report = ExportReport()
    report.add(path, "changed" if path.exists() else "made")
    return report


def _print_reports(reports: dict[str, ExportReport], *, dry_run: bool, as_json: bool) -> None:
    for report in reports.values():
        note_problems(tuple(report.problems))
    if as_json:
        facts = {name: _report_facts(one, with_files=dry_run) for name, one in reports.items()}
        print_json({"dry_run": dry_run, **facts})
        return
    for report in reports.values():
        for change in report.changes if dry_run else ():
            if change.what != "unchanged":
                typer.echo(f"{change.what}: {change.path}")
    lines = {name: _counted(report) for name, report in reports.items()}
    print_facts(lines, as_json=False)
    if dry_run:
        note("nothing was written; run it without --dry-run to do this.")


def _report_facts(report: ExportReport, *, with_files: bool) -> dict[str, Any]:
    facts: dict[str, Any] = dict(report.counts().items())
    facts["problems"] = [{"path": str(one.path), "reason": one.reason} for one in report.problems]
    if with_files:
        facts["files"] = [
            {"path": str(one.path), "what": one.what}
            for one in report.changes
            if one.what != "unchanged"
        ]
    return facts


def _counted(report: ExportReport) -> str:
    parts = [f"{count:,} {what}" for what, count in report.counts().items() if count]
    if report.problems:
        parts.append(f"{len(report.problems):,} left out")
    return ", ".join(parts) or "nothing to do"
