import numpy as np
import pytest
import torch

from facelink import judging
from facelink.judging import pivot_batches, pivot_judge
from facelink.subgraphs import SubgraphBuilder, SubgraphSettings
from tests.helpers import AGGREGATORS, clustered_features, random_graph, random_model

LIKELIHOOD_TOLERANCE = 2e-6
"""Likelihoods of float32 logits of order 1 that differ in the order of their sums."""

N = 40
D = 16
SETTINGS = SubgraphSettings((6, 4), 3)
FEATURES, _ = clustered_features(8, 5, D)
GRAPH = random_graph(N, 8, missing_share=0.3, n_hubs=2)
PIVOTS = np.array([3, 0, 17, 39, 3])


def test_batches_cover_all_pivots_and_bound_the_nodes():
    assert SETTINGS.max_nodes == 30
    assert list(pivot_batches(7, SETTINGS, 100)) == [slice(0, 3), slice(3, 6), slice(6, 7)]
    assert list(pivot_batches(2, SubgraphSettings((80, 5), 5), 100)) == [slice(0, 1), slice(1, 2)]
    assert list(pivot_batches(0, SETTINGS, 100)) == []


def on_device(model, pivots=PIVOTS, *, in_bfloat16=False):
    """What runs on a device other than the CPU, run on the CPU."""
    builder = SubgraphBuilder(GRAPH, SETTINGS)
    return list(judging._judge_on_device(model, FEATURES, builder, in_bfloat16)(pivots))


def on_cpu(model, pivots=PIVOTS):
    return list(pivot_judge(model, FEATURES, SubgraphBuilder(GRAPH, SETTINGS), False)(pivots))


def assert_same(judged, expected, tolerance=LIKELIHOOD_TOLERANCE):
    counts = [np.concatenate([each[1] for each in batches]) for batches in (judged, expected)]
    likelihoods = [np.concatenate([each[2] for each in batches]) for batches in (judged, expected)]
    np.testing.assert_array_equal(*counts)
    np.testing.assert_allclose(*likelihoods, rtol=0, atol=tolerance)


class TestDevices:
    @pytest.mark.parametrize("aggregator", AGGREGATORS)
    def test_both_ways_judge_alike(self, aggregator):
        model = random_model(aggregator, D, SETTINGS)
        assert_same(on_device(model), on_cpu(model))

    @pytest.mark.parametrize("aggregator", AGGREGATORS)
    def test_a_collection_that_does_not_fit_is_sent_batch_by_batch(self, aggregator, monkeypatch):
        model = random_model(aggregator, D, SETTINGS)
        expected = on_device(model)
        monkeypatch.setattr(judging, "_fits_on", lambda *_: False)
        assert_same(on_device(model), expected)

    def test_in_several_batches(self, monkeypatch):
        model = random_model("mean", D, SETTINGS)
        expected = on_device(model)
        monkeypatch.setattr(judging, "_NODES_PER_DEVICE_BATCH", 2 * SETTINGS.max_nodes)
        monkeypatch.setattr(judging, "_NODES_PER_CPU_BATCH", 2 * SETTINGS.max_nodes)
        in_parts = on_device(model)
        rows = [slice(0, 2), slice(2, 4), slice(4, 5)]
        assert [each[0] for each in in_parts] == [each[0] for each in on_cpu(model)] == rows
        assert_same(in_parts, expected)

    def test_bfloat16(self):
        model = random_model("mean", D, SETTINGS)
        bfloat16_tolerance = 0.03  # eight bits of each factor
        assert_same(on_device(model, in_bfloat16=True), on_cpu(model), bfloat16_tolerance)

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
    @pytest.mark.parametrize("aggregator", AGGREGATORS)
    def test_on_cuda(self, aggregator):
        model = random_model(aggregator, D, SETTINGS)
        expected = on_cpu(model)
        cuda_tolerance = 1e-5  # another order of sums in the products
        assert_same(on_cpu(model.to("cuda")), expected, cuda_tolerance)


class TestThreads:
    def test_the_number_of_torch_threads_stays(self):
        before = torch.get_num_threads()
        on_cpu(random_model("mean", D, SETTINGS))
        assert torch.get_num_threads() == before

    def test_the_number_of_threads_does_not_matter(self, monkeypatch):
        monkeypatch.setattr(judging, "_NODES_PER_CPU_BATCH", SETTINGS.max_nodes)
        model = random_model("weighted", D, SETTINGS)
        pivots = np.arange(N)
        monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
        alone = on_cpu(model, pivots)
        monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
        for first, second in zip(alone, on_cpu(model, pivots), strict=True):
            np.testing.assert_array_equal(first[2], second[2])

    def test_a_failure_in_a_thread_is_raised(self):
        with pytest.raises(IndexError, match="out of range"):
            list(
                judging._in_order(
                    judging.ThreadPoolExecutor(2), lambda place: [1, 2][place], [0, 5], 2
                )
            )

    def test_only_so_many_items_are_under_way(self):
        taken = []

        def items():
            for number in range(20):
                taken.append(number)
                yield number

        with judging.ThreadPoolExecutor(2) as executor:
            outcomes = judging._in_order(executor, lambda number: 2 * number, items(), 3)
            assert next(outcomes) == 0
            assert len(taken) == 4
            assert list(outcomes) == list(range(2, 40, 2))
