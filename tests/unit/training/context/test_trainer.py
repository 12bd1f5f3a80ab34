import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from facelink.errors import InputError, OutputError
from facelink.models.context_gcn import ContextGCN
from facelink.training.context.settings import ContextTrainingSettings
from facelink.training.context.trainer import HISTORY_NAME, check_same_faces, train_context_gcn
from facelink.training.face_sets import FaceSet
from tests.helpers import clustered_features

SETTINGS = ContextTrainingSettings(
    n_rounds=6,
    learning_rate=0.001,
    round_draws=4,
    draw_pivots=128,
    batch_pivots=16,
    max_k=20,
    max_faces=400,
    made_up_share=0.0,
    validation_share=0.4,
    validation_draws=10,
)


def face_sets(n_features=24, name="one"):
    return {name: [FaceSet("people", *clustered_features(40, 8, n_features, spread=0.7))]}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Folder and report of a short run, and the rounds that were told."""
    folder, told = tmp_path_factory.mktemp("context") / "model", []
    report = train_context_gcn(
        face_sets(), SETTINGS, folder, on_round=lambda number, loss: told.append((number, loss))
    )
    return folder, report, told


def test_it_learns(trained):
    _, report, told = trained
    assert [number for number, _ in told] == [1, 2, 3, 4, 5, 6]
    assert tuple(loss for _, loss in told) == report.losses
    share = report.validation.linked_share
    knowing_the_share = -share * np.log(share) - (1 - share) * np.log(1 - share)
    assert report.validation.log_loss < 0.8 * knowing_the_share
    assert report.validation.average_precision > 0.9


def test_the_folder_holds_model_and_report(trained):
    folder, report, _ = trained
    assert not ContextGCN.from_pretrained(folder).training
    history = json.loads((folder / HISTORY_NAME).read_text())
    assert history["validation"] == report.validation.as_dict()
    assert history["settings"]["n_rounds"] == 6


def test_the_seed_decides_the_model(tmp_path):
    short = replace(SETTINGS, n_rounds=1, round_draws=2)
    first, again, other = (
        train_context_gcn(face_sets(), replace(short, seed=seed), tmp_path / name)
        for name, seed in (("first", 0), ("again", 0), ("other", 1))
    )
    assert first == again != other
    first, second = (ContextGCN.from_pretrained(tmp_path / name) for name in ("first", "again"))
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


def test_two_embedders_of_the_same_faces(tmp_path):
    both = face_sets() | face_sets(48, "two")
    report = train_context_gcn(both, replace(SETTINGS, n_rounds=1), tmp_path)
    assert np.isfinite(report.losses).all()


class TestSetsThatCannotTrain:
    def test_no_embedder(self):
        with pytest.raises(InputError, match="no embedder"):
            check_same_faces({})

    def test_other_numbers_of_sets(self):
        sets = face_sets()["one"]
        with pytest.raises(InputError, match="2 sets of 'two' but 1 of 'one'"):
            check_same_faces({"one": sets, "two": sets * 2})

    def test_other_faces(self):
        faces = face_sets()["one"][0]
        turned = FaceSet("turned", faces.features, faces.labels[::-1].copy())
        with pytest.raises(InputError, match="turned of 'two' and people of 'one' have different"):
            check_same_faces({"one": [faces], "two": [turned]})

    def test_too_few_people(self):
        few = FaceSet("few", *clustered_features(3, 4, 8))
        with pytest.raises(InputError, match="training needs at least 4 people"):
            check_same_faces({"one": [few]})


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot write"):
        train_context_gcn(face_sets(), SETTINGS, tmp_path / "file" / "model")
