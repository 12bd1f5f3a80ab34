"""What one more face costs in an album of many faces and people, as a user waits for it.

    python -m benchmarks.album_update ALBUMS 13000 50000 100000 [--out FILE]

Made-up faces: nine of each person, and after them a stranger. Each one's neighbours are the true
ones; what was judged of them is made up, so that albums of this size are there in minutes. They are
kept in the folder ALBUMS and copied before they are added to. Newcomers are judged by the network:
every second one is of a person in the album, the others are strangers.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.records import TOTAL, Record, Result, Timing
from facelink.album.forget import forget_person
from facelink.album.history import action
from facelink.album.import_features import import_features
from facelink.album.library import Album, edit_album
from facelink.album.neighborhood import Neighborhood, keep_neighborhood
from facelink.album.update import apply_plans, plan_update
from facelink.context.impostors import ImpostorStatistics
from facelink.features import normalize_features
from facelink.growing import JudgedNeighbors
from facelink.linking import subgraph_settings
from facelink.models.context_gcn import ContextGCN
from facelink.neighbors.search import find_neighbors

FACES_EACH = 10
WIDTH = 256
N_REPEATS = 5
SPREAD = 0.8
FACE = "made up"


def made_up_faces(n: int) -> NDArray[np.float32]:
    """Nine faces of each person and a stranger, in turns; then newcomers."""
    random = np.random.default_rng(0)
    centres = np.repeat(random.normal(size=(n // FACES_EACH + 1, WIDTH)), FACES_EACH, axis=0)[:n]
    strangers = np.arange(FACES_EACH - 1, n, FACES_EACH)
    centres[strangers] = random.normal(size=(len(strangers), WIDTH))
    known = centres[random.choice(np.flatnonzero(np.arange(n) % FACES_EACH), N_REPEATS + 1)]
    newcomers = random.normal(size=(N_REPEATS + 1, WIDTH))
    newcomers[::2] = known[::2]
    centres = np.concatenate([centres, newcomers])
    return normalize_features(centres + SPREAD * random.normal(size=centres.shape))


def fill(album: Album, link_model: ContextGCN, features: NDArray[np.float32]) -> None:
    """Add faces, put all but the strangers to their people, and keep what is made up of them."""
    n = len(features)
    import_features(album, features, model_name=FACE, ids=list(map(str, range(n))))
    faces = [row[0] for row in album.connection.execute("SELECT id FROM faces ORDER BY id")]
    place = np.arange(n)
    person = np.where(place % FACES_EACH < FACES_EACH - 1, place // FACES_EACH, n + place)
    graph = find_neighbors(features, subgraph_settings(link_model, n).n_neighbors)
    likelihoods = np.where(person[graph.indices] == person[:, None], 0.9, 0.05)
    nobody = np.zeros(n, dtype=np.bool_)
    impostors = ImpostorStatistics.of(features)
    judged = JudgedNeighbors(graph, likelihoods.astype(np.float32), n, nobody, impostors)
    with action(album, FACE) as under_way:
        for row, face in enumerate(faces):
            if row % FACES_EACH == 0:
                whose = under_way.new_person()
            if person[row] < n:
                under_way.place(face, whose)
    found = Neighborhood(np.array(faces), np.full(n, -1), place, judged)
    keep_neighborhood(album, album.models()[0], found)
    apply_plans(album, plan_update(album, link_model))


def filled(albums: Path, link_model: ContextGCN, features: NDArray[np.float32]) -> Path:
    """Folder of an album of all faces but the newcomers, made where it is not there."""
    n = len(features) - N_REPEATS - 1
    folder = albums / f"{n}.album"
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=albums) as beside:
            with edit_album(Path(beside) / "album", "benchmark", create=True) as album:
                fill(album, link_model, features[:n])
            (Path(beside) / "album").rename(folder)
    return folder


class Stopwatch:
    """Times an album's updates, plan and application apart."""

    def __init__(self, album: Album, link_model: ContextGCN) -> None:
        self.album, self.link_model = album, link_model
        self.planned: list[float] = []
        self.applied: list[float] = []
        self.looked_at: list[int] = []

    def update(self) -> None:
        """One update."""
        started = time.perf_counter()
        plans = plan_update(self.album, self.link_model)
        planned = time.perf_counter()
        apply_plans(self.album, plans)
        self.applied.append(time.perf_counter() - planned)
        self.planned.append(planned - started)
        asked = plans[0].asked
        self.looked_at.append(len(plans[0].found.faces) if asked is None else len(asked))

    def result(self, case: str, n_faces: int, first: int = 0) -> Result:
        """Record the updates from one on."""
        planned, applied = self.planned[first:], self.applied[first:]
        both = [sum(parts) for parts in zip(planned, applied, strict=True)]
        stages = {"plan": planned, "apply": applied, TOTAL: both}
        return Result(
            f"{n_faces} faces, {case}",
            "album",
            "update",
            1,
            {name: Timing(tuple(seconds)) for name, seconds in stages.items()},
            {"n_faces": n_faces, "n_features": WIDTH, "faces_each": FACES_EACH},
            {"most_looked_at": float(max(self.looked_at[first:]))},
        )


def measure(folder: Path, link_model: ContextGCN, features: NDArray[np.float32]) -> list[Result]:
    """Add newcomers one by one, then forget a person, in a copy of an album."""
    n = len(features) - N_REPEATS - 1
    with tempfile.TemporaryDirectory(dir=folder.parent) as beside:
        copy = shutil.copytree(folder, Path(beside) / "album")
        with edit_album(copy, "benchmark") as album:
            watch = Stopwatch(album, link_model)
            for row in range(n, len(features)):
                import_features(album, features[row : row + 1], model_name=FACE, ids=[str(row)])
                watch.update()
            results = [watch.result("one more", n, first=1)]
            forget_person(album, 1)
            watch.update()
            results.append(watch.result("a person forgotten", n, first=N_REPEATS + 1))
    return results


def main() -> None:
    """Make albums, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("albums", type=Path)
    parser.add_argument("sizes", type=int, nargs="+")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    arguments.albums.mkdir(parents=True, exist_ok=True)
    link_model = ContextGCN.pretrained()
    results = []
    for n in arguments.sizes:
        features = made_up_faces(n)
        folder = filled(arguments.albums, link_model, features)
        results += measure(folder, link_model, features)
        for result in results[-2:]:
            planned, applied = (result.stages[name].median for name in ("plan", "apply"))
            print(f"{result.case}: {planned:.3f} s to plan, {applied:.3f} s to apply", flush=True)
    if arguments.out:
        Record.of("album_update", 0, results).save(arguments.out)


if __name__ == "__main__":
    main()
