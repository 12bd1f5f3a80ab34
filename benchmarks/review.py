"""How fast the review page answers for an album of 100,000 faces and 5,000 people.

    python -m benchmarks.review [ALBUM] [--faces 100000] [--out benchmarks/records/review.json]

The album is made up at ALBUM where there is none, by default in a temporary folder: faces with the
structure of real ones, small pictures, an update, then two years of decisions. `facelink review`
serves it in a process of its own; every request goes through HTTP, as the browser's do. Decisions
are told to the disk before they are answered, so the disk's speed is in these figures.
"""

import argparse
import http.client
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.records import TOTAL, Record, Result, Timing, report
from facelink.album.additions import add_faces, embedding_model
from facelink.album.decisions import merge_people, name_person, say_same, separate_people
from facelink.album.library import DATABASE, Album, edit_album, open_album
from facelink.album.queries import people
from facelink.album.records import NewFace
from facelink.album.update import update_album
from facelink.models.context_gcn import ContextGCN
from facelink.review.security import TOKEN_HEADER
from facelink.synthetic import SyntheticSettings, make_faces

N_REPEATS = 9
N_NAMES = 2_000
N_DECISIONS = 2_000
THUMBNAIL_BYTES = 2_500
LARGEST_SHARE = 0.05
SEED = 0

_N_FACES = "SELECT count(*) FROM faces"


class Page:
    """The page's requests, over one connection that stays open.

    Parameters
    ----------
    port, token
        Of the address that `facelink review` printed.
    """

    def __init__(self, port: int, token: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        self.headers = {TOKEN_HEADER: token, "content-type": "application/json"}

    def ask(self, path: str) -> Any:
        """Answer of a GET; JSON, or bytes of a picture."""
        return self._request("GET", path)

    def say(self, path: str, **body: Any) -> Any:
        """Answer of a decision."""
        return self._request("POST", f"/api/{path}", json.dumps(body))

    def _request(self, method: str, path: str, body: str | None = None) -> Any:
        self.connection.request(method, path, body, self.headers)
        answer = self.connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{method} {path}: {answer.status} {content.decode()}")
        is_json = answer.headers["content-type"] == "application/json"
        return json.loads(content) if is_json else content


def make_album(folder: Path, n_faces: int) -> None:
    """Make up faces, let them find their people, and decide for two years."""
    settings = SyntheticSettings(
        n_faces=n_faces, n_features=128, spread=0.8, singleton_share=0.3, size_exponent=1.8,
        max_faces_per_person=5_000, junk_share=0.0,
    )  # fmt: skip
    random = np.random.default_rng(SEED)
    features = make_faces(settings, seed=SEED).features
    with edit_album(folder, "benchmark", create=True) as album:
        model = embedding_model(album, "made up", settings.n_features)
        pictures = (random.bytes(THUMBNAIL_BYTES) for _ in features)
        add_faces(
            album, model,
            [NewFace(row, thumbnail=one) for row, one in zip(features, pictures, strict=True)],
        )  # fmt: skip
        update_album(album, ContextGCN.pretrained())
        _decide(album, random)


def _decide(album: Album, random: np.random.Generator) -> None:
    """Merge the largest people, name many, and say of many pairs what they are."""
    largest, *others = people(album)
    while people(album, limit=1)[0].n_faces < LARGEST_SHARE * album.count(_N_FACES):
        merge_people(album, largest.id, others.pop(0).id)
    known = [largest, *others]
    for number, one in enumerate(known[:N_NAMES]):
        name_person(album, one.id, f"Person of the name {number}")
    for one in known[: N_DECISIONS // 2]:
        say_same(album, *random.choice(_faces(album, one.id), 2, replace=False).tolist())
    for place in range(min(N_DECISIONS, len(known)) // 2):
        separate_people(album, known[place].id, known[-1 - place].id)


def _faces(album: Album, person: int) -> list[int]:
    rows = album.connection.execute("SELECT face FROM memberships WHERE person = ?", (person,))
    return [row[0] for row in rows]


@contextmanager
def served(folder: Path) -> Iterator[tuple[Page, subprocess.Popen[str]]]:
    """Serve an album by the command of the product."""
    program = "from facelink.cli import main; main()"
    command = [sys.executable, "-c", program, "review", str(folder), "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            address = process.stdout.readline() if process.stdout else ""
            port, token = address.strip().removeprefix("http://127.0.0.1:").split("/?token=")
            yield Page(int(port), token), process
        finally:
            process.terminate()


def questions(page: Page) -> dict[str, list[str]]:
    """Paths of each kind of GET, as many as there are repeats."""
    largest = [one["id"] for one in page.ask("/api/people?limit=200")]
    doubtful = [one["id"] for one in page.ask("/api/people?order=doubt&limit=200")]
    turns = range(N_REPEATS)
    return {
        "counts": ["/api/counts"] * N_REPEATS,
        "people": [f"/api/people?limit=60&offset={60 * turn}" for turn in turns],
        "people, by doubt": [f"/api/people?order=doubt&offset={60 * turn}" for turn in turns],
        "people, last page": ["/api/people?limit=60&offset=4900"] * N_REPEATS,
        "largest person": [f"/api/people/{largest[0]}?offset={500 * turn}" for turn in turns],
        "person": [f"/api/people/{largest[10 + turn]}" for turn in turns],
        "weakest cut of the largest": [f"/api/people/{largest[0]}/split"] * N_REPEATS,
        "weakest cut": [f"/api/people/{largest[10 + turn]}/split" for turn in turns],
        "weakest cut of the doubtful": [f"/api/people/{doubtful[turn]}/split" for turn in turns],
        "pairs": [f"/api/pairs?offset={turn}" for turn in turns],
        "pairs, a page": [f"/api/pairs?limit=20&offset={20 * turn}" for turn in turns],
        "splits": [f"/api/splits?offset={20 * turn}" for turn in turns],
        "undecided": [f"/api/undecided?offset={30 * turn}" for turn in turns],
        "names": [f"/api/names?text=name%20{turn}" for turn in turns],
        "history": ["/api/history"] * N_REPEATS,
        "thumbnail": [f"/thumbnails/{1 + 9_973 * turn}" for turn in turns],
    }


def decisions(page: Page) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Name, path and body of each decision; each kind about people of its own."""
    largest = page.ask("/api/people?limit=1")[0]["id"]
    people_of_a_kind = iter(page.ask("/api/people?limit=200&offset=1000"))
    for turn in range(N_REPEATS):
        one, two, three = (next(people_of_a_kind)["id"] for _ in range(3))
        faces = [one["id"] for one in page.ask(f"/api/people/{two}")["faces"]]
        giants = [
            face["id"] for face in page.ask(f"/api/people/{largest}?offset={9 * turn}")["faces"]
        ]
        yield "name", f"people/{one}/name", {"name": f"Name {turn}"}
        yield "hide", f"people/{one}/hide", {"is_hidden": True}
        yield "separate", "separate", {"first": one, "other": two}
        yield "same", "same", {"first": faces[0], "other": faces[1]}
        yield "part", f"people/{two}/part", {"faces": faces[:1]}
        yield "assign", "assign", {"faces": faces[:1], "person": two}
        yield "reject", "reject", {"faces": faces[1:2]}
        yield "set aside", "set-aside", {"faces": faces[1:2], "kind": "ignore"}
        yield "merge", "merge", {"first": two, "other": three, "kept": two}
        yield "undo", "undo", {}
        yield "redo", "redo", {}
        yield "reject from the largest", "reject", {"faces": giants[:1]}
        yield "assign to the largest", "assign", {"faces": giants[:1], "person": largest}
        yield "merge into the largest", "merge", {"first": largest, "other": two, "kept": largest}
        yield "undo a merge into the largest", "undo", {}


def measure(page: Page) -> dict[str, list[float]]:
    """Seconds of every request, by what it is."""
    seconds: dict[str, list[float]] = {}

    def timed(name: str, work: Callable[[], Any]) -> None:
        started = time.perf_counter()
        work()
        seconds.setdefault(name, []).append(time.perf_counter() - started)

    timed("first page after the start", partial(page.ask, "/api/people"))
    timed("first pair after the start", partial(page.ask, "/api/pairs"))
    for name, paths in questions(page).items():
        for path in paths:
            timed(name, partial(page.ask, path))
    for name, path, body in decisions(page):
        timed(name, partial(page.say, path, **body))
    return seconds


def peak_memory(process: subprocess.Popen[str]) -> int:
    """Most bytes that a process had in memory."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return 1024 * int(line.split()[1])


def run(folder: Path, n_faces: int) -> list[Result]:
    """Make the album where there is none, and measure."""
    if not (folder / DATABASE).exists():
        make_album(folder, n_faces)
    with open_album(folder) as album:
        settings = {
            "n_faces": album.count(_N_FACES),
            "n_people": album.count("SELECT count(DISTINCT person) FROM memberships"),
            "n_in_largest": people(album, limit=1)[0].n_faces,
            "n_suggestions": album.count("SELECT count(*) FROM suggestions"),
            "n_decisions": album.count("SELECT count(*) FROM decisions"),
            "n_actions": album.count("SELECT count(*) FROM batches"),
        }
    with served(folder) as (page, process):
        seconds = measure(page)
        peak = peak_memory(process)
    return [
        Result(name, "page", "request", 1, {TOTAL: Timing(tuple(values))}, settings,
               peak_memory_bytes=peak)
        for name, values in seconds.items()
    ]  # fmt: skip


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("album", type=Path, nargs="?")
    parser.add_argument("--faces", type=int, default=100_000)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        results = run(arguments.album or Path(temporary) / "album", arguments.faces)
    record = Record.of("review", SEED, results)
    print(report(record))
    if arguments.out:
        record.save(arguments.out)


if __name__ == "__main__":
    main()
