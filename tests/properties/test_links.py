from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from facelink.link_prediction import combine_directions, combine_rows, link_offsets
from facelink.links import Links
from facelink.neighbors.graph import MISSING, NeighborGraph
from tests.helpers import random_graph

MEAN_TOLERANCE = 1e-7
"""One rounding of a float32 in [0, 1]."""

COMBINATIONS = {"mean": lambda values: sum(values) / len(values), "max": max, "min": min}


@st.composite
def judged_graphs(draw):
    """A graph and a likelihood for each of its first k1 neighbours, NaN where one is missing."""
    n, width = draw(st.integers(2, 25)), draw(st.integers(1, 6))
    graph = random_graph(n, width, draw(st.integers(0, 1000)), draw(st.sampled_from((0, 0.4, 0.9))))
    k1 = draw(st.integers(1, width))
    random = np.random.default_rng(draw(st.integers(0, 1000)))
    likelihoods = random.random((n, k1), dtype=np.float32)
    likelihoods[graph.indices[:, :k1] == MISSING] = np.nan
    return graph, likelihoods


def directed(graph, likelihoods):
    """Likelihood of each (pivot, neighbour)."""
    return {
        (pivot, int(neighbor)): float(likelihoods[pivot, rank])
        for pivot in range(graph.n_instances)
        for rank, neighbor in enumerate(graph.indices[pivot, : likelihoods.shape[1]])
        if neighbor != MISSING
    }


def as_dict(links):
    return {
        tuple(pair): (likelihood, one_sided)
        for pair, likelihood, one_sided in zip(
            links.pairs.tolist(), links.likelihoods.tolist(), links.one_sided.tolist(), strict=True
        )
    }


@settings(deadline=None, max_examples=50)
@given(judged_graphs(), st.sampled_from(sorted(COMBINATIONS)))
def test_each_pair_is_one_link_of_the_likelihoods_of_its_directions(judged, combine):
    graph, likelihoods = judged
    sides = directed(graph, likelihoods)
    links = combine_directions(graph, likelihoods, combine)
    found = as_dict(links)
    assert len(found) == len(links)
    assert found.keys() == {(min(pair), max(pair)) for pair in sides}
    for pair, (likelihood, one_sided) in found.items():
        values = [sides[side] for side in (pair, pair[::-1]) if side in sides]
        assert abs(likelihood - COMBINATIONS[combine](values)) <= MEAN_TOLERANCE
        assert one_sided == (len(values) == 1)


@settings(deadline=None, max_examples=50)
@given(judged_graphs(), st.sampled_from(sorted(COMBINATIONS)), st.randoms(use_true_random=False))
def test_renumbering_the_instances_renumbers_the_links(judged, combine, random):
    graph, likelihoods = judged
    n = graph.n_instances
    new_id = np.array(random.sample(range(n), n))
    indices, similarities = np.empty_like(graph.indices), np.empty_like(graph.similarities)
    indices[new_id] = np.where(graph.indices == MISSING, MISSING, new_id[graph.indices])
    similarities[new_id] = graph.similarities
    moved_likelihoods = np.empty_like(likelihoods)
    moved_likelihoods[new_id] = likelihoods
    moved = combine_directions(NeighborGraph(indices, similarities), moved_likelihoods, combine)
    expected = {
        tuple(sorted((int(new_id[first]), int(new_id[second])))): value
        for (first, second), value in as_dict(
            combine_directions(graph, likelihoods, combine)
        ).items()
    }
    assert as_dict(moved) == expected


@settings(deadline=None, max_examples=50)
@given(judged_graphs())
def test_the_mean_lies_between_the_least_and_the_greatest(judged):
    least, mean, greatest = (
        combine_directions(*judged, combine).likelihoods for combine in ("min", "mean", "max")
    )
    assert (least <= mean).all()
    assert (mean <= greatest).all()


@settings(deadline=None, max_examples=50)
@given(judged_graphs(), st.sampled_from(sorted(COMBINATIONS)), st.data())
def test_any_rows_of_the_links_are_those_of_the_whole(judged, combine, data):
    graph, likelihoods = judged
    n = graph.n_instances
    of = data.draw(st.none() | st.lists(st.booleans(), min_size=n, max_size=n).map(np.array))
    whole = combine_directions(graph, likelihoods, combine, of=of)
    offsets = link_offsets(graph.indices[:, : likelihoods.shape[1]], of=of)
    assert offsets[-1] == len(whole)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=5)))
    for start, stop in pairwise([0, *cuts, len(whole)]):
        rows = combine_rows(graph, likelihoods, offsets, start, stop, combine, of=of)
        for name in ("pairs", "likelihoods", "one_sided"):
            expected = getattr(whole, name)[start:stop]
            np.testing.assert_array_equal(getattr(rows, name), expected, strict=True)
        assert (rows.n_instances, rows.n_neighbors) == (n, whole.n_neighbors)


@settings(deadline=None, max_examples=20)
@given(judged_graphs())
def test_links_come_back_from_their_file(tmp_path_factory, judged):
    path = tmp_path_factory.mktemp("links") / "links.safetensors"
    links = combine_directions(*judged)
    links.save(path)
    loaded = Links.load(path)
    assert as_dict(loaded) == as_dict(links)
    assert loaded.n_instances == links.n_instances
