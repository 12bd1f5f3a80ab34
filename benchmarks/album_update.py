"""What one more face costs in an album of many faces and people, part by part.

    python -m benchmarks.album_update 13000 50000 100000

Made-up faces, ten of each person. Neighbours and likelihoods are made up, too, so that albums of
this size are there in seconds; what is measured is the update after one more face, as a user waits
for it.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facelink.album.history import action
from facelink.album.import_features import import_features
from facelink.album.library import Album, edit_album
from facelink.album.neighborhood import Neighborhood, keep_neighborhood
from facelink.album.update import apply_plans, plan_update
from facelink.features import normalize_features
from facelink.growing import JudgedNeighbors
from facelink.linking import subgraph_settings
from facelink.models.context_gcn import ContextGCN
from facelink.neighbors.graph import NeighborGraph

FACES_EACH = 10
WIDTH = 128
N_REPEATS = 3


def made_up_graph(
    features: NDArray[np.float32], people: NDArray[np.int64], k: int
) -> JudgedNeighbors:
    """Everyone of the same person, then strangers at random, judged by whether they are one."""
    random = np.random.default_rng(1)
    n = len(features)
    first = np.arange(n) // FACES_EACH * FACES_EACH
    same = first[:, None] + np.arange(FACES_EACH)
    same = same[same != np.arange(n)[:, None]].reshape(n, FACES_EACH - 1)
    ahead = np.sort(random.integers(0, n - 2 * k, (n, k - FACES_EACH + 1)), axis=1)
    ahead += np.arange(k - FACES_EACH + 1) + FACES_EACH  # different ones, of other people
    strangers = (first[:, None] + ahead) % n
    indices = np.concatenate([same, strangers], axis=1).astype(np.int32)
    similarities = np.stack(
        [features[row] @ features[listed].T for row, listed in enumerate(indices)]
    ).astype(np.float32)
    order = np.lexsort((indices, -similarities), axis=1)
    indices = np.take_along_axis(indices, order, axis=1)
    similarities = np.take_along_axis(similarities, order, axis=1)
    is_same = people[indices] == people[:, None]
    likelihoods = np.where(is_same, 0.9, 0.05).astype(np.float32)
    nobody = np.zeros(n, dtype=np.bool_)
    graph = NeighborGraph(indices, similarities)
    return JudgedNeighbors(graph, likelihoods, n, nobody)


def fill(album: Album, link_model: ContextGCN, features: NDArray[np.float32]) -> None:
    """Add faces, put all but every tenth to their people, and keep made-up neighbours."""
    n = len(features)
    people = np.arange(n) // FACES_EACH
    faces = import_features(album, features, model_name="made up", ids=list(map(str, range(n))))
    judged = made_up_graph(features, people, subgraph_settings(link_model, n).n_neighbors)
    with action(album, "made up") as under_way:
        for place, face in enumerate(faces):
            if place % FACES_EACH == 0:
                whose = under_way.new_person()
            if place % FACES_EACH < FACES_EACH - 1:
                under_way.place(face, whose)
    found = Neighborhood(np.array(faces), np.full(n, -1), np.arange(n), judged)
    keep_neighborhood(album, album.models()[0], found)
    apply_plans(album, plan_update(album, link_model))


def main() -> None:
    """Make albums, add faces one by one, print."""
    link_model = ContextGCN.pretrained()
    for n in map(int, sys.argv[1:]):
        random = np.random.default_rng(0)
        centres = np.repeat(random.normal(size=(n // FACES_EACH + 1, WIDTH)), FACES_EACH, axis=0)
        features = normalize_features(centres + 0.8 * random.normal(size=centres.shape))
        with (
            tempfile.TemporaryDirectory() as folder,
            edit_album(Path(folder) / "album", "benchmark", create=True) as album,
        ):
            fill(album, link_model, features[:n])
            planned, applied = [], []
            for row in range(n, n + N_REPEATS):
                import_features(
                    album, features[row : row + 1], model_name="made up", ids=[str(row)]
                )
                started = time.perf_counter()
                plans = plan_update(album, link_model)
                planned.append(time.perf_counter() - started)
                apply_plans(album, plans)
                applied.append(time.perf_counter() - started - planned[-1])
            print(
                f"{n:,} faces: {np.median(planned):.2f} s to plan, {np.median(applied):.2f} s to "
                "apply, for one more face",
                flush=True,
            )


if __name__ == "__main__":
    main()
