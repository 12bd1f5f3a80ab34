import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facelink.metrics import bcubed_scores, clustering_scores, pairwise_scores
from tests.reference import metrics as reference

# Sums of at most 25 float64 terms; NMI divides by entropies of at least 0.1.
FLOAT64_SUM = 1e-12


@st.composite
def two_labelings(draw):
    n_faces = draw(st.integers(1, 25))
    labels = st.lists(st.integers(-1, 6), min_size=n_faces, max_size=n_faces)
    return draw(labels), draw(labels)


def astuple(scores):
    return scores.precision, scores.recall, scores.fscore


def numbers(scores):
    """All scores of one record, without the nested one."""
    return (
        *astuple(scores.pairwise),
        *astuple(scores.bcubed),
        scores.nmi_arithmetic,
        scores.nmi_geometric,
        scores.ari,
    )


def close(expected):
    return pytest.approx(expected, rel=0, abs=FLOAT64_SUM)


@given(two_labelings())
def test_agrees_with_the_reference(both):
    scores = clustering_scores(*both)
    assert astuple(scores.pairwise) == close(reference.pairwise(*both))
    assert astuple(scores.bcubed) == close(reference.bcubed(*both))
    nmi = reference.normalized_mutual_information(*both)
    assert (scores.nmi_arithmetic, scores.nmi_geometric) == close(nmi)
    assert scores.ari == close(reference.adjusted_rand_index(*both))


@given(two_labelings())
def test_single_scores_are_those_of_the_record(both):
    scores = clustering_scores(*both)
    assert pairwise_scores(*both) == scores.pairwise
    assert bcubed_scores(*both) == scores.bcubed


@given(two_labelings())
def test_bounds(both):
    *shares, ari = numbers(clustering_scores(*both))
    assert min(shares) >= 0
    assert max(shares) <= 1 + FLOAT64_SUM
    assert -0.5 - FLOAT64_SUM <= ari <= 1


@given(two_labelings(), st.permutations(range(7)), st.permutations(range(7)))
def test_relabelling_changes_nothing(both, new_true, new_pred):
    renamed = (
        [100 * new[label] if label >= 0 else -1 for label in labels]
        for labels, new in zip(both, (new_true, new_pred), strict=True)
    )
    assert numbers(clustering_scores(*renamed)) == close(numbers(clustering_scores(*both)))


@given(two_labelings(), st.randoms(use_true_random=False))
def test_order_changes_nothing(both, random):
    faces = list(zip(*both, strict=True))
    random.shuffle(faces)
    shuffled = zip(*faces, strict=True)
    assert numbers(clustering_scores(*shuffled)) == close(numbers(clustering_scores(*both)))


@given(two_labelings())
def test_swapping_the_labels_swaps_precision_and_recall(both):
    scores, swapped = clustering_scores(*both), clustering_scores(*reversed(both))
    for kind in ("pairwise", "bcubed"):
        precision, recall, fscore = astuple(getattr(scores, kind))
        assert astuple(getattr(swapped, kind)) == close((recall, precision, fscore))
    for kind in ("nmi_arithmetic", "nmi_geometric", "ari"):
        assert getattr(swapped, kind) == close(getattr(scores, kind))


@given(two_labelings())
def test_right_up_to_names_is_perfect(both):
    labels_true, _ = both
    renamed = [label + 40 if label >= 0 else label for label in labels_true]
    assert numbers(clustering_scores(labels_true, renamed)) == close((1.0,) * 9)


@given(two_labelings())
def test_without_singletons_is_the_score_of_the_other_faces(both):
    labels_true, labels_pred = both
    kept = [
        face
        for face, label in enumerate(labels_pred)
        if label != -1 and labels_pred.count(label) > 1
    ]
    scores = clustering_scores(labels_true, labels_pred).without_singletons
    if not kept:
        assert scores is None
        return
    expected = clustering_scores(np.take(labels_true, kept), np.take(labels_pred, kept))
    assert scores.n_instances == len(kept)
    assert scores.n_singletons == 0
    assert numbers(scores) == close(numbers(expected))
