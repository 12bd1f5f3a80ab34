"""Commands for a library of people on the disk: `facelink album …`."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from facelink.album.audit import album_status, audit_album
from facelink.album.forget import forget_person
from facelink.album.immich import import_immich
from facelink.album.import_features import import_features, load_ids
from facelink.album.library import DATABASE, Album, edit_album, open_album
from facelink.album.lock import Holder
from facelink.album.queries import people as list_people
from facelink.album.queries import person as find_person
from facelink.album.scan import ScanReport, scan_photos
from facelink.album.update import UpdatePlan, apply_plans, plan_update
from facelink.cli import options
from facelink.cli.options import VariadicCommand
from facelink.cli.output import note, print_facts, print_json, print_table, progress_bar
from facelink.cli.photos import (
    AcceptLicence,
    ModelsFolder,
    PhotoPaths,
    Recogniser,
    Workers,
    face_reader,
    note_problems,
)
from facelink.errors import InputError
from facelink.features import load_features
from facelink.link_prediction import Progress
from facelink.models.context_gcn import ContextGCN
from facelink.models.device import choose_device
from facelink.photos.finding import find_photos
from facelink.photos.pipeline import FaceReader
from facelink.photos.records import PhotoFile

_WAIT_SECONDS = 600.0
"""How long a command waits for another one that writes to the album."""

app = typer.Typer(
    help="Keep people in an album on the disk: names stay, new faces join them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

AlbumPath = Annotated[Path, typer.Argument(metavar="ALBUM", help="The album's folder.")]
Limit = Annotated[int, typer.Option("--limit", metavar="N", min=1, help="How many to list.")]


PhotoEvidence = Annotated[
    bool,
    typer.Option(
        "--photo-evidence/--no-photo-evidence",
        help="Count two faces in one photograph as evidence for two people, as much as the "
        "album's own groups say.",
    ),
]


def add(
    album: AlbumPath,
    paths: PhotoPaths,
    models: ModelsFolder = None,
    recogniser: Recogniser = None,
    accept_insightface_licence: AcceptLicence = False,
    workers: Workers = None,
    update: Annotated[
        bool,
        typer.Option("--update/--no-update", help="Let the faces find their people afterwards."),
    ] = True,
    photo_evidence: PhotoEvidence = True,
    device: options.Device = "auto",
    json: options.Json = False,
) -> None:
    """Add photographs and folders of them; the album is made if there is none.

    What the album knows is not read again, moved photographs keep their faces, and those
    that are gone are marked. If it is interrupted, the next call goes on. Needs
    pip install 'facelink[photos]', and facelink[heif] for HEIC.

    Example: facelink album add people.album ~/Pictures
    """
    _check_photos_for_new(album, paths)
    reader = face_reader(models, recogniser, accept_insightface_licence)
    link_model = ContextGCN.pretrained(choose_device(device)) if update else None
    with _editing(album, "add", create=True) as opened:
        report = _scanned(opened, reader, paths, workers)
        facts = _scan_facts(report)
        if link_model is not None:
            with _judging(opened) as progress:
                plans = plan_update(
                    opened, link_model, with_photo_evidence=photo_evidence, progress=progress
                )
            facts |= _update_facts(plans)
            apply_plans(opened, plans)
    note_problems(report.problems)
    _note_lost(report)
    print_facts(facts, as_json=json)
    if not update:
        note(f"to find out who they are: facelink album update {album}")


def import_(
    album: AlbumPath,
    features: Annotated[
        Path | None,
        typer.Option(
            "--features",
            metavar="F",
            help="Face features, one row per face: .npy, .npz, .bin, .parquet or .safetensors.",
        ),
    ] = None,
    ids: Annotated[
        Path | None,
        typer.Option(
            "--ids",
            metavar="FILE",
            help="What the faces are called, one per line, or a .csv column id. Faces whose id "
            "the album has are left out. [default: the file's name and the row]",
        ),
    ] = None,
    immich: Annotated[
        str | None,
        typer.Option(
            "--immich",
            metavar="postgresql://…",
            help="Read faces from an Immich database instead; nothing is written there.",
        ),
    ] = None,
    model_name: Annotated[
        str | None,
        typer.Option(
            "--model-name",
            metavar="NAME",
            help="What the model that made the features is called: faces of two models are never "
            "compared. [default: features, or immich]",
        ),
    ] = None,
    dim: options.Dim = None,
    json: options.Json = False,
) -> None:
    """Add faces that were embedded elsewhere; the album is made if there is none.

    Example: facelink album import people.album --features faces.npy
    """
    if (features is None) == (immich is None):
        raise InputError("give either --features or --immich: that is where the faces come from.")
    if immich is not None:
        with _editing(album, "import", create=True) as opened:
            imported = import_immich(opened, immich, model_name=model_name or "immich")
        facts = dataclasses.asdict(imported)
    else:
        path = Path(str(features))
        rows = load_features(path, dim=dim)
        names = [f"{path.name}#{row}" for row in range(len(rows))] if ids is None else load_ids(ids)
        with _editing(album, "import", create=True) as opened:
            added = import_features(opened, rows, model_name=model_name or "features", ids=names)
        facts = {"faces_added": len(added), "faces_known": len(rows) - len(added)}
    print_facts(facts, as_json=json)
    note(f"to find out who they are: facelink album update {album}")


def update(
    album: AlbumPath,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would happen; write nothing.")
    ] = False,
    photo_evidence: PhotoEvidence = True,
    device: options.Device = "auto",
    json: options.Json = False,
) -> None:
    """Let new and undecided faces find their people.

    People with names only gain faces, those without may also merge; what the
    user decided is never changed.

    Example: facelink album update people.album --dry-run
    """
    link_model = ContextGCN.pretrained(choose_device(device))
    opening = open_album(album) if dry_run else _editing(album, "update")
    with opening as opened, _judging(opened) as progress:
        plans = plan_update(
            opened, link_model, with_photo_evidence=photo_evidence, progress=progress
        )
        facts = _update_facts(plans)
        listed = [_joining_facts(opened, plan) for plan in plans]
        if not dry_run:
            facts["changes"] = len(apply_plans(opened, plans))
    joinings = [one for joinings in listed for one in joinings]
    if json:
        print_json({**facts, "dry_run": dry_run, "joinings": joinings})
        return
    for one in joinings:
        typer.echo(_joining_line(one))
    print_facts(facts, as_json=False)
    if dry_run:
        note("nothing was written; run it without --dry-run to do this.")


def status(album: AlbumPath, json: options.Json = False) -> None:
    """Count what an album holds.

    Example: facelink album status people.album
    """
    with open_album(album) as opened:
        facts = album_status(opened)
    print_facts(facts, as_json=json)


def people(
    album: AlbumPath,
    limit: Limit = 50,
    hidden: Annotated[
        bool, typer.Option("--hidden", help="Also people who are left out of lists.")
    ] = False,
    json: options.Json = False,
) -> None:
    """List people, those with most faces first.

    Example: facelink album people people.album --limit 10
    """
    with open_album(album) as opened:
        found = list_people(opened, with_hidden=hidden, limit=limit)
    if json:
        print_json([dataclasses.asdict(one) for one in found])
        return
    rows = [(str(one.id), one.name or "–", f"{one.n_faces:,}") for one in found]
    print_table(("person", "name", "faces"), rows)


def audit(
    album: AlbumPath,
    fix: Annotated[bool, typer.Option("--fix", help="Repair what can be repaired.")] = False,
    json: options.Json = False,
) -> None:
    """Look for damage, contradictory decisions and orphans; exit code 1 if any are left.

    Example: facelink album audit people.album --fix
    """
    opening = _editing(album, "audit") if fix else open_album(album)
    with opening as opened:
        findings = audit_album(opened, fix=fix)
        left = audit_album(opened) if fix else findings
    if json:
        print_json([dataclasses.asdict(one) for one in findings])
    for one in () if json else findings:
        state = "repaired" if one not in left else "can be repaired" if one.can_fix else "damage"
        typer.echo(f"{state}: {one.problem}")
    if not findings:
        note("nothing to complain of.")
    if left:
        raise typer.Exit(1)


def forget(
    album: AlbumPath,
    person: Annotated[int, typer.Argument(metavar="PERSON", help="Number of the person.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: options.Json = False,
) -> None:
    """Delete a person for good: faces, features, thumbnails and history. Cannot be undone.

    Example: facelink album forget people.album 12
    """
    with _editing(album, "forget") as opened:
        found = find_person(opened, person)
        named = f"person {person}" + (f" ({found.name})" if found.name else "")
        if not yes:
            typer.confirm(
                f"Delete {named} and {found.n_faces:,} faces for good?", abort=True, err=True
            )
        n_faces = forget_person(opened, person)
    print_facts({"person": person, "faces_deleted": n_faces}, as_json=json)


for _name, _command in (
    ("add", add),
    ("import", import_),
    ("update", update),
    ("status", status),
    ("people", people),
    ("audit", audit),
    ("forget", forget),
):
    app.command(_name, cls=VariadicCommand)(_command)


def _check_photos_for_new(album: Path, paths: list[Path]) -> None:
    """Refuse to make an album of nothing, such as of a misspelt path."""
    is_known = (album / DATABASE).is_file()
    if not is_known and not any(isinstance(one, PhotoFile) for one in find_photos(paths)):
        named = ", ".join(map(str, paths))
        raise InputError(f"no photographs in {named}; check the path, or give other folders.")


def _scanned(
    album: Album, reader: FaceReader, paths: list[Path], n_workers: int | None
) -> ScanReport:
    with progress_bar("reading photographs", 0, "photographs") as advance:
        return scan_photos(
            album,
            reader,
            paths,
            n_workers=n_workers,
            on_progress=lambda progress: advance(1, total=progress.n_total),
        )


def _scan_facts(report: ScanReport) -> dict[str, int]:
    return {
        "photographs_read": report.n_read,
        "unchanged": report.n_unchanged,
        "moved": report.n_moved,
        "copies": report.n_copies,
        "missing": report.n_missing,
        "unreadable": len(report.problems),
        "faces_added": report.n_faces,
        "junk_faces": report.n_junk_faces,
    }


def _note_lost(report: ScanReport) -> None:
    """List faces that the user had said something about, gone with overwritten files."""
    for lost in report.lost:
        whom = lost.name or ("nobody" if lost.person is None else f"person {lost.person}")
        note(
            f"{lost.path} was overwritten: face {lost.face} of {whom} is gone, and "
            f"{lost.n_decisions} decisions about it."
        )


@contextmanager
def _editing(album: Path, command: str, *, create: bool = False) -> Iterator[Album]:
    def tell(holder: Holder | None) -> None:
        note(f"waiting for {holder or 'another process'}, which writes to {album} …")

    with edit_album(
        album,
        f"facelink album {command}",
        create=create,
        wait_seconds=_WAIT_SECONDS,
        on_wait=tell,
    ) as opened:
        yield opened


@contextmanager
def _judging(album: Album) -> Iterator[Progress]:
    n_faces = album_status(album)["faces"]
    with progress_bar("judging faces", n_faces, "faces") as advance:
        yield lambda n_done: advance(n_done)


def _update_facts(plans: list[UpdatePlan]) -> dict[str, int]:
    joinings = [joining for plan in plans for joining in plan.joinings]
    return {
        "faces_placed": sum(len(joining.faces) for joining in joinings),
        "new_people": sum(joining.person is None for joining in joinings),
        "people_merged": sum(
            max(0, len(joining.merged)) for joining in joinings if joining.person is not None
        ),
        "undecided_faces": sum(plan.n_undecided for plan in plans),
        "merge_suggestions": sum(len(plan.suggestions) for plan in plans),
    }


def _joining_facts(album: Album, plan: UpdatePlan) -> list[dict[str, object]]:
    facts: list[dict[str, object]] = []
    for joining in plan.joinings:
        whose = None if joining.person is None else find_person(album, joining.person)
        facts.append(
            {
                "person": joining.person,
                "name": None if whose is None else whose.name,
                "faces": list(joining.faces),
                "merged": list(joining.merged),
            }
        )
    return facts


def _joining_line(facts: dict[str, object]) -> str:
    faces, merged = facts["faces"], facts["merged"]
    n_faces = len(faces) if isinstance(faces, list) else 0
    whom = "new person" if facts["person"] is None else f"person {facts['person']}"
    named = f" ({facts['name']})" if facts["name"] else ""
    parts = [f"{n_faces:,} faces"] if n_faces else []
    parts += [f"person {other}" for other in merged] if isinstance(merged, list) else []
    return f"{whom}{named}: + {', '.join(parts)}"
