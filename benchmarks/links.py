"""Link prediction end to end, facelink beside padded dense, on made-up faces.

All judge the same pivots in turn; facelink judges further ones, too, so that its
runs are long enough to time. Figures are per pivot. Padded dense stands here twice:
with a feeder that is as fast as plain Python allows, and with one that finds and
writes edges the way the published pipeline of the paper's authors does.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import get_args

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.gemm import needed_operations, product_rate
from benchmarks.harness import N_REPEATS, Case, Stopwatch, measure_case, run_benchmark
from benchmarks.padded_dense import predict_likelihoods_padded
from benchmarks.records import TOTAL, Result, speedup
from facelink.link_prediction import predict_likelihoods
from facelink.models.aggregators import Aggregator
from facelink.models.config import LinkGCNConfig
from facelink.models.device import Precision, runs_in_bfloat16
from facelink.models.link_gcn import LinkGCN
from facelink.neighbors.graph import NeighborGraph
from facelink.neighbors.search import find_neighbors
from facelink.subgraphs import SubgraphBuilder, SubgraphSettings, order_by_need
from facelink.synthetic import SyntheticSettings, make_faces

FACELINK, SUBGRAPHS_ALONE = "facelink", "facelink, subgraphs alone"
IN_BFLOAT16 = "facelink, bfloat16"
PADDED_DENSE, AS_AUTHORS = "padded dense", "padded dense, feeder as the authors'"

_PIVOTS_PER_BATCH = 64

_N_STATISTICS_PIVOTS = 64
"""Pivots whose residuals give the input norm its statistics."""


Run = Callable[["LinkInputs", Stopwatch], object]


@dataclass(frozen=True)
class LinkSizes:
    """Sizes of one case; the defaults are the paper's test settings.

    `n_pivots` are judged by facelink, the first `n_dense_pivots` of them by padded
    dense as well, `dense_batch_size` at a time: the paper's batch.
    """

    n_features: int = 512
    aggregator: Aggregator = "mean"
    widths: tuple[int, ...] = (512, 512, 256, 256)
    subgraphs: SubgraphSettings = field(default_factory=lambda: SubgraphSettings((80, 5), 5))
    n_faces: int = 20_000
    n_pivots: int = 1_024
    n_dense_pivots: int = 64
    dense_batch_size: int = 16
    seed: int = 0

    @property
    def subgraphs_in_words(self) -> str:
        """The subgraph settings as in the paper."""
        hops = ", ".join(map(str, self.subgraphs.k_at_hop))
        return f"k=({hops}), u={self.subgraphs.n_edge_neighbors}"


FULL = (
    LinkSizes(),
    LinkSizes(256),
    LinkSizes(aggregator="weighted"),
    LinkSizes(aggregator="attention", n_dense_pivots=16),
)
QUICK = tuple(
    LinkSizes(64, aggregator, (32, 32, 16, 16), SubgraphSettings((10, 3), 3), 400, 32, 16)
    for aggregator in get_args(Aggregator)
)


@dataclass(frozen=True, eq=False)
class LinkInputs:
    """What a case works on: a model, N faces with their people and neighbours, and P pivots."""

    sizes: LinkSizes
    model: LinkGCN
    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    graph: NeighborGraph
    pivots: NDArray[np.int64]


def prepare(sizes: LinkSizes) -> LinkInputs:
    """Make the faces, search their neighbours and draw pivots and weights."""
    faces = make_faces(
        SyntheticSettings(n_faces=sizes.n_faces, n_features=sizes.n_features), seed=sizes.seed
    )
    graph = find_neighbors(faces.features, sizes.subgraphs.n_neighbors, "exact")
    random = np.random.default_rng(sizes.seed)
    pivots = random.choice(sizes.n_faces, size=sizes.n_pivots, replace=False)
    model = _model(sizes, faces.features, graph, pivots[:_N_STATISTICS_PIVOTS])
    return LinkInputs(sizes, model, faces.features, faces.labels, graph, pivots)


@torch.no_grad()
def _model(
    sizes: LinkSizes,
    features: NDArray[np.float32],
    graph: NeighborGraph,
    pivots: NDArray[np.int64],
) -> LinkGCN:
    """A network of random weights whose input norm knows the residuals' statistics."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(sizes.seed)
        model = LinkGCN(
            LinkGCNConfig(
                sizes.n_features, sizes.widths, sizes.aggregator, subgraphs=sizes.subgraphs
            )
        )
    batch = SubgraphBuilder(graph, sizes.subgraphs).build(pivots)
    inputs = model.inputs(batch, features)
    residuals = inputs.features[inputs.nodes] - inputs.features[inputs.pivots][inputs.owners]
    model.input_norm.running_mean.copy_(residuals.mean(dim=0))
    model.input_norm.running_var.copy_(residuals.var(dim=0))
    return model.eval()


def judge_by_facelink(
    inputs: LinkInputs, stopwatch: Stopwatch, *, precision: Precision = "float32"
) -> NDArray[np.float32]:
    """Likelihoods (P, k1) of all pivots."""
    return predict_likelihoods(
        inputs.model,
        inputs.features,
        inputs.graph,
        inputs.sizes.subgraphs,
        pivots=inputs.pivots,
        precision=precision,
    )


def judge_by_padded_dense(
    inputs: LinkInputs, stopwatch: Stopwatch, *, as_authors: bool = False
) -> NDArray[np.float32]:
    """Likelihoods of the first pivots."""
    sizes = inputs.sizes
    return predict_likelihoods_padded(
        inputs.model,
        inputs.features,
        inputs.graph,
        sizes.subgraphs,
        inputs.pivots[: sizes.n_dense_pivots],
        batch_size=sizes.dense_batch_size,
        as_authors=as_authors,
        stopwatch=stopwatch,
    )


def build_subgraphs(inputs: LinkInputs, stopwatch: Stopwatch) -> None:
    """The subgraphs of all pivots alone, by all threads."""
    builder = SubgraphBuilder(inputs.graph, inputs.sizes.subgraphs)
    for start in range(0, len(inputs.pivots), _PIVOTS_PER_BATCH):
        batch = builder.build(inputs.pivots[start : start + _PIVOTS_PER_BATCH])
        order_by_need(batch, inputs.model.n_layers)


def link_case(sizes: LinkSizes) -> Case[LinkSizes, LinkInputs]:
    """Link prediction by both, and the part of it that subgraphs are.

    In bfloat16 only where the processor has it: elsewhere it would be slower.
    """
    runs: dict[str, Run] = {
        FACELINK: judge_by_facelink,
        PADDED_DENSE: judge_by_padded_dense,
        AS_AUTHORS: partial(judge_by_padded_dense, as_authors=True),
        SUBGRAPHS_ALONE: build_subgraphs,
    }
    if runs_in_bfloat16("auto", torch.device("cpu")):
        runs[IN_BFLOAT16] = partial(judge_by_facelink, precision="bfloat16")
    return Case(
        f"link prediction, {sizes.aggregator}, D={sizes.n_features}",
        "pivot",
        sizes,
        prepare,
        runs,
        {
            name: sizes.n_dense_pivots if name in (PADDED_DENSE, AS_AUTHORS) else sizes.n_pivots
            for name in runs
        },
    )


def measure_links(
    sizes: LinkSizes, n_repeats: int = N_REPEATS, *, with_memory: bool = True
) -> list[Result]:
    """Results of one case, with the agreement of both; speedups stand with the slower ones."""
    inputs = prepare(sizes)
    results = measure_case(link_case(sizes), inputs, n_repeats, with_memory=with_memory)
    results[FACELINK] = replace(
        results[FACELINK], quality={**agreement(inputs), **_against_the_floor(inputs, results)}
    )
    for name in (PADDED_DENSE, AS_AUTHORS):
        faster = speedup(slower=results[name], faster=results[FACELINK])
        results[name] = replace(results[name], quality=faster)
    return list(results.values())


def _against_the_floor(inputs: LinkInputs, results: dict[str, Result]) -> dict[str, float]:
    """Operations that are needed, their rate within the run, and that of products alone."""
    batch = SubgraphBuilder(inputs.graph, inputs.sizes.subgraphs).build(inputs.pivots)
    needed = order_by_need(batch, inputs.model.n_layers)
    operations = needed_operations(inputs.model, needed, inputs.features.shape[1], len(batch))
    rate = operations / results[FACELINK].stages[TOTAL].median
    alone = product_rate()
    return {
        "nodes_per_pivot": len(needed.nodes) / len(batch),
        "needed_gflop_per_pivot": operations / len(batch) / 1e9,
        "gflop_per_second": rate / 1e9,
        "gflop_per_second_of_products_alone": alone / 1e9,
        "share_of_product_rate": rate / alone,
    }


def agreement(inputs: LinkInputs) -> dict[str, float]:
    """Greatest difference of both sides' likelihoods, and how far these spread.

    Where only one side has a likelihood, the difference is at least 1.
    """
    sparse = judge_by_facelink(inputs, Stopwatch())[: inputs.sizes.n_dense_pivots]
    dense = judge_by_padded_dense(inputs, Stopwatch())
    difference = np.abs(np.nan_to_num(sparse, nan=-1) - np.nan_to_num(dense, nan=-1))
    return {
        "max_score_difference": float(difference.max()),
        "max_score_difference_of_bfloat16": _bfloat16_difference(inputs, dense),
        "score_standard_deviation": float(np.nanstd(dense)),
    }


def _bfloat16_difference(inputs: LinkInputs, dense: NDArray[np.float32]) -> float:
    pivots = inputs.pivots[: len(dense)]
    few = replace(inputs, pivots=pivots)
    judged = judge_by_facelink(few, Stopwatch(), precision="bfloat16")
    return float(np.nanmax(np.abs(judged - dense)))


def measure(quick: bool, seed: int) -> Sequence[Result]:
    """All cases of this benchmark."""
    cases = [replace(sizes, seed=seed) for sizes in (QUICK if quick else FULL)]
    return [result for sizes in cases for result in measure_links(sizes)]


if __name__ == "__main__":
    run_benchmark("links", measure)
