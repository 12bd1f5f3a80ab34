import numpy as np
import pytest

from facelink.neighbors.graph import MISSING
from facelink.subgraphs import SubgraphSettings
from facelink.training import rounds as rounds_module
from facelink.training.face_sets import FaceSet, draw_collection
from facelink.training.rounds import TrainingRounds
from facelink.training.settings import TrainingSettings
from tests.helpers import clustered_features

SETS = (
    FaceSet("one", *clustered_features(20, 10, 8, seed=1)),
    FaceSet("two", *clustered_features(30, 4, 8, seed=2)),
)
N_FACES = 320


def rounds(**changes):
    defaults = {"subgraphs": SubgraphSettings((6, 3), 3), "round_pivots": 100, "round_draws": 3}
    return TrainingRounds(SETS, TrainingSettings(**(defaults | changes)))


def assert_same_round(one, other):
    np.testing.assert_array_equal(one.pivots, other.pivots)
    np.testing.assert_array_equal(one.collection.faces.features, other.collection.faces.features)
    np.testing.assert_array_equal(one.collection.faces.labels, other.collection.faces.labels)
    np.testing.assert_array_equal(one.collection.graph.indices, other.collection.graph.indices)


@pytest.mark.parametrize("resample", [True, False])
class TestRepeatability:
    def test_a_round_depends_on_the_seed_and_its_number_only(self, resample):
        run, resumed = rounds(resample=resample), rounds(resample=resample)
        made = [run[number] for number in range(6)]
        for number in (5, 2):
            assert_same_round(resumed[number], made[number])

    def test_rounds_and_seeds_differ(self, resample):
        run, other = rounds(resample=resample), rounds(resample=resample, seed=1)
        pivots = [run[0].pivots, run[1].pivots, run[4].pivots, other[0].pivots]
        assert len({tuple(some.tolist()) for some in pivots}) == 4


def test_an_epoch_has_as_many_pivots_as_there_are_faces():
    run = rounds()
    assert run.epoch_pivots == N_FACES
    assert run.rounds_per_epoch == 4
    assert [len(run[number].pivots) for number in range(8)] == [100, 100, 100, 20] * 2


def test_without_resampling_every_face_is_a_pivot_once_per_epoch():
    run = rounds(resample=False)
    epochs = [[run[4 * epoch + number].pivots for number in range(4)] for epoch in range(2)]
    first, second = (np.concatenate(epoch) for epoch in epochs)
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(N_FACES))
    assert first.tolist() != second.tolist()


def test_without_resampling_the_sets_stand_side_by_side():
    collection = rounds(resample=False)[0].collection
    np.testing.assert_array_equal(collection.faces.features[:200], SETS[0].features)
    np.testing.assert_array_equal(collection.faces.features[200:], SETS[1].features)
    first, second = collection.graph.indices[:200], collection.graph.indices[200:]
    assert first.max() < 200
    assert second[second != MISSING].min() >= 200


def test_with_resampling_each_drawn_collection_gives_as_many_pivots(monkeypatch):
    sizes = []

    def draw(*arguments):
        drawn = draw_collection(*arguments)
        sizes.append(len(drawn))
        return drawn

    monkeypatch.setattr(rounds_module, "draw_collection", draw)
    pivots = rounds(round_pivots=60)[0].pivots
    counts, _ = np.histogram(pivots, bins=np.cumsum([0, *sizes]))
    assert counts.tolist() == [20, 20, 20]


def test_with_resampling_no_face_comes_again_before_all_have_been_pivots():
    run = rounds(round_pivots=60, round_draws=1)
    pivots = run[0].pivots
    assert len(np.unique(pivots)) == min(60, len(run[0].collection.faces))


def test_few_faces_are_pivots_several_times():
    few = FaceSet("few", *clustered_features(4, 3, 8))
    settings = TrainingSettings(
        subgraphs=SubgraphSettings((3,), 2), round_pivots=12, round_draws=1, max_draw_faces=5
    )
    pivots = TrainingRounds([few], settings)[0].pivots
    counts = np.bincount(pivots, minlength=5)
    assert counts.sum() == 12
    assert sorted(counts.tolist()) == [2, 2, 2, 3, 3]
