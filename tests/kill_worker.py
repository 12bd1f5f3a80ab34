"""Changes an album until it is killed: for each line "folder seed" of input in a child process.

The child's number goes to the output first, then for every decision, once it is committed, its own
number and those of the two faces.
"""

import os
import sys

import numpy as np

from facelink.album.additions import add_faces, embedding_model
from facelink.album.decisions import name_person, say_different, say_same
from facelink.album.forget import forget_person
from facelink.album.history import undo
from facelink.album.library import edit_album
from facelink.album.queries import decisions, people
from facelink.album.records import NewFace
from facelink.album.update import update_album
from facelink.models.context_gcn import ContextGCN
from tests.helpers import clustered_features

LINK_MODEL = ContextGCN.pretrained()


def change(folder: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    features, _ = clustered_features(10, 200, n_features=32, spread=0.45)
    while True:
        with edit_album(folder, "a test of killing") as album:
            model = embedding_model(album, "made up", 32)
            rows = features[random.integers(len(features), size=20)]
            faces = add_faces(album, model, [NewFace(row) for row in rows])
            update_album(album, LINK_MODEL)
            first, second, third = random.choice(faces, 3, replace=False).tolist()
            for decide, other in ((say_different, second), (say_same, third)):
                decide(album, first, other)
                say(f"{decisions(album)[-1].id} {first} {other}")
            found = people(album)
            name_person(album, found[0].id, f"name {seed}")
            undo(album)
            if len(found) > 4:
                forget_person(album, found[-1].id)


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


def main() -> None:
    for line in sys.stdin:
        folder, seed = line.split()
        child = os.fork()
        if child == 0:
            say(f"pid {os.getpid()}")
            change(folder, int(seed))
        os.waitpid(child, 0)
        say("killed")


if __name__ == "__main__":
    main()
