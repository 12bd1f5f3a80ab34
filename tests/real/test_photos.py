"""A folder of photographs → people, with the real detector, recogniser and link model."""

import csv
from pathlib import Path

import numpy as np
import pytest

from facelink.clustering import LinkageClustering
from facelink.metrics import pairwise_scores
from facelink.photos.finding import find_photos
from facelink.photos.pipeline import FaceReader
from facelink.photos.records import PhotoFaces

DATA = Path(__file__).parents[2].parent / "shared" / "data"

COUNTED_OTHERWISE = {"photo_012.jpg": 4, "photo_013.jpg": 16}
"""Photographs in which this detector is sure of more faces than the index counts: small ones."""

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not DATA.is_dir(), reason="no photographs in ../shared/data"),
]


@pytest.fixture(scope="module")
def index():
    """Number of faces and, for a face alone, the person, by file name."""
    with (DATA / "photos" / "index.csv").open(newline="") as stream:
        return {row["file"]: row for row in csv.DictReader(stream)}


@pytest.fixture(scope="module")
def photos(index):
    """Every photograph as read on two threads, by file name."""
    reader = FaceReader.default(DATA / "face-models")
    files = list(find_photos(DATA / "photos" / name for name in index))
    outcomes = list(reader.scan(files, n_workers=2))
    assert all(isinstance(one, PhotoFaces) for one in outcomes)
    return {one.file.path.name: one for one in outcomes}


def test_as_many_faces_as_the_index_counts(index, photos):
    expected = {name: int(row["n_faces"]) for name, row in index.items()} | COUNTED_OTHERWISE
    sure = {
        name: sum("uncertain" not in face.junk_reasons for face in photo.faces)
        for name, photo in photos.items()
    }
    differing = {name: (sure[name], n) for name, n in expected.items() if sure[name] != n}
    assert differing == {}


def test_the_same_to_the_bit_on_one_thread_and_on_two(photos):
    reader = FaceReader.default(DATA / "face-models", n_threads=1)
    for name in ("photo_001.jpg", "photo_021.png", "photo_046.jpg"):
        alone = reader.read(photos[name].file)
        assert isinstance(alone, PhotoFaces)
        assert len(alone.faces) > 0
        for one, other in zip(alone.faces, photos[name].faces, strict=True):
            np.testing.assert_array_equal(one.feature, other.feature)
            np.testing.assert_array_equal(one.landmarks, other.landmarks)
            assert one.thumbnail == other.thumbnail
            assert (one.sharpness, one.junk_reasons) == (other.sharpness, other.junk_reasons)


def test_people_alone_come_out_whole_and_unmixed(index, photos):
    faces = [(name, face) for name, photo in photos.items() for face in photo.faces]
    labels = LinkageClustering().fit_predict(np.stack([face.feature for _, face in faces]))
    alone = [
        row
        for row, (name, face) in enumerate(faces)
        if index[name]["person"] and "uncertain" not in face.junk_reasons
    ]
    people = np.unique([index[faces[row][0]]["person"] for row in alone], return_inverse=True)[1]
    assert len(alone) == sum(row["person"] != "" for row in index.values())
    scores = pairwise_scores(people, labels[alone])
    assert (scores.precision, scores.recall) == (1, 1)
