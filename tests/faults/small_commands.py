"""The command line with a detector and a recogniser that need no files, and one command more."""

from facelink.album.decisions import name_person, say_different, say_same
from facelink.album.history import undo
from facelink.album.library import edit_album
from facelink.album.queries import people, placements
from facelink.cli import main as facelink
from facelink.cli import photos
from tests.unit.photos.fakes import MeanColour, OneFace

N_DECISIONS = 6


def main(arguments):
    """Run a command, in a process of its own: it has other readers of faces from then on."""
    photos.model_file = lambda *_: None
    photos.YuNetDetector = lambda _: OneFace()
    photos.reidentifier = lambda _: MeanColour()
    if arguments[0] == "decide":
        decide(arguments[1])
    else:
        facelink(arguments)


def decide(folder, n_steps=N_DECISIONS):
    """Say things about the people of an album; a line is printed for each that is committed."""
    with edit_album(folder, "a test of killing", wait_seconds=60) as album:
        ids = [one.id for one in people(album, order="id")][:4]
        first, second, third, fourth = (
            [place.face for place in placements(album, one)][:2] for one in ids
        )
        steps = (
            lambda: say_different(album, first[0], second[0]),
            lambda: say_same(album, third[0], fourth[0]),
            lambda: say_different(album, *first),
            lambda: say_same(album, second[1], fourth[1]),
            lambda: undo(album),
            lambda: name_person(album, ids[0], "Ada"),
        )
        for step in steps[:n_steps]:
            step()
            print("done", flush=True)
