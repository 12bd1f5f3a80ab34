import json

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from facelink.calibration import Calibration
from facelink.errors import InputError
from facelink.link_prediction import combine_directions
from facelink.merging.merge import merge_links
from facelink.metrics import bcubed_scores
from facelink.neighbors.graph import MISSING
from facelink.subgraphs import SubgraphSettings
from facelink.training import validation
from facelink.training.face_sets import FaceSet
from facelink.training.validation import (
    THRESHOLDS,
    RegimeScores,
    ValidationScores,
    validate,
    validation_regimes,
)
from tests.helpers import clustered_features, random_model

SUBGRAPHS = SubgraphSettings((8, 3), 3)
SPREAD_OUT = 1.5
"""Spread at which cosines of one person and of strangers overlap."""

SCORE_TOLERANCE = 1e-6
"""Likelihoods are float32."""


def face_set(name="set", n_people=30, faces_each=12, seed=0):
    return FaceSet(name, *clustered_features(n_people, faces_each, 16, seed, SPREAD_OUT))


@pytest.fixture(scope="module")
def regimes():
    return validation_regimes([face_set()], SUBGRAPHS, seed=0)


def judge_by(monkeypatch, likelihood_of):
    """Let `validate` get these likelihoods: a function of is_linked and cosine, (N, k1) each."""

    def predict(model, features, graph, settings):
        regime = next(one for one in predict.regimes if one.collection.graph is graph)
        neighbors = graph.indices[:, : settings.k_at_hop[0]]
        linked = regime.collection.is_linked(np.arange(len(features))[:, None], neighbors)
        cosines = graph.similarities[:, : settings.k_at_hop[0]]
        likelihoods = likelihood_of(linked, np.where(np.isneginf(cosines), 0, cosines))
        return np.where(neighbors == MISSING, np.nan, likelihoods).astype(np.float32)

    monkeypatch.setattr(validation, "predict_likelihoods", predict)

    def run(regimes):
        predict.regimes = regimes
        return validate(None, regimes)

    return run


class TestRegimes:
    def test_each_set_comes_in_three_distributions_of_sizes(self, regimes):
        natural, capped, long_tail = (regime.collection.faces for regime in regimes)
        assert [natural.name, capped.name, long_tail.name] == [
            "set / natural",
            "set / capped",
            "set / long tail",
        ]
        sizes = [
            np.unique(faces.labels, return_counts=True)[1] for faces in (natural, capped, long_tail)
        ]
        assert sizes[0].tolist() == [12] * 30
        assert sizes[1].tolist() == [5] * 30
        assert np.median(sizes[2]) <= 2 < 10 < sizes[2].max()

    def test_several_sets_are_also_mixed(self):
        sets = [face_set("one"), face_set("two", seed=1)]
        regimes = validation_regimes(sets, SUBGRAPHS, seed=0)
        assert len(regimes) == 7
        mixed = regimes[-1].collection.faces
        assert mixed.name == "all sets / mixed"
        assert len(np.unique(mixed.labels)) == 60

    def test_large_sets_are_cut_to_whole_people(self, monkeypatch):
        monkeypatch.setattr(validation, "_MAX_FACES", 70)
        natural = validation_regimes([face_set()], SUBGRAPHS, seed=0)[0].collection.faces
        assert np.unique(natural.labels, return_counts=True)[1].tolist() == [12] * 5

    def test_the_seed_chooses_the_faces(self):
        def capped(seed):
            return validation_regimes([face_set()], SUBGRAPHS, seed)[1].collection.faces.features

        np.testing.assert_array_equal(capped(0), capped(0))
        assert not np.array_equal(capped(0), capped(1))

    def test_cosine_is_scored_on_every_judged_neighbour(self, regimes):
        for regime in regimes:
            faces, graph = regime.collection.faces, regime.collection.graph
            truth, cosines = [], []
            for face, neighbors in enumerate(graph.indices[:, :8]):
                for neighbor in neighbors[neighbors != MISSING]:
                    truth.append(faces.labels[face] == faces.labels[neighbor])
                    cosines.append(float(faces.features[face] @ faces.features[neighbor]))
            expected = average_precision_score(truth, cosines)
            # Cosines that differ by rounding only may change places.
            assert regime.cosine_average_precision == pytest.approx(expected, abs=1e-4)

    def test_one_that_measures_nothing_is_left_out(self):
        lone = FaceSet("lone", face_set().features[:20], np.arange(20))
        regimes = validation_regimes([lone, face_set()], SUBGRAPHS, seed=0)
        assert not any(regime.name.startswith("lone") for regime in regimes)
        assert len(regimes) == 4

    @pytest.mark.parametrize("labels", [np.arange(20), np.zeros(20, dtype=int)], ids=str)
    def test_all_of_them_measure_nothing(self, labels):
        faces = FaceSet("set", face_set().features[:20], labels)
        message = "the 20 validation faces have no two of one person, or none of different people"
        with pytest.raises(InputError, match=message):
            validation_regimes([faces], SUBGRAPHS, seed=0)


class TestScores:
    def test_a_perfect_judge(self, monkeypatch, regimes):
        run = judge_by(monkeypatch, lambda linked, cosines: np.where(linked, 0.99, 0.01))
        for scores in run(regimes).regimes:
            assert scores.loss == pytest.approx(-np.log(0.99), abs=SCORE_TOLERANCE)
            assert scores.link_precision == scores.link_recall == scores.average_precision == 1
        assert run(regimes).worse_than_cosine == ()

    def test_a_judge_that_is_worse_than_cosine_is_told_of(self, monkeypatch, regimes):
        run = judge_by(monkeypatch, lambda linked, cosines: np.where(linked, 0.2, 0.8))
        scores = run(regimes)
        assert scores.worse_than_cosine == tuple(regime.name for regime in regimes)
        assert scores.average_precision < scores.cosine_average_precision
        for regime in scores.regimes:
            assert regime.link_precision == regime.link_recall == 0

    def test_a_judge_that_ranks_as_cosine_does_is_not_worse(self, monkeypatch, regimes):
        run = judge_by(monkeypatch, lambda linked, cosines: cosines / 2)  # exactly
        scores = run(regimes)
        assert scores.worse_than_cosine == ()
        for regime, made in zip(scores.regimes, regimes, strict=True):
            assert regime.average_precision == pytest.approx(made.cosine_average_precision)
            assert regime.cosine_average_precision == made.cosine_average_precision

    def test_links_at_half_a_likelihood_and_above_are_accepted(self, monkeypatch, regimes):
        run = judge_by(monkeypatch, lambda linked, cosines: np.where(cosines > 0.6, 0.5, 0.4999))
        for scores, regime in zip(run(regimes).regimes, regimes, strict=True):
            graph = regime.collection.graph
            accepted = graph.similarities[:, :8] > 0.6
            pivots = np.arange(graph.n_instances)[:, None]
            linked = regime.collection.is_linked(pivots, graph.indices[:, :8])
            linked &= graph.indices[:, :8] != MISSING
            expected = (accepted & linked).sum() / accepted.sum()
            assert scores.link_precision == pytest.approx(expected)
            assert scores.link_recall == pytest.approx((accepted & linked).sum() / linked.sum())

    def test_a_certain_mistake_costs_a_finite_loss(self, monkeypatch, regimes):
        run = judge_by(monkeypatch, lambda linked, cosines: np.where(linked, 0.0, 1.0))
        assert all(np.isfinite(scores.loss) for scores in run(regimes).regimes)

    @pytest.mark.parametrize("tolerance", [0.0, 0.01, 0.5])
    def test_the_threshold_is_the_highest_that_is_as_good_as_the_best_over_all_faces(
        self, monkeypatch, tolerance
    ):
        monkeypatch.setattr(validation, "_AS_GOOD_AS_THE_BEST", tolerance)
        compact = FaceSet("compact", *clustered_features(30, 12, 16, seed=3, spread=0.5))
        regimes = validation_regimes([face_set(), compact], SUBGRAPHS, seed=0)
        run = judge_by(monkeypatch, lambda linked, cosines: (1 + cosines) / 2)
        scores = run(regimes)
        fscores = np.empty((len(regimes), len(THRESHOLDS)))
        for row, regime in enumerate(regimes):
            graph, labels = regime.collection.graph, regime.collection.faces.labels
            similarities = graph.similarities[:, :8]
            directed = np.where(np.isneginf(similarities), np.nan, (1 + similarities) / 2)
            links = combine_directions(graph, directed.astype(np.float32))
            for column, threshold in enumerate(THRESHOLDS):
                merged = merge_links(links, initial_threshold=threshold)
                fscores[row, column] = bcubed_scores(labels, merged.labels).fscore
        n_faces = np.array([len(regime.collection.faces) for regime in regimes])
        over_faces = n_faces @ fscores / n_faces.sum()
        as_good = over_faces >= over_faces.max() - tolerance
        chosen = THRESHOLDS.index(scores.threshold)
        assert as_good[chosen]
        assert not as_good[chosen + 1 :].any()
        assert (chosen > over_faces.argmax()) == (tolerance == 0.5)
        assert [regime.bcubed_f for regime in scores.regimes] == fscores[:, chosen].tolist()
        assert scores.bcubed_f == pytest.approx(over_faces[chosen])
        assert scores.best_bcubed_f == pytest.approx(over_faces.max())

    def test_a_model_judges(self, regimes):
        scores = validate(random_model("mean", 16, SUBGRAPHS), regimes)
        for regime in scores.regimes:
            assert 0 <= regime.average_precision <= 1
            assert regime.loss > 0

    def test_they_survive_json(self):
        regime = RegimeScores("set / natural", 100, 0.5, 0.1, 0.2, 0.3, 0.4, 0.6, 0.7)
        scores = ValidationScores((regime,), 0.55, 0.65, Calibration(1.5, -0.2))
        assert ValidationScores.from_dict(json.loads(json.dumps(scores.as_dict()))) == scores
