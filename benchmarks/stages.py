"""The stages one by one: subgraphs, a training step, merging and metrics at full size."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import N_REPEATS, Case, Stopwatch, measure_case, run_benchmark
from benchmarks.links import FACELINK, LinkInputs, LinkSizes, build_subgraphs, prepare
from benchmarks.records import Result
from facelink.links import Links
from facelink.merging.merge import AnyMergeResult, MergeMethod, merge_links
from facelink.merging.result import MergeResult
from facelink.metrics import ClusteringScores, clustering_scores
from facelink.subgraphs import SubgraphSettings

_N_LONG_REPEATS = 3


@dataclass(frozen=True)
class MergeSizes:
    """Random links between random instances, with likelihoods uniform in [0, 1)."""

    method: MergeMethod = "bfs"
    n_links: int = 30_000_000
    n_instances: int = 584_013
    seed: int = 0


@dataclass(frozen=True)
class MetricsSizes:
    """Random labels; the defaults are those of MS-Celeb-1M's smallest split in 200,000 clusters."""

    n_faces: int = 584_013
    n_identities: int = 8_573
    n_clusters: int = 200_000
    seed: int = 0


@dataclass(frozen=True)
class StageSizes:
    """Sizes of every case of this benchmark."""

    subgraphs: tuple[LinkSizes, ...]
    merging: tuple[MergeSizes, ...]
    metrics: MetricsSizes


_PAPER_TRAINING = SubgraphSettings((200, 10), 10)
_SMALL = SubgraphSettings((10, 3), 3)

FULL = StageSizes(
    subgraphs=(
        LinkSizes(128, widths=(1,), n_faces=50_000, n_pivots=20_480, n_dense_pivots=0),
        LinkSizes(
            128,
            widths=(1,),
            subgraphs=_PAPER_TRAINING,
            n_faces=50_000,
            n_pivots=4_096,
            n_dense_pivots=0,
        ),
    ),
    merging=(MergeSizes("bfs"), MergeSizes("threshold")),
    metrics=MetricsSizes(),
)
QUICK = StageSizes(
    subgraphs=(LinkSizes(32, "mean", (1,), _SMALL, 500, 256, 0),),
    merging=(
        MergeSizes("bfs", 1_000_000, 20_000),
        MergeSizes("threshold", 1_000_000, 20_000),
    ),
    metrics=MetricsSizes(20_000, 300, 7_000),
)


def measure_subgraphs(
    sizes: LinkSizes, n_repeats: int = N_REPEATS, *, with_memory: bool = True
) -> Result:
    """Subgraphs alone, of pivots in random order."""
    case: Case[LinkSizes, LinkInputs] = Case(
        f"subgraphs, {sizes.subgraphs_in_words}",
        "pivot",
        sizes,
        prepare,
        {FACELINK: build_subgraphs},
        {FACELINK: sizes.n_pivots},
    )
    return measure_case(case, prepare(sizes), n_repeats, with_memory=with_memory)[FACELINK]


MergeInputs = tuple[MergeSizes, Links]


def random_links(sizes: MergeSizes) -> MergeInputs:
    """Draw the links; a pair may come twice, which no merging minds."""
    random = np.random.default_rng(sizes.seed)
    pairs = random.integers(0, sizes.n_instances, size=(sizes.n_links, 2), dtype=np.int32)
    to_itself = pairs[:, 0] == pairs[:, 1]
    pairs[to_itself, 1] = (pairs[to_itself, 0] + 1) % sizes.n_instances
    pairs.sort(axis=1)
    likelihoods = random.random(sizes.n_links, dtype=np.float32)
    one_sided = np.zeros(sizes.n_links, dtype=np.bool_)
    return sizes, Links(pairs, likelihoods, one_sided, sizes.n_instances)


def merge(inputs: MergeInputs, stopwatch: Stopwatch) -> AnyMergeResult:
    """Merge with the default settings of the method."""
    sizes, links = inputs
    return merge_links(links, sizes.method)


def measure_merging(
    sizes: MergeSizes, n_repeats: int = _N_LONG_REPEATS, *, with_memory: bool = True
) -> Result:
    """Merging of links that hold everyone together until the threshold is high."""
    case: Case[MergeSizes, MergeInputs] = Case(
        f"merging, {sizes.method}",
        "link",
        sizes,
        random_links,
        {FACELINK: merge},
        {FACELINK: sizes.n_links},
    )
    inputs = random_links(sizes)
    result = measure_case(case, inputs, n_repeats, with_memory=with_memory)[FACELINK]
    merged = merge(inputs, Stopwatch())
    quality = {
        "n_clusters": float(merged.n_clusters),
        "largest_cluster": float(np.bincount(merged.labels).max()),
    }
    if isinstance(merged, MergeResult):
        quality["n_passes"] = float(merged.n_passes)
    return replace(result, quality=quality)


Labels = tuple[NDArray[np.int64], NDArray[np.int64]]


def random_labels(sizes: MetricsSizes) -> Labels:
    """True and predicted labels, each group at least once; nearly every face is a cell."""
    random = np.random.default_rng(sizes.seed)

    def draw(n_groups: int) -> NDArray[np.int64]:
        others = random.integers(0, n_groups, size=sizes.n_faces - n_groups)
        return random.permutation(np.concatenate((np.arange(n_groups), others)))

    return draw(sizes.n_identities), draw(sizes.n_clusters)


def score(inputs: Labels, stopwatch: Stopwatch) -> ClusteringScores:
    """Every score, with and without predicted singletons."""
    return clustering_scores(*inputs)


def measure_metrics(
    sizes: MetricsSizes, n_repeats: int = N_REPEATS, *, with_memory: bool = True
) -> Result:
    """All metrics of random labels, the worst case for a sparse table."""
    case: Case[MetricsSizes, Labels] = Case(
        "metrics", "face", sizes, random_labels, {FACELINK: score}, {FACELINK: sizes.n_faces}
    )
    inputs = random_labels(sizes)
    result = measure_case(case, inputs, n_repeats, with_memory=with_memory)[FACELINK]
    scores = score(inputs, Stopwatch())
    quality = {
        "n_identities": float(scores.n_identities),
        "n_clusters": float(scores.n_clusters),
        "bcubed_fscore": scores.bcubed.fscore,
        "ari": scores.ari,
    }
    return replace(result, quality=quality)


def measure(quick: bool, seed: int) -> Sequence[Result]:
    """All cases of this benchmark."""
    sizes = QUICK if quick else FULL
    return [
        *(measure_subgraphs(replace(subgraphs, seed=seed)) for subgraphs in sizes.subgraphs),
        *(measure_merging(replace(merging, seed=seed)) for merging in sizes.merging),
        measure_metrics(replace(sizes.metrics, seed=seed)),
    ]


if __name__ == "__main__":
    run_benchmark("stages", measure)
