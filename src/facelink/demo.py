"""The demonstration: made-up people grouped without training, beside a cosine threshold.

On request a LinkGCN is trained first, on other made-up people: the paper's path.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facelink.clustering import LinkageClustering
from facelink.features import save_features
from facelink.labels import save_labels
from facelink.link_prediction import similarity_links
from facelink.linking import subgraph_settings
from facelink.links import Links
from facelink.merging.threshold import merge_threshold
from facelink.metrics import ClusteringScores, clustering_scores
from facelink.models.config import LinkGCNConfig
from facelink.neighbors.search import find_neighbors
from facelink.subgraphs import SubgraphSettings
from facelink.synthetic import SyntheticFaces, SyntheticSettings, make_faces
from facelink.training.face_sets import FaceSet
from facelink.training.settings import TrainingSettings
from facelink.training.trainer import OnEpoch, OnStep, train_link_gcn

N_FEATURES = 128

_FACES = SyntheticSettings(
    n_faces=6_000, n_features=N_FEATURES, spread=1.1, family_share=0.3, family_similarity=0.55
)
_SUBGRAPHS = SubgraphSettings((40, 5), 5)
_TRAINING = TrainingSettings(
    subgraphs=_SUBGRAPHS,
    epochs=3,
    optimizer="adamw",
    learning_rate=1e-3,
    schedule="cosine",
)
_WIDTHS = (256, 256, 128, 128)
_COSINE_THRESHOLDS = np.round(np.arange(0.30, 0.81, 0.02), 2)


@dataclass(frozen=True)
class DemoReport:
    """What the demonstration measured on people that nothing was tuned on.

    Parameters
    ----------
    context_scores
        Of the default path: the context model, merged by likelihood.
    seconds
        What the default path took, in seconds, compilation included.
    model_scores
        Of a LinkGCN trained on the training people, with the merge threshold
        of its validation; None if none was trained.
    cosine_scores
        Of cosine similarity with the threshold that was best on the training
        people.
    cosine_threshold
        That cosine.
    """

    context_scores: ClusteringScores
    seconds: float
    model_scores: ClusteringScores | None
    cosine_scores: ClusteringScores
    cosine_threshold: float


def run_demo(
    folder: Path,
    *,
    seed: int = 0,
    with_training: bool = False,
    on_stage: Callable[[str], None] = lambda name: None,
    on_step: OnStep | None = None,
    on_epoch: OnEpoch | None = None,
) -> DemoReport:
    """Make faces, group them, compare; what it makes stays in `folder`.

    Parameters
    ----------
    folder
        Gets the made-up features and people of both halves, the labels found,
        and the model if one is trained. A run that is there already is replaced.
    seed
        Same seed, same figures.
    with_training
        Train a LinkGCN on the other half and group by it, too.
    on_stage
        Told the name of each stage as it begins.
    on_step, on_epoch
        As for `train_link_gcn`.
    """
    on_stage("making faces")
    known, unknown = make_faces(_FACES, seed=2 * seed), make_faces(_FACES, seed=2 * seed + 1)
    for name, faces in (("training", known), ("unseen", unknown)):
        save_features(folder / f"{name}.npy", faces.features)
        save_labels(folder / f"{name}-people.npy", faces.labels)

    on_stage("grouping people without training, threshold or number of people")
    start = time.perf_counter()
    labels = LinkageClustering().fit_predict(unknown.features)
    seconds = time.perf_counter() - start
    save_labels(folder / "labels.csv", labels)

    model_scores = None
    if with_training:
        on_stage("training a link model on other people, and grouping by it")
        _train(known, folder / "model", on_step, on_epoch)
        by_model = LinkageClustering(folder / "model").fit_predict(unknown.features)
        model_scores = clustering_scores(unknown.labels, by_model)

    on_stage("comparing with a cosine threshold")
    threshold = _best_cosine_threshold(known)
    return DemoReport(
        clustering_scores(unknown.labels, labels),
        seconds,
        model_scores,
        _scores_by_cosine(unknown, _cosine_links(unknown), threshold),
        threshold,
    )


def _train(
    known: SyntheticFaces, folder: Path, on_step: OnStep | None, on_epoch: OnEpoch | None
) -> None:
    for state in folder.glob("training_state.*"):
        state.unlink()
    train_link_gcn(
        [FaceSet("training", known.features, known.labels)],
        LinkGCNConfig(N_FEATURES, _WIDTHS, subgraphs=_SUBGRAPHS),
        _TRAINING,
        folder,
        on_step=on_step,
        on_epoch=on_epoch,
    )


def _cosine_links(faces: SyntheticFaces) -> Links:
    settings = subgraph_settings(None, len(faces.labels))
    graph = find_neighbors(faces.features, settings.n_neighbors)
    return similarity_links(graph, settings.k_at_hop[0])


def _scores_by_cosine(faces: SyntheticFaces, links: Links, threshold: float) -> ClusteringScores:
    merged = merge_threshold(links, (1 + threshold) / 2)
    return clustering_scores(faces.labels, merged.labels)


def _best_cosine_threshold(faces: SyntheticFaces) -> float:
    links = _cosine_links(faces)
    fscores = [
        _scores_by_cosine(faces, links, threshold).bcubed.fscore for threshold in _COSINE_THRESHOLDS
    ]
    return float(_COSINE_THRESHOLDS[int(np.argmax(fscores))])
