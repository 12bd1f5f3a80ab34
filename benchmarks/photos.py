"""Photographs of 12 megapixels read per second, and aligned faces embedded per second.

    python -m benchmarks.photos PHOTOS [--models DIR] [--threads 2] [--out RECORD]

PHOTOS is a folder with single-face photographs among others. Three of them at a time are
pasted onto a noisy canvas of 4000 × 3000 pixels and saved as JPEG of about 4 MB, a telephone's
size, in a temporary folder; every file is decoded, searched for faces, aligned, embedded and
given thumbnails. Three cases: a scan, embedding alone, and what the parts of one photograph
take of the processor's time, which other programs on the machine lengthen less.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import N_REPEATS, Stopwatch, peak_memory
from benchmarks.records import TOTAL, Record, Result, Timing, report
from facelink.errors import InputError
from facelink.files import check_writable
from facelink.photos.alignment import align_faces
from facelink.photos.decoding import content_hash, decode_photo, read_photo
from facelink.photos.finding import find_photos
from facelink.photos.pipeline import DECODED_PIXELS, FaceReader
from facelink.photos.quality import sharpness
from facelink.photos.records import PhotoFaces, PhotoFile
from facelink.photos.thumbnails import thumbnail

CANVAS = (3000, 4000)
FACES_EACH = 3
FACE_SIDE = 300
"""Longer side of a pasted face's box in pixels: about what a group of three fills."""

NOISE = 28
"""Grey levels of noise, which decide how large the JPEG becomes."""

JPEG_QUALITY = 92
PHOTOGRAPHS_A_RUN = 40
FACES_A_RUN = 256


def save_canvases(reader: FaceReader, photos: Path, folder: Path) -> None:
    """Make photographs of 12 megapixels with three faces each."""
    random = np.random.default_rng(0)
    cut = [part for file in find_photos([photos]) for part in lone_face(reader, file)]
    if len(cut) < FACES_EACH:
        raise InputError(f"photographs {photos}: fewer than {FACES_EACH} with a single face.")
    for start in range(0, len(cut) - FACES_EACH + 1, FACES_EACH):
        coarse = random.integers(60, 200, (30, 40, 3), dtype=np.uint8)
        canvas = cv2.resize(coarse, CANVAS[::-1], interpolation=cv2.INTER_CUBIC)
        canvas = cv2.add(canvas, random.integers(0, NOISE, canvas.shape, dtype=np.uint8))
        for column, part in enumerate(cut[start : start + FACES_EACH]):
            top, left = 1000, 300 + 1250 * column
            canvas[top : top + part.shape[0], left : left + part.shape[1]] = part
        path = str(folder / f"{start:03d}.jpg")
        cv2.imwrite(path, canvas, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])


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


def timed(
    runs: Mapping[str, Callable[[], object]], clock: Callable[[], float] = time.perf_counter
) -> dict[str, Timing]:
    """Run each once to warm up, then all in turn, again and again, by this clock."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(-1, N_REPEATS):
        for name, run in runs.items():
            start = clock()
            run()
            if repeat >= 0:
                seconds[name].append(clock() - start)
    return {name: Timing(tuple(repeats)) for name, repeats in seconds.items()}


@dataclass(frozen=True)
class ScanSizes:
    """What a scan reads and on how many threads, for a process of its own, too."""

    models: Path | None
    folder: Path
    n_threads: int

    def ready(self) -> tuple[FaceReader, list[PhotoFile], int]:
        """Load the networks and list the files: each photograph several times."""
        made = [file for file in find_photos([self.folder]) if isinstance(file, PhotoFile)]
        files = [made[number % len(made)] for number in range(PHOTOGRAPHS_A_RUN)]
        return FaceReader.default(self.models, self.n_threads), files, self.n_threads


def scan(ready: tuple[FaceReader, list[PhotoFile], int], _: Stopwatch | None = None) -> int:
    """Read the photographs; returns the number of their faces."""
    reader, files, n_threads = ready
    outcomes = reader.scan(files, n_workers=n_threads)
    return sum(len(one.faces) for one in outcomes if isinstance(one, PhotoFaces))


def measured_scan(sizes: ScanSizes) -> Result:
    """Read the photographs of a folder, again and again."""
    ready = sizes.ready()
    n_faces = scan(ready)
    stages = timed({TOTAL: lambda: scan(ready)})
    seconds, n_photos = stages[TOTAL].median, PHOTOGRAPHS_A_RUN
    return Result(
        "scan of photographs",
        f"{sizes.n_threads} threads",
        "photograph",
        n_photos,
        stages,
        {
            "canvas": CANVAS,
            "noise": NOISE,
            "jpeg_quality": JPEG_QUALITY,
            "mean_file_bytes": round(sum(file.size for file in ready[1]) / n_photos),
            "n_faces": n_faces,
        },
        {"photographs_per_second": n_photos / seconds, "faces_per_second": n_faces / seconds},
        peak_memory(ScanSizes.ready, scan, sizes),
    )


def measured_embedding(reader: FaceReader, n_threads: int) -> Result:
    """Embed aligned faces in batches of a photograph's, as the threads of a scan do."""
    shape = (FACES_A_RUN, 112, 112, 3)
    crops = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    batches = [crops[start : start + FACES_EACH] for start in range(0, len(crops), FACES_EACH)]
    with ThreadPoolExecutor(n_threads) as pool:
        stages = timed({TOTAL: lambda: list(pool.map(reader.embedder.embed, batches))})
    return Result(
        "embedding of aligned faces",
        f"{n_threads} threads",
        "face",
        len(crops),
        stages,
        {"batch_size": FACES_EACH},
        {"faces_per_second": len(crops) / stages[TOTAL].median},
    )


def measured_parts(reader: FaceReader, path: Path) -> Result:
    """Take the parts of reading one photograph one by one, by the processor's time."""
    data = read_photo(path)
    photo = decode_photo(data, wanted_pixels=DECODED_PIXELS)
    found = reader.detector.detect(photo.image)
    crops = align_faces(photo.image, found.landmarks)
    parts = {
        "reading and hash": lambda: content_hash(read_photo(path)),
        "decoding": lambda: decode_photo(data, wanted_pixels=DECODED_PIXELS),
        "detection": lambda: reader.detector.detect(photo.image),
        "alignment": lambda: align_faces(photo.image, found.landmarks),
        "embedding": lambda: reader.embedder.embed(crops),
        "sharpness": lambda: [sharpness(crop) for crop in crops],
        "thumbnails": lambda: [thumbnail(photo.image, box) for box in found.boxes],
        TOTAL: lambda: reader.read(PhotoFile.at(path)),
    }
    return Result(
        "parts of one photograph",
        "processor's time",
        "photograph",
        1,
        timed(parts, time.process_time),
        {"file_bytes": len(data), "n_faces": len(found)},
    )


def main(args: Sequence[str] | None = None) -> None:
    """Print the record, and keep it if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.photos")
    parser.add_argument("photos", type=Path)
    parser.add_argument("--models", type=Path, help="folder of the model files")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="JSON file for the record")
    options = parser.parse_args(args)
    if options.out is not None:
        check_writable(options.out)
    reader = FaceReader.default(options.models, n_threads=options.threads)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_canvases(reader, options.photos, folder)
        results = [
            measured_scan(ScanSizes(options.models, folder, options.threads)),
            measured_embedding(reader, options.threads),
            measured_parts(reader, folder / "000.jpg"),
        ]
    record = Record.of("photos", 0, results)
    print(report(record))
    if options.out is not None:
        record.save(options.out)


if __name__ == "__main__":
    main()
