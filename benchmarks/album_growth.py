"""What new faces do to an album: whom they disturb, how well they are placed, what one costs.

    python -m benchmarks.album_growth FEATURES LABELS [--batches 50] [--faces N]

Three measurements, on the faces of one set in a random order:

- all but one of the faces at once, then one more: how many have other company than before;
- all faces in equal batches: BCubed F beside that of grouping them at once;
- one more face, among as many others of few people or of many: seconds.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facelink.album.import_features import import_features
from facelink.album.library import Album, edit_album
from facelink.album.update import update_album
from facelink.clustering import LinkageClustering
from facelink.features import load_features, normalize_features
from facelink.labels import load_labels
from facelink.metrics import bcubed_scores
from facelink.models.context_gcn import ContextGCN

COST_FACES = 4_000
COST_PEOPLE = (50, 200, 800)
COST_REPEATS = 5
COST_WIDTH = 128


class Growing:
    """An album in a temporary folder that faces are added to.

    Parameters
    ----------
    album
        Open for writing.
    """

    def __init__(self, album: Album) -> None:
        self.album = album
        self.link_model = ContextGCN.pretrained()
        self.n_faces = 0

    def add(self, features: NDArray[np.float32]) -> float:
        """Import faces and update; seconds of the update."""
        ids = [str(self.n_faces + row) for row in range(len(features))]
        import_features(self.album, features, model_name="set", ids=ids)
        self.n_faces += len(features)
        started = time.perf_counter()
        update_album(self.album, self.link_model)
        return time.perf_counter() - started

    def labels(self) -> NDArray[np.int64]:
        """Person of each face; an undecided one has a label of its own."""
        rows = self.album.connection.execute(
            "SELECT faces.id, coalesce(memberships.person, -faces.id) FROM faces "
            "LEFT JOIN memberships ON memberships.face = faces.id ORDER BY faces.id"
        )
        return np.array([label for _, label in rows], dtype=np.int64)


def changed_company(before: NDArray[np.int64], after: NDArray[np.int64]) -> float:
    """Share of faces whose group, among these faces, is not the same set as before."""
    groups = [np.unique(labels, return_inverse=True)[1] for labels in (before, after)]
    sizes = [np.bincount(labels)[labels] for labels in groups]
    both = np.unique(np.stack(groups, axis=1), axis=0, return_inverse=True)[1].reshape(-1)
    together = np.bincount(both)[both]
    return float(((together != sizes[0]) | (together != sizes[1])).mean())


def measure_disturbance(growing: Growing, features: NDArray[np.float32]) -> None:
    """Add all faces but the last ten at once, then these one by one."""
    at_once = growing.add(features[:-10])
    print(f"{growing.n_faces:,} faces at once: {at_once:.1f} s")
    shares, seconds = [], []
    for row in range(len(features) - 10, len(features)):
        before = growing.labels()
        seconds.append(growing.add(features[row : row + 1]))
        shares.append(changed_company(before, growing.labels()[: len(before)]))
    print(
        f"one face more, ten times: other company for {100 * max(shares):.4f} % of the faces at "
        f"most, {100 * np.mean(shares):.4f} % on average; {np.median(seconds):.2f} s each"
    )


def measure_batches(
    growing: Growing, features: NDArray[np.float32], labels: NDArray[np.int64], n_batches: int
) -> None:
    """Add all faces in equal batches and compare with grouping them at once."""
    seconds = sum(growing.add(batch) for batch in np.array_split(features, n_batches))
    grown = bcubed_scores(labels, growing.labels())
    at_once = bcubed_scores(labels, LinkageClustering().fit_predict(features))
    for name, score in (("at once", at_once), (f"{n_batches} batches", grown)):
        print(
            f"{name}: BCubed F {100 * score.fscore:.2f}, precision {100 * score.precision:.2f}, "
            f"recall {100 * score.recall:.2f}"
        )
    print(f"difference {100 * (grown.fscore - at_once.fscore):+.2f}; {seconds:.0f} s in all")


def measure_cost(growing: Growing, n_people: int) -> None:
    """Add single faces to as many others, of this many people."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(n_people, COST_WIDTH))
    labels = random.permutation(np.arange(COST_FACES + COST_REPEATS) % n_people)
    faces = normalize_features(
        centres[labels] + 0.8 * random.normal(size=(len(labels), COST_WIDTH))
    )
    growing.add(faces[:COST_FACES])
    seconds = [growing.add(faces[row : row + 1]) for row in range(COST_FACES, len(faces))]
    known = len(np.unique(growing.labels()))
    print(f"{COST_FACES:,} faces in {known:,} groups: {np.median(seconds):.3f} s for one more face")


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("features", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--batches", type=int, default=50)
    parser.add_argument("--faces", type=int, help="only so many, to try it out")
    arguments = parser.parse_args()
    features, labels = load_features(arguments.features), load_labels(arguments.labels)
    order = np.random.default_rng(0).permutation(len(features))[: arguments.faces]
    features, labels = features[order], labels[order]
    with tempfile.TemporaryDirectory() as folder:
        with edit_album(Path(folder) / "one", "benchmark", create=True) as album:
            measure_disturbance(Growing(album), features)
        for n_people in COST_PEOPLE:
            name = f"people-{n_people}"
            with edit_album(Path(folder) / name, "benchmark", create=True) as album:
                measure_cost(Growing(album), n_people)
        with edit_album(Path(folder) / "batches", "benchmark", create=True) as album:
            measure_batches(Growing(album), features, labels, arguments.batches)


if __name__ == "__main__":
    main()
