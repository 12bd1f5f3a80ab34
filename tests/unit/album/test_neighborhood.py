"""Neighbours and links that an album keeps: what is damaged is as good as missing."""

import numpy as np
import pytest

from facelink.album.evidence import Evidence
from facelink.album.forget import forget_person
from facelink.album.neighborhood import stored_neighborhood
from facelink.album.queries import people
from facelink.files import load_arrays, save_arrays
from tests.unit.album.helpers import add, edited, groups_of, made_up_people, update

FEATURES, _ = made_up_people(3, 8)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """The files of an album whose last update changed nothing."""
    folder = tmp_path_factory.mktemp("kept") / "made-up.album"
    with edited(folder) as album:
        add(album, FEATURES)
        while update(album):
            pass
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def album(kept, folder):
    folder.mkdir()
    for name, content in kept.items():
        (folder / name).write_bytes(content)
    with edited(folder) as opened:
        yield opened


def stored(album):
    return stored_neighborhood(album, album.models()[0])


def test_what_is_sound_is_read_also_where_faces_came_and_went(folder):
    features, _ = made_up_people(12, 10)
    with edited(folder) as album:
        add(album, features[:115])
        update(album)
        assert len(stored(album).faces) == 115
        forget_person(album, people(album)[0].id)
        n_left = len(stored(album).faces)
        assert n_left < 115
        add(album, features[115:])
        update(album)
        assert len(stored(album).faces) == n_left + 5


def numbers(name, value):
    """Another value among the numbers of the last look."""
    return lambda arrays, metadata: metadata["last_look"].update({name: value})


def array(name, change):
    return lambda arrays, metadata: arrays.update({name: change(arrays[name])})


def value(name, new):
    return lambda arrays, metadata: metadata.update({name: new})


DAMAGES = {
    "impostors are text": value("impostors", "[0.1, 0.2"),
    "impostors are two letters": value("impostors", "ab"),
    "impostors are one number": value("impostors", [0.1]),
    "impostors are huge": value("impostors", [0.1, 10**400]),
    "impostors are nothing": value("impostors", None),
    "method is a number": value("method", 3),
    "counts are text": value("n_when_judged", "24"),
    "counts are huge": value("n_when_judged", 10**400),
    "numbers are text": value("last_look", "{"),
    "numbers are a list": value("last_look", [1]),
    "a number is missing": value("last_look", {"bias": 0.0}),
    "bias is text": numbers("bias", "0"),
    "odds are no number": numbers("photo_log_odds", None),
    "odds are endless": numbers("photo_log_odds", float("nan")),
    "learned of text": numbers("n_when_learned", "24"),
    "people of floats": array("people", lambda old: old.astype(np.float64)),
    "people are fewer": array("people", lambda old: old[:-1]),
    "people in a table": array("people", lambda old: old.reshape(-1, 2)),
    "marks are numbers": array("is_named", lambda old: old.astype(np.uint8)),
    "marks are fewer": array("is_set_aside", lambda old: old[:-1]),
    "pairs in a row": array("same", lambda old: np.zeros(3, dtype=np.int64)),
    "pairs of three": array("different", lambda old: np.zeros((2, 3), dtype=np.int64)),
    "a pair without a place": array("different", lambda old: np.int64(3)),
    "rows of floats": array("rows", lambda old: old.astype(np.float32)),
    "rows are fewer": array("rows", lambda old: old[:-1]),
    "rows twice": array("rows", lambda old: np.zeros_like(old)),
    "rows below 0": array("rows", lambda old: old - 1),
    "likelihoods of doubles": array("likelihoods", lambda old: old.astype(np.float64)),
    "likelihoods above 1": array("likelihoods", lambda old: old + 1),
    "likelihoods unknown": array("likelihoods", lambda old: old * np.nan),
    "no columns": lambda arrays, metadata: arrays.update(
        {name: arrays[name][:, :0] for name in ("indices", "similarities", "likelihoods")}
    ),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_what_is_damaged_is_as_good_as_missing(album, damage):
    path = album.neighbors_path(1)
    arrays, metadata = load_arrays(path, "neighbours")
    damage(arrays, metadata)
    save_arrays(path, arrays, metadata)
    assert stored(album) is None
    assert list(Evidence(album)) == []
    before = groups_of(album)
    forget_person(album, people(album)[-1].id)
    assert not path.exists()
    save_arrays(path, arrays, metadata)
    update(album)
    assert groups_of(album) < before
    assert stored(album) is not None
