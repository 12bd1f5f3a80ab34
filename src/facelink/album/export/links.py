"""A folder for each person, with links to the photographs that they are in."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from facelink.album.export.faces import ExportedPerson
from facelink.album.export.manifest import (
    MANIFEST,
    Entries,
    Entry,
    LinkKind,
    read_manifest,
    write_manifest,
)
from facelink.album.export.names import UniqueNames, safe_name
from facelink.album.export.report import ExportReport
from facelink.errors import OutputError
from facelink.files import written_beside
from facelink.photos.finding import reason_of


def write_links(
    folder: Path, people: Sequence[ExportedPerson], *, copies: bool = False, write: bool = True
) -> ExportReport:
    """Bring a folder of links up to date.

    Below it each person has a folder with symbolic links to the photographs, or hard links
    where the file system knows no symbolic ones. What was made by an earlier call and is no
    longer wanted is removed; everything else in the folder is the user's and stays. A copy
    or hard link whose photograph is gone stays too, since it may be the last.

    Parameters
    ----------
    folder
        Made if there is none. May be a link to a folder; a link within it is not followed.
    people
        Whom it shall show, and with which faces.
    copies
        Copy the photographs instead.
    write
        Do it; otherwise only report what would be done.

    Raises
    ------
    InputError
        If what is written there about earlier calls is damaged.
    OutputError
        If something cannot be made. What was made until then is known to the next call.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"cannot write links into {folder}: it is a file; give a folder.")
    folder = Path(os.path.realpath(folder))
    report = ExportReport()
    before = read_manifest(folder)
    wanted = _wanted(folder, people, before, copies, report)
    kept = {name: entry for name, entry in before.items() if entry.is_at(folder / name)}
    if write and (wanted or before):
        write_manifest(folder, before | wanted)
    made = _removed(folder, kept, wanted, report, write=write)
    made |= _made(folder, kept, wanted, report, write=write)
    if write and (wanted or before):
        write_manifest(folder, made)
    return report


def _wanted(
    folder: Path,
    people: Sequence[ExportedPerson],
    before: Entries,
    copies: bool,
    report: ExportReport,
) -> Entries:
    """Give every photograph of every person a place."""
    kind: LinkKind = "copy" if copies else "link"
    folders = UniqueNames([MANIFEST, *_not_folders(folder)])
    entries: Entries = {}
    for person in people:
        entry_of = _photographs(person, kind, report)
        if not entry_of:
            continue
        below = folders.take(safe_name(person.title, f"person {person.person}"))
        names = UniqueNames(_users_own(folder / below, before))
        for photo, entry in entry_of.items():
            stem, suffix = os.path.splitext(safe_name(photo.name, "photo"))
            entries[f"{below}/{names.take(stem, suffix)}"] = entry
    return entries


def _photographs(person: ExportedPerson, kind: LinkKind, report: ExportReport) -> dict[Path, Entry]:
    """Photographs with the person, each once, that are still there."""
    found: dict[Path, Entry] = {}
    for photo in dict.fromkeys(face.photo for face in person.faces):
        if photo is None:
            continue
        try:
            status = photo.stat()
        except OSError as error:
            report.complain(photo, reason_of(error))
            continue
        found[photo] = Entry(str(photo), kind, status.st_size, status.st_mtime_ns)
    return found


def _not_folders(folder: Path) -> list[str]:
    """Names in the folder that no person's folder can have."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return [one.name for one in entries if not one.is_dir(follow_symlinks=False)]


def _users_own(below: Path, before: Entries) -> list[str]:
    """Names in a person's folder that exports did not make, or must not remove."""
    if not below.is_dir():
        return []

    def is_free(name: str) -> bool:
        entry = before.get(f"{below.name}/{name}")
        return entry is not None and entry.is_at(below / name) and entry.may_be_removed()

    return [name for name in os.listdir(below) if not is_free(name)]


def _is_same(entry: Entry, wanted: Entry) -> bool:
    """Whether what is there serves; a hard link is what a link became."""
    if entry.photo != wanted.photo or (entry.kind == "copy") != (wanted.kind == "copy"):
        return False
    return entry.kind == "link" or (entry.size, entry.mtime_ns) == (wanted.size, wanted.mtime_ns)


def _removed(
    folder: Path, kept: Entries, wanted: Entries, report: ExportReport, *, write: bool
) -> Entries:
    """Remove what is no longer wanted; returns what has to stay all the same."""
    staying: Entries = {}
    for name, entry in kept.items():
        path = folder / name
        if name in wanted or path.parent.is_symlink():
            continue
        if not entry.may_be_removed():
            report.complain(path, f"kept, since its photograph {entry.photo} is gone")
            staying[name] = entry
            continue
        report.add(path, "removed")
        if write:
            _remove(path)
    return staying


def _remove(path: Path) -> None:
    try:
        path.unlink()
        if not any(path.parent.iterdir()):
            path.parent.rmdir()
    except OSError as error:
        raise OutputError(f"cannot remove {path}: {error.strerror or error}.") from error


def _made(
    folder: Path, kept: Entries, wanted: Entries, report: ExportReport, *, write: bool
) -> Entries:
    """Make what is not there yet; returns all that is there afterwards."""
    made: Entries = {}
    for name, entry in wanted.items():
        path, old = folder / name, kept.get(name)
        made[name] = entry
        if old is not None and _is_same(old, entry):
            made[name] = old
            report.add(path, "unchanged")
            continue
        report.add(path, "made" if old is None else "changed")
        if write:
            made[name] = _placed(path, entry, is_replacing=old is not None)
    return made


def _placed(path: Path, entry: Entry, *, is_replacing: bool) -> Entry:
    """Make one link or copy."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if entry.kind == "copy":
            with written_beside(path) as temporary:
                shutil.copy2(entry.photo, temporary)
            return entry
        if is_replacing:
            path.unlink()
        return _linked(path, entry)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(
            f"cannot make {path}: {error.strerror or error}; where the file system knows no links, "
            "use --copies."
        ) from error


def _linked(path: Path, entry: Entry) -> Entry:
    """Make a symbolic link, or a hard one where the system or the disk refuses or lacks those."""
    try:
        path.symlink_to(entry.photo)
    except FileExistsError:
        raise
    except (OSError, NotImplementedError):
        os.link(entry.photo, path)
        return Entry(entry.photo, "hard link", entry.size, entry.mtime_ns)
    return entry
