import numba
import numpy as np
import pytest
import torch

from facelink.models import aggregators
from facelink.models.aggregators import (
    SparseAdjacency,
    aggregate,
    cosine_weights,
    mean_weights,
    softmax_per_row,
)
from facelink.models.layers import EdgeAttention
from facelink.subgraphs import SubgraphBuilder, SubgraphSettings
from tests.helpers import clustered_features, random_graph
from tests.reference.aggregators import (
    attention_matrix,
    mean_matrix,
    symmetric_matrix,
    weighted_matrix,
)

WEIGHT_TOLERANCE = 1e-6
"""Edge weights lie in [0, 1]; the kernels compute in float32, the reference in float64."""

GRADIENT_TOLERANCE = 1e-4
"""Gradients are float32 sums of tens of products of order 1."""

CPU = torch.device("cpu")
N = 40
FEATURES, _ = clustered_features(8, 5, 16)


@pytest.fixture(params=["many edges", "hubs and isolated nodes"])
def batch(request):
    """Several subgraphs; in the second kind with hubs and with nodes without edges."""
    if request.param == "many edges":
        graph, settings = random_graph(N, 8), SubgraphSettings((8, 4), 4)
    else:
        graph = random_graph(N, 8, missing_share=0.5, n_hubs=2)
        settings = SubgraphSettings((6, 6), 1)
    return SubgraphBuilder(graph, settings).build([3, 0, 7, 21])


@pytest.fixture
def adjacency(batch):
    return SparseAdjacency.from_edges(batch.indptr, batch.columns, CPU)


@pytest.fixture
def edges(adjacency):
    """The whole batch's adjacency as a dense 0/1 matrix."""
    dense = np.zeros((adjacency.n_nodes, adjacency.n_nodes))
    dense[adjacency.rows, adjacency.columns] = 1
    return dense


def dense_g(weights, adjacency):
    """G that `aggregate` multiplies by, read off from its product with the identity."""
    return aggregate(torch.eye(adjacency.n_nodes), weights, adjacency).numpy()


def normal(*shape, seed=0, requires_grad=False):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator).requires_grad_(requires_grad)


class TestAdjacency:
    def test_it_holds_the_edges_of_the_batch(self, batch, adjacency):
        assert adjacency.n_nodes == len(batch.nodes)
        np.testing.assert_array_equal(adjacency.degrees, np.diff(batch.indptr))
        np.testing.assert_array_equal(adjacency.columns, batch.columns)

    def test_the_opposite_edge_is_found_for_each(self, adjacency):
        np.testing.assert_array_equal(adjacency.rows[adjacency.reverse], adjacency.columns)
        np.testing.assert_array_equal(adjacency.columns[adjacency.reverse], adjacency.rows)

    def test_the_second_kind_of_batch_has_hubs_and_isolated_nodes(self):
        graph = random_graph(N, 8, missing_share=0.5, n_hubs=2)
        batch = SubgraphBuilder(graph, SubgraphSettings((6, 6), 1)).build([3, 0, 7, 21])
        degrees = np.diff(batch.indptr)
        assert degrees.min() == 0
        assert degrees.max() >= 5


class TestAgainstTheReference:
    def test_mean_by_rows(self, adjacency, edges):
        g = dense_g(mean_weights(adjacency, "row"), adjacency)
        np.testing.assert_allclose(g, mean_matrix(edges), atol=WEIGHT_TOLERANCE)

    def test_mean_by_both_degrees(self, adjacency, edges):
        g = dense_g(mean_weights(adjacency, "symmetric"), adjacency)
        np.testing.assert_allclose(g, symmetric_matrix(edges), atol=WEIGHT_TOLERANCE)
        np.testing.assert_array_equal(g, g.T)

    @pytest.mark.parametrize("block_bytes", [64 * 2**20, 5 * 16 * 4])
    def test_weighted(self, batch, adjacency, edges, block_bytes, monkeypatch):
        monkeypatch.setattr(aggregators, "_EDGE_BLOCK_BYTES", block_bytes)
        weights = cosine_weights(
            adjacency, torch.from_numpy(FEATURES), torch.from_numpy(batch.nodes.astype(np.int64))
        )
        expected = weighted_matrix(edges, FEATURES[batch.nodes])
        np.testing.assert_allclose(dense_g(weights, adjacency), expected, atol=WEIGHT_TOLERANCE)

    def test_attention(self, adjacency, edges):
        torch.manual_seed(0)
        attention = EdgeAttention(in_width=6, hidden_width=5)
        with torch.no_grad():
            attention.hidden_bias.normal_()
            values = normal(adjacency.n_nodes, 6)
            own, neighbors = (values @ half for half in attention.hidden_weight.chunk(2))
            weights = attention(own, neighbors, adjacency)
        inputs = (values, attention.hidden_weight, attention.hidden_bias, attention.score_weight)
        expected = attention_matrix(edges, *(each.detach().double().numpy() for each in inputs))
        np.testing.assert_allclose(dense_g(weights, adjacency), expected, atol=WEIGHT_TOLERANCE)

    def test_aggregate_is_the_product_with_g(self, adjacency):
        weights, values = normal(len(adjacency.rows)), normal(adjacency.n_nodes, 7, seed=1)
        expected = dense_g(weights, adjacency).astype(np.float64) @ values.double().numpy()
        np.testing.assert_allclose(
            aggregate(values, weights, adjacency), expected, atol=GRADIENT_TOLERANCE
        )


class TestRowsOfG:
    @pytest.mark.parametrize("kind", ["mean", "weighted", "attention"])
    def test_they_sum_to_one_or_are_zero_and_hold_no_nan(self, kind, batch, adjacency):
        if kind == "mean":
            weights = mean_weights(adjacency, "row")
        elif kind == "weighted":
            nodes = torch.from_numpy(batch.nodes.astype(np.int64))
            weights = cosine_weights(adjacency, torch.from_numpy(FEATURES), nodes)
        else:
            weights = softmax_per_row(normal(len(adjacency.rows)), adjacency)
        totals = dense_g(weights, adjacency).sum(axis=1)
        expected = (adjacency.degrees > 0).numpy().astype(np.float32)
        np.testing.assert_allclose(totals, expected, atol=WEIGHT_TOLERANCE)

    def test_the_symmetric_mean_does_not_sum_to_one(self, adjacency):
        """The paper prints it and says its rows sum to 1, which disagree (trap 6)."""
        totals = dense_g(mean_weights(adjacency, "symmetric"), adjacency).sum(axis=1)
        assert abs(totals[adjacency.degrees > 0] - 1).max() > 0.1

    def test_a_node_without_edges_aggregates_to_zeros(self, adjacency):
        values = normal(adjacency.n_nodes, 3)
        result = aggregate(values, mean_weights(adjacency, "row"), adjacency)
        assert (result[adjacency.degrees == 0] == 0).all()
        assert result.isfinite().all()


class TestSoftmaxPerRow:
    def test_large_scores_do_not_overflow(self, adjacency):
        weights = softmax_per_row(1e4 * normal(len(adjacency.rows)), adjacency)
        assert weights.isfinite().all()
        np.testing.assert_allclose(
            dense_g(weights, adjacency).sum(axis=1), (adjacency.degrees > 0), atol=WEIGHT_TOLERANCE
        )

    def test_a_shift_of_all_scores_changes_nothing(self, adjacency):
        scores = normal(len(adjacency.rows))
        np.testing.assert_allclose(
            softmax_per_row(scores + 3, adjacency),
            softmax_per_row(scores, adjacency),
            atol=WEIGHT_TOLERANCE,
        )

    def test_scores_of_half_precision_are_summed_in_float32(self, adjacency):
        scores = normal(len(adjacency.rows)).bfloat16()
        weights = softmax_per_row(scores, adjacency)
        assert weights.dtype == torch.float32
        np.testing.assert_array_equal(weights, softmax_per_row(scores.float(), adjacency))

    def test_its_gradient_passes_autograds_check(self, adjacency):
        scores = normal(len(adjacency.rows)).double().requires_grad_()
        assert torch.autograd.gradcheck(lambda each: softmax_per_row(each, adjacency), scores)


def dense_gradients(values, weights, adjacency, upstream):
    """Gradients of sum(upstream · G values) by autograd on a dense float64 G."""
    values, weights = (each.detach().double().requires_grad_() for each in (values, weights))
    places = (adjacency.rows, adjacency.columns)
    g = torch.zeros(adjacency.n_nodes, adjacency.n_nodes, dtype=torch.float64)
    ((g.index_put(places, weights) @ values) * upstream.double()).sum().backward()
    return values.grad, weights.grad


class TestGradients:
    def test_both_agree_with_a_dense_product(self, adjacency):
        values = normal(adjacency.n_nodes, 5, requires_grad=True)
        weights = normal(len(adjacency.rows), seed=1, requires_grad=True)
        upstream = normal(adjacency.n_nodes, 5, seed=2)
        (aggregate(values, weights, adjacency) * upstream).sum().backward()
        for_values, for_weights = dense_gradients(values, weights, adjacency, upstream)
        torch.testing.assert_close(
            values.grad.double(), for_values, rtol=0, atol=GRADIENT_TOLERANCE
        )
        torch.testing.assert_close(
            weights.grad.double(), for_weights, rtol=0, atol=GRADIENT_TOLERANCE
        )

    @pytest.mark.parametrize("fixed", ["values", "weights"])
    def test_an_argument_that_needs_none_gets_none(self, adjacency, fixed):
        values = normal(adjacency.n_nodes, 5, requires_grad=fixed != "values")
        weights = normal(len(adjacency.rows), requires_grad=fixed != "weights")
        aggregate(values, weights, adjacency).sum().backward()
        assert (values.grad is None) == (fixed == "values")
        assert (weights.grad is None) == (fixed == "weights")

    def test_the_number_of_threads_does_not_matter(self, adjacency, two_numba_threads):
        def run():
            values = normal(adjacency.n_nodes, 5, requires_grad=True)
            weights = normal(len(adjacency.rows), seed=1, requires_grad=True)
            result = aggregate(values, weights, adjacency)
            result.square().sum().backward()
            return result.detach(), values.grad, weights.grad

        in_two = run()
        numba.set_num_threads(1)
        for left, right in zip(in_two, run(), strict=True):
            assert torch.equal(left, right)


class TestLayouts:
    def test_values_that_are_not_contiguous(self, adjacency):
        values, weights = normal(5, adjacency.n_nodes).T, normal(len(adjacency.rows))
        expected = aggregate(values.contiguous(), weights, adjacency)
        assert torch.equal(aggregate(values, weights, adjacency), expected)

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
    def test_the_result_has_the_values_dtype(self, adjacency, dtype):
        values = normal(adjacency.n_nodes, 3).to(dtype)
        assert aggregate(values, mean_weights(adjacency, "row"), adjacency).dtype == dtype


class TestOtherDevices:
    """What runs where the compiled loops do not: the same sums by gathering and scattering."""

    @pytest.fixture(params=[64 * 2**20, 5 * 3 * 4])
    def block_bytes(self, request, monkeypatch):
        monkeypatch.setattr(aggregators, "_EDGE_BLOCK_BYTES", request.param)

    def test_the_product(self, adjacency, block_bytes):
        values, weights = normal(adjacency.n_nodes, 3), normal(len(adjacency.rows), seed=1)
        scattered = aggregators._scatter(
            values, weights, adjacency.columns, adjacency.rows, adjacency.n_nodes
        )
        torch.testing.assert_close(
            scattered, aggregate(values, weights, adjacency), rtol=0, atol=GRADIENT_TOLERANCE
        )

    def test_the_products_of_edges(self, adjacency, block_bytes):
        gradient, values = normal(adjacency.n_nodes, 3), normal(adjacency.n_nodes, 3, seed=1)
        gathered = aggregators._edge_products_by_gather(
            gradient, values, adjacency, len(adjacency.rows)
        )
        expected = (gradient[adjacency.rows] * values[adjacency.columns]).sum(dim=1)
        torch.testing.assert_close(gathered, expected, rtol=0, atol=GRADIENT_TOLERANCE)

    def test_no_edges(self):
        nothing = torch.zeros(0, dtype=torch.int64)
        adjacency = SparseAdjacency(torch.zeros(3, dtype=torch.int64), nothing, nothing, nothing)
        values = normal(2, 3)
        weights = torch.zeros(0)
        assert aggregators._edge_products_by_gather(values, values, adjacency, 0).shape == (0,)
        assert (aggregators._scatter(values, weights, nothing, nothing, 2) == 0).all()
        assert (aggregate(values, weights, adjacency) == 0).all()
