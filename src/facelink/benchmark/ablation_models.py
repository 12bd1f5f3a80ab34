"""LinkGCNs for the ablations: each variant trained once, on a budget, and kept."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from facelink.models.aggregators import Aggregator, MeanNormalization
from facelink.models.config import LinkGCNConfig
from facelink.models.link_gcn import LinkGCN
from facelink.subgraphs import SubgraphSettings
from facelink.training.face_sets import FaceSet, limit_faces
from facelink.training.settings import TrainingSettings
from facelink.training.state import fingerprint
from facelink.training.trainer import HISTORY_NAME, OnEpoch, train_link_gcn


@dataclass(frozen=True)
class AblationBudget:
    """How much training the variants get; all get the same.

    Parameters
    ----------
    name : str
        How reports call it.
    max_faces : int, optional
        Of each training set random whole people, at most so many faces; by default all.
    widths
        Output widths of the graph convolutions.
    training
        The training; its subgraphs are those of two hops.
    test_subgraphs
        Subgraphs that a trained model is used with, for two hops.
    """

    name: str
    max_faces: int | None
    widths: tuple[int, ...]
    training: TrainingSettings
    test_subgraphs: SubgraphSettings = field(default_factory=SubgraphSettings)


SMALL_BUDGET = AblationBudget(
    "small",
    max_faces=4_000,
    widths=(64, 64, 32, 32),
    training=TrainingSettings(
        subgraphs=SubgraphSettings((20, 5), 5),
        epochs=2,
        optimizer="adamw",
        learning_rate=1e-3,
        schedule="cosine",
        round_pivots=1_024,
        max_draw_faces=4_000,
    ),
)
"""Minutes for all variants together on two cores."""

PAPER_BUDGET = AblationBudget(
    "paper", max_faces=None, widths=(512, 512, 256, 256), training=TrainingSettings()
)
"""The paper's settings, on all faces: hours for each variant without a GPU."""


@dataclass(frozen=True)
class ModelVariant:
    """A LinkGCN that differs from the paper's in one thing.

    Parameters
    ----------
    name : str
        How tables call it.
    aggregator, mean_normalization
        As for `LinkGCNConfig`.
    n_hops
        h: a further hop follows as many neighbours as the second.
    include_pivot
        The pivot is a node of its own subgraph.
    """

    name: str
    aggregator: Aggregator = "mean"
    mean_normalization: MeanNormalization = "row"
    n_hops: int = 2
    include_pivot: bool = False

    def subgraphs(self, two_hops: SubgraphSettings) -> SubgraphSettings:
        """Settings for this variant's hops, from those for two."""
        first, second = two_hops.k_at_hop
        k_at_hop = (first, *[second] * (self.n_hops - 1))
        return SubgraphSettings(k_at_hop, two_hops.n_edge_neighbors, self.include_pivot)

    def config(self, n_features: int, budget: AblationBudget) -> LinkGCNConfig:
        """The model, for features of this width."""
        return LinkGCNConfig(
            n_features,
            budget.widths,
            self.aggregator,
            self.mean_normalization,
            subgraphs=self.subgraphs(budget.test_subgraphs),
        )


BASE = ModelVariant("mean, 2 hops, without the pivot")
"""The paper's model; every other variant changes one thing."""

VARIANTS: dict[str, tuple[ModelVariant, ...]] = {
    "aggregator": (
        BASE,
        ModelVariant("mean, symmetric normalisation", mean_normalization="symmetric"),
        ModelVariant("weighted", "weighted"),
        ModelVariant("attention", "attention"),
    ),
    "hops": (ModelVariant("1 hop", n_hops=1), BASE, ModelVariant("3 hops", n_hops=3)),
    "pivot": (BASE, ModelVariant("the pivot is a node", include_pivot=True)),
}
"""Variants by what they vary."""


def trained_variant(
    variant: ModelVariant,
    face_sets: Sequence[FaceSet],
    budget: AblationBudget,
    folder: Path,
    *,
    on_epoch: OnEpoch | None = None,
) -> LinkGCN:
    """Train a variant, or read it where it was trained before.

    Parameters
    ----------
    variant
        What to train.
    face_sets
        Training sets of one width; a fifth of the people of each validates.
    budget
        How much training.
    folder
        Holds one folder for each model, named after all that the training depends on; a
        run that was stopped goes on.
    on_epoch
        Called after each epoch.

    Returns
    -------
    LinkGCN
        Ready to judge, with the threshold that its validation chose.

    Raises
    ------
    InputError
        If the sets cannot train a model.
    OutputError
        If the folder cannot be written.
    """
    faces = [_limited(each, budget) for each in face_sets]
    config = variant.config(faces[0].n_features, budget)
    settings = replace(budget.training, subgraphs=variant.subgraphs(budget.training.subgraphs))
    run = json.dumps(fingerprint(config, settings, faces, ()), sort_keys=True)
    out = folder / f"{_slug(variant.name)}-{hashlib.sha256(run.encode()).hexdigest()[:12]}"
    if not _is_finished(out, settings.epochs):
        train_link_gcn(faces, config, settings, out, resume=True, on_epoch=on_epoch)
    return LinkGCN.from_pretrained(out)


def _limited(faces: FaceSet, budget: AblationBudget) -> FaceSet:
    if budget.max_faces is None or len(faces) <= budget.max_faces:
        return faces
    return limit_faces(faces, budget.max_faces, np.random.default_rng(budget.training.seed))


def _is_finished(out: Path, n_epochs: int) -> bool:
    history = out / HISTORY_NAME
    if not history.exists():
        return False
    return len(json.loads(history.read_text(encoding="utf-8"))["epochs"]) == n_epochs


def _slug(name: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in name.lower()).split())
