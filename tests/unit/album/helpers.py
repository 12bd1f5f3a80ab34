"""Albums of made-up faces, and shorthand for what stands in them."""

from contextlib import contextmanager
from functools import cache

import numpy as np

from facelink.album.additions import add_faces, embedding_model
from facelink.album.library import edit_album
from facelink.album.records import NewFace
from facelink.album.update import update_album
from facelink.models.context_gcn import ContextGCN
from tests.helpers import clustered_features


@cache
def link_model():
    return ContextGCN.pretrained()


def made_up_people(n_people=8, faces_each=8, seed=0):
    """Features (N, 32) that are easy to tell apart, in random order, and their labels."""
    return clustered_features(n_people, faces_each, n_features=32, seed=seed, spread=0.45)


@contextmanager
def edited(folder):
    with edit_album(folder, "test", create=True) as album:
        yield album


def add(album, features, model_name="made up"):
    """Add faces without photographs; returns their numbers."""
    model = embedding_model(album, model_name, features.shape[1])
    return add_faces(album, model, [NewFace(np.asarray(row, np.float32)) for row in features])


def update(album, **settings):
    return update_album(album, link_model(), **settings)


def people_of(album):
    """Person of each placed face."""
    return dict(album.connection.execute("SELECT face, person FROM memberships"))


def groups_of(album):
    """The sets of faces that people have."""
    groups = {}
    for face, person in people_of(album).items():
        groups.setdefault(person, set()).add(face)
    return set(map(frozenset, groups.values()))


def tables(album):
    """Everything but the history, to compare before and after."""
    names = ("memberships", "people", "decisions", "candidates", "suggestions", "faces")
    return {
        name: album.connection.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall()
        for name in names
    }
