"""Ablations of the paper's network: aggregator, hops, pivot, context at test time, merging.

Source: L-GCN (arXiv 1903.11306), section 4.3.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import get_args

from facelink.benchmark.ablation import BEST_CUT, AblationRow, TestBench
from facelink.benchmark.ablation_models import (
    BASE,
    SMALL_BUDGET,
    VARIANTS,
    AblationBudget,
    trained_variant,
)
from facelink.benchmark.scored import timed
from facelink.link_prediction import CombineDirections, combine_directions, predict_likelihoods
from facelink.links import Links
from facelink.merging.bfs import merge_bfs
from facelink.merging.likelihood import merge_by_likelihood
from facelink.merging.merge import AnyMergeResult
from facelink.merging.threshold import merge_threshold
from facelink.models.link_gcn import LinkGCN
from facelink.training.face_sets import FaceSet
from facelink.training.trainer import OnEpoch

_CAP = 300

_TEST_K1 = (10, 20, 40, 80, 160)
_TEST_K2 = (1, 5, 10)
_TEST_U = (3, 5, 10)

NOTES = {
    "aggregator": "Trained alike; components of the links from the threshold of validation on.",
    "hops": "A further hop follows as many neighbours as the second, in training and in use.",
    "pivot": "The authors' code keeps the pivot as a node of its own subgraph, the paper does not.",
    "context at test time": (
        "One trained model, used with other subgraphs; its threshold stays as it is."
    ),
    "merging": (
        "The same links of one trained model, merged in several ways. Directions: how the "
        "likelihoods of (p, q) and (q, p) become one; the mean elsewhere."
    ),
}
"""What a reader must know of each study."""


def ablate_link_gcn(
    bench: TestBench,
    face_sets: Sequence[FaceSet],
    folder: Path,
    budget: AblationBudget = SMALL_BUDGET,
    *,
    on_epoch: OnEpoch | None = None,
) -> Iterator[AblationRow]:
    """Train the variants and try them.

    Parameters
    ----------
    bench
        Where they are tried: faces of the same width, of other people.
    face_sets
        Training sets.
    folder
        Where trained models are kept; a second run does not train again.
    budget
        How much training each variant gets.
    on_epoch
        Called after each epoch of training.

    Yields
    ------
    AblationRow
        Each as soon as it is measured. Seconds are those of judging and merging, without
        the neighbour search.

    Raises
    ------
    InputError
        If the sets cannot train a model, or differ in width from the bench.
    """
    rows: dict[str, AblationRow] = {}
    base = trained_variant(BASE, face_sets, budget, folder, on_epoch=on_epoch)
    base.check_features(bench.collection.features)
    for study, variants in VARIANTS.items():
        for variant in variants:
            if variant.name not in rows:
                model = trained_variant(variant, face_sets, budget, folder, on_epoch=on_epoch)
                rows[variant.name] = _tried(bench, model, study, variant.name)
            yield replace(rows[variant.name], study=study)
    yield from _other_contexts(bench, base)
    yield from _merging(bench, base)


def _tried(
    bench: TestBench,
    model: LinkGCN,
    study: str,
    variant: str,
    k_at_hop: tuple[int, ...] | None = None,
    n_edge_neighbors: int | None = None,
) -> AblationRow:
    """Judge with these subgraphs and take components from the model's threshold on."""
    settings = bench.settings(model, k_at_hop, n_edge_neighbors)
    links, seconds = bench.judge(model, settings)
    threshold = model.config.initial_threshold
    cut = partial(merge_threshold, threshold=threshold)
    return bench.score(study, variant, links, cut, seconds, threshold)


def _other_contexts(bench: TestBench, model: LinkGCN) -> Iterator[AblationRow]:
    """k1, k2 and u in turn, the others as they are."""
    k1, k2 = model.config.subgraphs.k_at_hop
    u = model.config.subgraphs.n_edge_neighbors
    wanted = [
        *((f"k1 = {k}", (k, min(k, k2)), min(k, u)) for k in _TEST_K1),
        *((f"k2 = {k}", (k1, k), u) for k in _TEST_K2),
        *((f"u = {n}", (k1, k2), n) for n in _TEST_U),
    ]
    for variant, k_at_hop, n_edge_neighbors in wanted:
        if bench.has(max(*k_at_hop, n_edge_neighbors)):
            yield _tried(bench, model, "context at test time", variant, k_at_hop, n_edge_neighbors)


def _merging(bench: TestBench, model: LinkGCN) -> Iterator[AblationRow]:
    """Several ways to merge the same judged links."""
    settings = bench.settings(model)
    features, graph = bench.collection.features, bench.graph
    judged, seconds = timed(partial(predict_likelihoods, model, features, graph, settings))
    links = {how: combine_directions(graph, judged, how) for how in get_args(CombineDirections)}
    score = partial(bench.score, "merging", seconds_before=seconds)
    threshold = model.config.initial_threshold
    for how, combined in links.items():
        cut = partial(merge_threshold, threshold=threshold)
        yield score(f"components, directions: {how}", combined, cut, threshold=threshold)
    for variant, merge, start in _ways(threshold):
        yield score(variant, links["mean"], merge, threshold=start)
    honest = model.config.calibration.apply(links["mean"].likelihoods)
    calibrated = replace(links["mean"], likelihoods=honest)
    yield score("by likelihood", calibrated, merge_by_likelihood)
    once = partial(merge_by_likelihood, self_calibrate=False)
    yield score("by likelihood, taken at its word", calibrated, once)
    yield bench.score_best_cut("merging", BEST_CUT, links["mean"], seconds)


def _ways(
    threshold: float,
) -> Iterator[tuple[str, Callable[[Links], AnyMergeResult], float]]:
    """Merging with a threshold: name, function, where it starts."""
    yield "components from 0.5 on", partial(merge_threshold, threshold=0.5), 0.5
    bfs = partial(merge_bfs, initial_threshold=threshold, max_cluster_size=_CAP)
    yield f"rising threshold, at most {_CAP} faces", bfs, threshold
    blind = partial(bfs, first_pass_without_threshold=True)
    yield "the same, first pass without a threshold (the authors' code)", blind, 0.0
