from dataclasses import replace

import numpy as np
import pytest

from facelink import demo
from facelink.clustering import LinkageClustering
from facelink.demo import run_demo
from facelink.features import load_features
from facelink.labels import load_labels
from facelink.metrics import bcubed_scores, clustering_scores
from facelink.models.link_gcn import LinkGCN

FILES = {
    "training.npy",
    "training-people.npy",
    "unseen.npy",
    "unseen-people.npy",
    "labels.csv",
    "model/config.json",
    "model/model.safetensors",
}


@pytest.fixture(scope="module", autouse=True)
def small():
    """A demonstration of the same stages on fewer faces, in a second or two."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "_FACES", replace(demo._FACES, n_faces=600))
        patch.setattr(demo, "_TRAINING", replace(demo._TRAINING, epochs=2))
        patch.setattr(demo, "_WIDTHS", (16, 16))
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    stages, steps, epochs = [], [], []
    report = run_demo(
        folder,
        with_training=True,
        on_stage=stages.append,
        on_step=steps.append,
        on_epoch=lambda number, scores: epochs.append(number),
    )
    return folder, report, stages, steps, epochs


def test_it_leaves_what_it_made(made):
    folder, *_ = made
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*.*")}
    assert files >= FILES


def test_it_tells_how_far_it_is(made):
    _, _, stages, steps, epochs = made
    assert stages == [
        "making faces",
        "grouping people without training, threshold or number of people",
        "training a link model on other people, and grouping by it",
        "comparing with a cosine threshold",
    ]
    assert epochs == [1, 2]
    assert steps[-1].pivots_done == steps[-1].pivots_total


def test_both_are_judged_on_people_that_the_model_has_not_seen(made):
    folder, report, *_ = made
    features, people = (load_features(folder / "unseen.npy"), load_labels(folder / "labels.csv"))
    np.testing.assert_array_equal(LinkageClustering().fit_predict(features), people)
    truth = load_labels(folder / "unseen-people.npy")
    assert report.context_scores == clustering_scores(truth, people)
    by_model = LinkageClustering(folder / "model").fit_predict(features)
    assert report.model_scores == clustering_scores(truth, by_model)
    known = load_features(folder / "training.npy")
    assert not np.isin(features[:, 0], known[:, 0]).any()


def test_the_cosine_threshold_is_the_best_on_the_training_people(made):
    folder, report, *_ = made
    known, people = (
        load_features(folder / "training.npy"),
        load_labels(folder / "training-people.npy"),
    )

    def fscore(threshold):
        labels = LinkageClustering("cosine", merge="threshold", threshold=(1 + threshold) / 2)
        return bcubed_scores(people, labels.fit_predict(known)).fscore

    best = fscore(report.cosine_threshold)
    assert all(best >= fscore(threshold) for threshold in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8))
    assert report.cosine_scores.bcubed.fscore > 0.5


def test_the_same_seed_gives_the_same_figures_even_where_a_demonstration_is_already(made):
    folder, report, *_ = made
    before = LinkGCN.from_pretrained(folder / "model").state_dict()
    again = run_demo(folder, with_training=True)
    assert replace(again, seconds=report.seconds) == report
    after = LinkGCN.from_pretrained(folder / "model").state_dict()
    assert all((after[name] == value).all() for name, value in before.items())


def test_without_training_there_is_no_model(tmp_path):
    report = run_demo(tmp_path)
    assert report.model_scores is None
    assert not (tmp_path / "model").exists()


def test_another_seed_gives_other_people(made, tmp_path):
    run_demo(tmp_path, seed=1)
    others = load_features(tmp_path / "training.npy")
    for name in ("training.npy", "unseen.npy"):
        assert not np.isin(others[:, 0], load_features(made[0] / name)[:, 0]).any()
