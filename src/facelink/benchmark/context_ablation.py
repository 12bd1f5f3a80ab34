"""Ablations of the default path: neighbours, context features, merging."""

import copy
from collections.abc import Iterator
from functools import partial

import torch

from facelink.benchmark.ablation import BEST_CUT, AblationRow, TestBench
from facelink.context.names import FEATURE_GROUPS, first_column
from facelink.errors import InputError
from facelink.merging.bfs import merge_bfs
from facelink.merging.likelihood import merge_by_likelihood
from facelink.merging.threshold import merge_threshold
from facelink.models.context_gcn import ContextGCN

_KS = (10, 20, 40, 80, 160)
_CAP = 300

NOTES = {
    "context model: neighbours": "The one model that ships, with k neighbours judged.",
    "context model: features": (
        "Each group of context features in turn is set to its mean of training, for all links. "
        "The network was not trained without it: this shows what the trained network relies on, "
        "not what a network could do without these features."
    ),
    "context model: merging": "The same links, merged in several ways.",
}
"""What a reader must know of each study."""


def ablate_context(bench: TestBench, model: ContextGCN | None = None) -> Iterator[AblationRow]:
    """Change the default path in one thing at a time.

    Parameters
    ----------
    bench
        Where it is tried.
    model
        A context model; by default the one that ships with facelink.

    Yields
    ------
    AblationRow
        Each as soon as it is measured. Seconds are those of judging and merging, without
        the neighbour search.
    """
    model = model or ContextGCN.pretrained()
    study = "context model: neighbours"
    for k in _KS:
        if bench.has(k):
            yield _tried(bench, model, study, f"k = {k}", k)
    yield from _features(bench, model)
    yield from _merging(bench, model)


def without_features(model: ContextGCN, group: str) -> ContextGCN:
    """The same network, blind to a group of context features: each has its mean of training.

    Raises
    ------
    InputError
        If there is no such group.
    """
    if group not in FEATURE_GROUPS:
        raise InputError(f"group={group!r}; choose one of {', '.join(FEATURE_GROUPS)}.")
    blind = copy.deepcopy(model)
    start = first_column(group)
    columns = slice(start, start + len(FEATURE_GROUPS[group]))
    blind.feature_std[columns] = torch.inf  # what is divided by it is 0, its mean
    return blind


def _tried(
    bench: TestBench, model: ContextGCN, study: str, variant: str, k: int | None = None
) -> AblationRow:
    """Judge and merge by likelihood."""
    settings = bench.settings(model, None if k is None else (k,))
    links, seconds = bench.judge(model, settings)
    return bench.score(study, variant, links, merge_by_likelihood, seconds)


def _features(bench: TestBench, model: ContextGCN) -> Iterator[AblationRow]:
    study = "context model: features"
    variants = {f"without {group}": without_features(model, group) for group in FEATURE_GROUPS}
    for name, variant in {"all features": model, **variants}.items():
        yield _tried(bench, variant, study, name)


def _merging(bench: TestBench, model: ContextGCN) -> Iterator[AblationRow]:
    study = "context model: merging"
    settings = bench.settings(model)
    links, seconds = bench.judge(model, settings)
    score = partial(bench.score, study, links=links, seconds_before=seconds)
    yield score("by likelihood", merge=merge_by_likelihood)
    once = partial(merge_by_likelihood, self_calibrate=False)
    yield score("by likelihood, taken at its word", merge=once)
    cut = partial(merge_threshold, threshold=0.5)
    yield score("components from 0.5 on", merge=cut, threshold=0.5)
    bfs = partial(merge_bfs, initial_threshold=0.5, max_cluster_size=_CAP)
    yield score(f"rising threshold, at most {_CAP} faces", merge=bfs, threshold=0.5)
    yield bench.score_best_cut(study, BEST_CUT, links, seconds)
    cosine, seconds = bench.judge(None, bench.settings(None))
    yield bench.score_best_cut(study, f"cosine links, {BEST_CUT}", cosine, seconds)
