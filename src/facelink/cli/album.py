"""Commands for a library of people on the disk: `facelink album …`."""

import dataclasses
from typing import Annotated

import typer

from facelink.album.audit import album_status, audit_album
from facelink.album.forget import forget_person
from facelink.album.library import open_album
from facelink.album.queries import people as list_people
from facelink.album.queries import person as find_person
from facelink.cli import options
from facelink.cli.album_export import export
from facelink.cli.album_growth import add, import_, update
from facelink.cli.album_opening import AlbumPath, editing
from facelink.cli.options import VariadicCommand
from facelink.cli.output import note, print_facts, print_json, print_table

app = typer.Typer(
    help="Keep people in an album on the disk: names stay, new faces join them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Limit = Annotated[int, typer.Option("--limit", metavar="N", min=1, help="How many to list.")]


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
    opening = editing(album, "audit") if fix else open_album(album)
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
    with editing(album, "forget") as opened:
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
    ("export", export),
    ("audit", audit),
    ("forget", forget),
):
    app.command(_name, cls=VariadicCommand)(_command)
