import numpy as np
import pytest

from facelink.context.impostors import ImpostorStatistics
from facelink.errors import InputError
from tests.helpers import clustered_features, unit_rows

N_FEATURES = 64
STRANGERS = unit_rows(np.random.default_rng(0).normal(size=(2_000, N_FEATURES)))


def test_strangers_in_an_isotropic_space():
    """Cosines of random directions have mean 0 and standard deviation 1 / √D."""
    found = ImpostorStatistics.of(STRANGERS)
    assert found.median == pytest.approx(0, abs=0.003)
    assert found.spread == pytest.approx(N_FEATURES**-0.5, rel=0.02)


def test_people_hardly_widen_the_spread():
    """With 25 people one random pair in 25 is genuine, near cosine 0.8."""
    features, _ = clustered_features(n_people=25, faces_each=80, n_features=N_FEATURES)
    found = ImpostorStatistics.of(features)
    everything = np.std(features @ features.T)
    assert found.spread < 1.2 * N_FEATURES**-0.5 < 0.8 * everything


def test_a_constant_offset_moves_the_median_and_narrows_the_spread():
    direction = unit_rows(np.ones((1, N_FEATURES)))
    found = ImpostorStatistics.of(unit_rows(STRANGERS + 2 * direction))
    assert found.median == pytest.approx(0.8, abs=0.02)
    assert found.spread < 0.6 * N_FEATURES**-0.5


def test_the_seed_decides_the_pairs_and_hardly_the_result():
    first, again, other = (ImpostorStatistics.of(STRANGERS, seed=seed) for seed in (0, 0, 1))
    assert first == again != other
    assert first.spread == pytest.approx(other.spread, rel=0.02)


@pytest.mark.parametrize("n_faces", [0, 1, 2, 3])
def test_hardly_any_faces_are_taken_for_a_typical_embedder(n_faces):
    found = ImpostorStatistics.of(STRANGERS[:n_faces])
    assert found.median == pytest.approx(0.05, abs=0.03)
    assert found.spread == pytest.approx(0.1, abs=0.03)


def test_exact_duplicates_alone_have_a_spread():
    found = ImpostorStatistics.of(np.repeat(STRANGERS[:1], 3_000, axis=0))
    assert found.median == pytest.approx(1, abs=0.01)
    assert found.spread > 0


@pytest.mark.parametrize(
    ("median", "spread", "message"),
    [(1.5, 0.1, "a cosine lies in"), (0.0, 0.0, "must be above 0"), (0.0, np.nan, "above 0")],
)
def test_values_that_are_no_statistics(median, spread, message):
    with pytest.raises(InputError, match=message):
        ImpostorStatistics(median, spread)
