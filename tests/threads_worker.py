"""Prints, as JSON, a digest of each result on 1, 2 and 4 threads: see `tests.unit.test_threads`.

A process of its own, since the most threads that numba may use are chosen when it starts.
"""

import hashlib
import json
import tempfile
from pathlib import Path

import numba
import numpy as np
import torch
from threadpoolctl import threadpool_limits

from facelink.clustering import LinkageClustering
from facelink.linking import judge_links
from facelink.neighbors.search import find_neighbors
from facelink.subgraphs import SubgraphSettings
from facelink.training.context.settings import ContextTrainingSettings
from facelink.training.context.trainer import train_context_gcn
from facelink.training.face_sets import FaceSet
from tests.helpers import clustered_features, random_model

SUBGRAPHS = SubgraphSettings((12, 3), 3)
FEATURES, LABELS = clustered_features(150, 10, n_features=32, spread=0.9)


def clusters(method: str) -> list[np.ndarray]:
    found = LinkageClustering(neighbor_method=method, random_state=0).fit(FEATURES)
    return [found.labels_, found.links_.pairs, found.links_.likelihoods]


def judged(aggregator: str, precision: str = "float32") -> list[np.ndarray]:
    graph = find_neighbors(FEATURES, 12, "exact")
    model = random_model(aggregator, 32, SUBGRAPHS)
    links = judge_links(model, FEATURES, graph, SUBGRAPHS, precision=precision)
    return [links.pairs, links.likelihoods]


def trained_context() -> list[np.ndarray]:
    settings = ContextTrainingSettings(
        n_rounds=1, round_draws=3, draw_pivots=64, max_k=20, max_faces=200, validation_share=0.4,
        made_up_share=0.3, validation_draws=4,
    )  # fmt: skip
    faces = FaceSet("people", FEATURES[:500], LABELS[:500])
    with tempfile.TemporaryDirectory() as folder:
        train_context_gcn({"one": [faces]}, settings, folder)
        return [np.frombuffer(Path(folder, "model.safetensors").read_bytes(), np.uint8)]


RESULTS = {
    "cluster, exact": lambda: clusters("exact"),
    "cluster, ivf": lambda: clusters("ivf"),
    "links, mean": lambda: judged("mean"),
    "links, weighted": lambda: judged("weighted"),
    "links, attention": lambda: judged("attention"),
    "links, bfloat16": lambda: judged("mean", "bfloat16"),
    "train-context": trained_context,
}


def main() -> None:
    digests: dict[str, list[str]] = {name: [] for name in RESULTS}
    for n_threads in (1, 2, 4):
        numba.set_num_threads(n_threads)
        torch.set_num_threads(n_threads)
        with threadpool_limits(n_threads):
            for name, result in RESULTS.items():
                digest = hashlib.sha256()
                for array in result():
                    digest.update(np.ascontiguousarray(array).tobytes())
                digests[name].append(digest.hexdigest())
    print(json.dumps(digests))


if __name__ == "__main__":
    main()
