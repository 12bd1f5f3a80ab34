"""`faces`: features of the faces in photographs, for those who start from photographs."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from facelink.cli import options
from facelink.cli.output import note, print_facts, progress_bar
from facelink.errors import InputError
from facelink.features import save_features
from facelink.files import check_writable, written_beside
from facelink.photos.detection import YuNetDetector
from facelink.photos.embedding import Embedder, arcface, insightface, reidentifier
from facelink.photos.finding import find_photos
from facelink.photos.model_files import DETECTOR, model_file
from facelink.photos.pipeline import FaceReader, ScanProgress
from facelink.photos.records import FoundFace, PhotoFaces, PhotoProblem

_COLUMNS = (
    "row", "photo", "left", "top", "width", "height", "detection_score", "sharpness", "size_px",
    "junk", "taken_at",
)  # fmt: skip

PhotoPaths = Annotated[
    list[Path], typer.Argument(metavar="PATH…", help="Photographs and folders of them.")
]
ModelsFolder = Annotated[
    Path | None,
    typer.Option(
        "--models",
        metavar="DIR",
        help="Folder of the model files. By default they are downloaded at first use (2.8 MB).",
    ),
]
Recogniser = Annotated[
    Path | None,
    typer.Option("--recogniser", metavar="ONNX", help="Another recogniser, of ArcFace's kind."),
]
AcceptLicence = Annotated[
    bool,
    typer.Option(
        "--accept-insightface-licence",
        help="Use one of InsightFace's models, for non-commercial research only.",
    ),
]
Workers = Annotated[
    int | None, typer.Option("--workers", metavar="N", help="Photographs read at a time.")
]


def faces(
    paths: PhotoPaths,
    out: Annotated[
        Path,
        typer.Option("--out", metavar="FILE", help="Features, one row per face: .npy, .parquet, …"),
    ],
    table: Annotated[
        Path | None,
        typer.Option(
            "--table", metavar="CSV", help="Photograph, box and quality of each row, as CSV."
        ),
    ] = None,
    models: ModelsFolder = None,
    recogniser: Recogniser = None,
    accept_insightface_licence: AcceptLicence = False,
    skip_junk: Annotated[
        bool,
        typer.Option(
            "--skip-junk", help="Leave out faces that are small, blurred, turned or uncertain."
        ),
    ] = False,
    workers: Workers = None,
    json: options.Json = False,
) -> None:
    """Find the faces in photographs and write their features, ready to be clustered.

    Needs pip install 'facelink[photos]', and facelink[heif] for HEIC. Photographs that
    cannot be read are listed at the end and do not stop the others.

    Example: facelink faces ~/Pictures --out features.npy --table faces.csv
    """
    for path in (out, table):
        if path is not None:
            check_writable(path)
    reader = face_reader(models, recogniser, accept_insightface_licence)
    found, problems = _scanned(reader, paths, workers)
    kept = [
        (photo, face) for photo in found for face in photo.faces if not (skip_junk and face.is_junk)
    ]
    note_problems(problems)
    if not kept:
        raise InputError(
            f"no faces in {len(found)} photographs; give other photographs"
            f"{' or leave out --skip-junk' if skip_junk else ''}."
        )
    save_features(out, np.stack([face.feature for _, face in kept]))
    if table is not None:
        _save_table(table, kept)
    facts = {
        "photographs": len(found),
        "unreadable": len(problems),
        "faces": len(kept),
        "junk_faces": sum(face.is_junk for _, face in kept),
        "recogniser": reader.embedder.name,
        "out": str(out),
        "table": None if table is None else str(table),
    }
    print_facts(facts, as_json=json)


def face_reader(models: Path | None, recogniser: Path | None, accepted: bool) -> FaceReader:
    """Load the detector and the recogniser that the options name."""
    detector = YuNetDetector(model_file(DETECTOR, models))
    return FaceReader(detector, _embedder(recogniser, models, accepted))


def _embedder(path: Path | None, models: Path | None, accepted: bool) -> Embedder:
    if path is None:
        if accepted:
            raise InputError("--accept-insightface-licence needs --recogniser, the model's file.")
        return reidentifier(models)
    return insightface(path, accept_licence=True) if accepted else arcface(path)


def _scanned(
    reader: FaceReader, paths: Iterable[Path], n_workers: int | None
) -> tuple[list[PhotoFaces], list[PhotoProblem]]:
    """Read every photograph; thumbnails are dropped at once."""
    files = list(find_photos(paths))
    found: list[PhotoFaces] = []
    problems: list[PhotoProblem] = []
    with progress_bar("reading photographs", len(files), "photographs") as advance:

        def show(_: ScanProgress) -> None:
            advance(1)

        for outcome in reader.scan(files, n_workers=n_workers, on_progress=show):
            if isinstance(outcome, PhotoProblem):
                problems.append(outcome)
            else:
                found.append(_without_thumbnails(outcome))
    return found, problems


def _without_thumbnails(photo: PhotoFaces) -> PhotoFaces:
    return replace(photo, faces=tuple(replace(face, thumbnail=b"") for face in photo.faces))


def note_problems(problems: Iterable[PhotoProblem]) -> None:
    """Tell the user what could not be read and why, one per line."""
    for problem in problems:
        note(f"{problem.path}: {problem.reason}")


def _save_table(path: Path, kept: list[tuple[PhotoFaces, FoundFace]]) -> None:
    with written_beside(path) as temporary, temporary.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(_COLUMNS)
        writer.writerows(_rows(kept))


def _rows(kept: list[tuple[PhotoFaces, FoundFace]]) -> Iterator[tuple[object, ...]]:
    for row, (photo, face) in enumerate(kept):
        yield (
            row,
            photo.file.path,
            *(f"{value:.1f}" for value in face.box),
            f"{face.detection_score:.3f}",
            f"{face.sharpness:.4f}",
            f"{face.size_px:.1f}",
            " ".join(face.junk_reasons),
            photo.taken_at or "",
        )
