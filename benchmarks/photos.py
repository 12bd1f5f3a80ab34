"""Photographs of 12 megapixels read per second, and aligned faces embedded per second.

    python -m benchmarks.photos PHOTOS [--models DIR] [--threads 2]

PHOTOS is a folder with single-face photographs among others. Three of them at a time are
pasted onto a noisy canvas of 4000 × 3000 pixels and saved as JPEG in a temporary folder;
every file is decoded, searched for faces, aligned, embedded and given thumbnails. Prints a
Markdown table with the median of the repeats, and the processor's time for the parts of one
photograph on one thread, which other programs on the machine lengthen less.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from facelink.errors import InputError
from facelink.photos.alignment import align_faces
from facelink.photos.decoding import decode_photo, read_photo
from facelink.photos.embedding import Embedder
from facelink.photos.finding import find_photos
from facelink.photos.pipeline import DECODED_PIXELS, FaceReader
from facelink.photos.records import PhotoFaces, PhotoFile
from facelink.photos.thumbnails import thumbnail

CANVAS = (3000, 4000)
FACES_EACH = 3
FACE_SIDE = 300
"""Longer side of a pasted face's box in pixels: about what a group of three fills."""

_N_REPEATS = 5
_N_FACES_EMBEDDED = 256


def canvases(reader: FaceReader, folder: Path) -> Iterator[NDArray[np.uint8]]:
    """Make photographs of 12 megapixels with three faces each."""
    random = np.random.default_rng(0)
    cut = [part for file in find_photos([folder]) for part in lone_face(reader, file)]
    if len(cut) < FACES_EACH:
        raise InputError(f"photographs {folder}: fewer than {FACES_EACH} with a single face.")
    for start in range(0, len(cut) - FACES_EACH + 1, FACES_EACH):
        coarse = random.integers(60, 200, (30, 40, 3), dtype=np.uint8)
        canvas = cv2.resize(coarse, CANVAS[::-1], interpolation=cv2.INTER_CUBIC)
        canvas = cv2.add(canvas, random.integers(0, 12, canvas.shape, dtype=np.uint8))
        for column, part in enumerate(cut[start : start + FACES_EACH]):
            top, left = 1000, 300 + 1250 * column
            canvas[top : top + part.shape[0], left : left + part.shape[1]] = part
        yield canvas


def lone_face(reader: FaceReader, file: object) -> Iterator[NDArray[np.uint8]]:
    """Cut out the only face of a photograph, with its surroundings, in the wanted size."""
    outcome = reader.read(file) if isinstance(file, PhotoFile) else None
    if isinstance(outcome, PhotoFaces) and len(outcome.faces) == 1:
        image = decode_photo(read_photo(outcome.file.path)).image
        left, top, width, height = outcome.faces[0].box
        side = max(width, height)
        rows = slice(max(0, int(top - side / 2)), int(top + height + side / 2))
        columns = slice(max(0, int(left - side / 2)), int(left + width + side / 2))
        factor = FACE_SIDE / side
        yield cv2.resize(image[rows, columns], None, fx=factor, fy=factor)


def median_seconds(
    run: Callable[[], object], clock: Callable[[], float] = time.perf_counter
) -> float:
    """Run once to warm up, then time by this clock."""
    run()
    seconds = []
    for _ in range(_N_REPEATS):
        start = clock()
        run()
        seconds.append(clock() - start)
    return statistics.median(seconds)


def embed_on(embedder: Embedder, crops: NDArray[np.uint8], n_threads: int) -> None:
    """Embed the crops in batches, as the threads of a scan do."""
    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(embedder.embed, np.array_split(crops, 8 * n_threads)))


def print_parts(reader: FaceReader, path: Path) -> None:
    """Print the processor's milliseconds for each part of one photograph on one thread."""
    data = read_photo(path)
    photo = decode_photo(data, wanted_pixels=DECODED_PIXELS)
    found = reader.detector.detect(photo.image)
    crops = align_faces(photo.image, found.landmarks)
    parts = {
        "decoding": lambda: decode_photo(data, wanted_pixels=DECODED_PIXELS),
        "detection": lambda: reader.detector.detect(photo.image),
        "alignment": lambda: align_faces(photo.image, found.landmarks),
        "embedding": lambda: reader.embedder.embed(crops),
        "thumbnails": lambda: [thumbnail(photo.image, box) for box in found.boxes],
    }
    for name, run in parts.items():
        seconds = median_seconds(run, time.process_time)
        print(f"| {name} of one photograph | {1e3 * seconds:.1f} ms |", flush=True)


def main(args: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--models", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(args)
    cv2.setNumThreads(1)
    reader = FaceReader.default(options.models, n_threads=options.threads)
    with tempfile.TemporaryDirectory() as folder:
        for number, canvas in enumerate(canvases(reader, options.photos)):
            cv2.imwrite(f"{folder}/{number:03d}.jpg", canvas, [cv2.IMWRITE_JPEG_QUALITY, 92])
        files = list(find_photos([folder]))
        outcomes = list(reader.scan(files, n_workers=options.threads))
        faces = [face for one in outcomes if isinstance(one, PhotoFaces) for face in one.faces]
        scan = median_seconds(lambda: list(reader.scan(files, n_workers=options.threads)))
        print(f"| {len(files)} photographs, {len(faces)} faces | |\n|---|---|")
        print(f"| photographs per second | {len(files) / scan:.1f} |", flush=True)
        crops = np.random.default_rng(0).integers(
            0, 256, (_N_FACES_EMBEDDED, 112, 112, 3), dtype=np.uint8
        )
        embed = median_seconds(lambda: embed_on(reader.embedder, crops, options.threads))
        print(f"| aligned faces embedded per second | {len(crops) / embed:.0f} |", flush=True)
        print_parts(FaceReader.default(options.models, n_threads=1), Path(folder) / "000.jpg")


if __name__ == "__main__":
    main()
