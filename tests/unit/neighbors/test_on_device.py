import numpy as np
import pytest
import torch

from facelink.neighbors import on_device, prepared
from facelink.neighbors.exact import search_exactly
from facelink.neighbors.on_device import propose_on
from facelink.neighbors.prepared import PreparedSearch, chosen_method
from facelink.neighbors.search import find_neighbors
from tests.helpers import clustered_features

FEATURES, _ = clustered_features(30, 10, 16)
CPU, CUDA = torch.device("cpu"), torch.device("cuda")
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


@pytest.mark.parametrize(("n_queries", "n_members"), [(4_096, 65_536), (64, 50), (7, 3), (300, 1)])
def test_neighbors_are_those_of_the_processor(monkeypatch, n_queries, n_members):
    monkeypatch.setattr(on_device, "_QUERIES", n_queries)
    monkeypatch.setattr(on_device, "_MEMBERS", n_members)
    some = np.array([5, 299, 0, 17, 100])
    found = search_exactly(FEATURES, some, 12, propose_on(CPU, FEATURES))
    for here, there in zip(search_exactly(FEATURES, some, 12), found, strict=True):
        np.testing.assert_array_equal(here, there)


def test_more_duplicates_than_candidates():
    features = np.repeat(FEATURES[:5], 40, axis=0)
    everyone = np.arange(len(features))
    found = search_exactly(features, everyone, 6, propose_on(CPU, features))
    np.testing.assert_array_equal(found[0], search_exactly(features, everyone, 6)[0])


def test_all_others_are_neighbors():
    found = search_exactly(FEATURES[:20], np.arange(20), 19, propose_on(CPU, FEATURES[:20]))
    assert all(sorted([row, *found[0][row]]) == list(range(20)) for row in range(20))


def test_an_exact_search_compares_on_its_device(monkeypatch, tmp_path):
    asked = []

    def propose(device, features):
        asked.append(device)
        return propose_on(CPU, features)

    monkeypatch.setattr(prepared, "propose_on", propose)
    search = PreparedSearch.prepare(FEATURES, 5, "exact", device=CUDA)
    expected = find_neighbors(FEATURES, 5, "exact")
    assert asked == []
    np.testing.assert_array_equal(search.rows(np.arange(300))[0], expected.indices)
    search.save(tmp_path / "search.safetensors")
    PreparedSearch.load(tmp_path / "search.safetensors", FEATURES, device=CUDA).rows(np.arange(3))
    assert asked == [CUDA, CUDA]


def test_auto_is_exact_up_to_more_on_a_gpu():
    sizes = (100_000, 100_001, 2_000_000, 2_000_001)
    assert [chosen_method("auto", n, CPU) for n in sizes] == ["exact", "ivf", "ivf", "ivf"]
    assert [chosen_method("auto", n, CUDA) for n in sizes] == ["exact", "exact", "exact", "ivf"]


@needs_cuda
def test_a_gpu_finds_the_same_neighbors():
    here, there = (find_neighbors(FEATURES, 12, "exact", device=one) for one in (CPU, CUDA))
    np.testing.assert_array_equal(there.indices, here.indices)
    np.testing.assert_array_equal(there.similarities, here.similarities)
