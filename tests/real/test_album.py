"""A folder of photographs → an album of people, with the real models, killed and continued."""

import csv
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from facelink.album.audit import audit_album
from facelink.album.library import open_album
from facelink.album.queries import faces_of_photo, photos, placement
from facelink.cli import main
from facelink.errors import InputError
from facelink.metrics import pairwise_scores

DATA = Path(__file__).parents[2].parent / "shared" / "data"
MODELS = DATA / "face-models"

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not DATA.is_dir(), reason="no photographs in ../shared/data"),
]


def add(album, *options):
    """Arguments that add all photographs."""
    return ["album", "add", str(album), str(DATA / "photos"), "--models", str(MODELS), *options]


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    """The shared photographs, scanned at one go and updated."""
    folder = tmp_path_factory.mktemp("album") / "shared.album"
    with pytest.raises(SystemExit, match="0"):
        main(add(folder))
    return folder


def contents(folder):
    """Boxes of the faces in each photograph, by path."""
    with open_album(folder) as opened:
        assert audit_album(opened) == []
        return {
            photo.path: [one.box for one in faces_of_photo(opened, photo.id)]
            for photo in photos(opened)
        }


def test_people_alone_come_out_whole_and_unmixed(album):
    with (DATA / "photos" / "index.csv").open(newline="") as stream:
        person_in = {row["file"]: row["person"] for row in csv.DictReader(stream)}
    true, found = [], []
    with open_album(album) as opened:
        for photo in photos(opened):
            sure = [
                one
                for one in faces_of_photo(opened, photo.id)
                if "uncertain" not in one.junk_reasons
            ]
            if person_in[photo.path.name]:
                [alone] = sure
                place = placement(opened, alone.id)
                true.append(person_in[photo.path.name])
                found.append(-alone.id if place is None else place.person)
    assert len(true) == sum(person != "" for person in person_in.values())
    labels = [np.unique(one, return_inverse=True)[1] for one in (true, found)]
    scores = pairwise_scores(*labels)
    assert (scores.precision, scores.recall) == (1, 1)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal")
def test_a_killed_scan_ends_as_one_that_was_not(album, tmp_path, capsys):
    folder = tmp_path / "killed.album"
    command = f"from facelink.cli import main; main({add(folder, '--workers', '1')})"
    process = subprocess.Popen([sys.executable, "-c", command], stdout=subprocess.DEVNULL)
    while process.poll() is None and n_photos(folder) == 0:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    n_before = n_photos(folder)
    assert 0 < n_before < len(contents(album))
    capsys.readouterr()
    with pytest.raises(SystemExit, match="0"):
        main(add(folder, "--json"))
    facts = json.loads(capsys.readouterr().out)
    assert facts["unchanged"] == n_before
    assert contents(folder) == contents(album)


def n_photos(folder):
    """Photographs that are committed; 0 while there is no album yet."""
    try:
        with open_album(folder) as opened:
            return len(photos(opened))
    except (InputError, sqlite3.OperationalError):
        return 0
