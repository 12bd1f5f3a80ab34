"""The demonstration: train on made-up people, then group other made-up people.

Everything that a real use does, small: features in files, a model trained on
some identities and used on others, scores beside what a cosine threshold gives.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facelink.clustering import LinkageClustering, subgraph_settings
from facelink.features import save_features
from facelink.labels import save_labels
from facelink.link_prediction import similarity_links
from facelink.links import Links
from facelink.merging.threshold import merge_threshold
from facelink.metrics import ClusteringScores, clustering_scores
from facelink.models.config import LinkGCNConfig
from facelink.models.link_gcn import LinkGCN
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
    """What the demonstration measured on people it had not seen.

    Parameters
    ----------
    model_scores
        Of the trained link model with the merge threshold of its validation.
    cosine_scores
        Of cosine similarity with the threshold that was best on the training
        people.
    cosine_threshold
        That cosine.
    """

    model_scores: ClusteringScores
    cosine_scores: ClusteringScores
    cosine_threshold: float


def run_demo(
    folder: Path,
    *,
    seed: int = 0,
    on_stage: Callable[[str], None] = lambda name: None,
    on_step: OnStep | None = None,
    on_epoch: OnEpoch | None = None,
) -> DemoReport:
    """Make faces, train, group, compare; what it makes stays in `folder`.

    Parameters
    ----------
    folder
        Gets the made-up features and people of both halves, the model, and the
        labels found. A run that is there already is replaced.
    seed
        Same seed, same figures.
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

    on_stage("training a link model")
    for state in (folder / "model").glob("training_state.*"):
        state.unlink()
    train_link_gcn(
        [FaceSet("training", known.features, known.labels)],
        LinkGCNConfig(N_FEATURES, _WIDTHS, subgraphs=_SUBGRAPHS),
        _TRAINING,
        folder / "model",
        on_step=on_step,
        on_epoch=on_epoch,
    )

    on_stage("grouping people it has not seen")
    clustering = LinkageClustering(LinkGCN.from_pretrained(folder / "model"))
    labels = clustering.fit_predict(unknown.features)
    save_labels(folder / "labels.csv", labels)

    on_stage("comparing with a cosine threshold")
    threshold = _best_cosine_threshold(known)
    return DemoReport(
        clustering_scores(unknown.labels, labels),
        _scores_by_cosine(unknown, _cosine_links(unknown), threshold),
        threshold,
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
