"""Files → faces: reading, decoding, finding, aligning, embedding and judging, on all cores."""

import itertools
import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from facelink.errors import InputError
from facelink.photos.alignment import align_faces
from facelink.photos.decoding import (
    DecodedPhoto,
    UnreadablePhotoError,
    content_hash,
    decode_photo,
    read_photo,
)
from facelink.photos.detection import Detections, Detector
from facelink.photos.embedding import Embedder, reidentifier
from facelink.photos.model_files import DETECTOR, model_file
from facelink.photos.quality import junk_reasons, sharpness
from facelink.photos.records import FoundFace, PhotoFaces, PhotoFile, PhotoProblem
from facelink.photos.thumbnails import thumbnail
from facelink.photos.yunet import YuNetDetector

DECODED_PIXELS: Final = 2000 * 1500
"""Large JPEGs are decoded at reduced scale as far as so many pixels remain."""

_AHEAD = 4
"""Photographs begun or finished ahead for each worker: enough that none waits for a slow one before
it, or for a consumer that commits. Of those that are finished only the faces are kept."""


@dataclass(frozen=True)
class ScanProgress:
    """How far a scan is.

    Parameters
    ----------
    n_done : int
        Files finished, problems among them.
    n_total : int, optional
        Files to scan, where known.
    seconds : float
        Since the scan began.
    """

    n_done: int
    n_total: int | None
    seconds: float

    @property
    def rate(self) -> float:
        """Files per second so far."""
        return self.n_done / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """At this rate, where the total is known."""
        if self.n_total is None or self.rate == 0:
            return None
        return (self.n_total - self.n_done) / self.rate


@dataclass(frozen=True, eq=False)
class FaceReader:
    """Reads the faces of one photograph after another, or of several at once.

    Parameters
    ----------
    detector : Detector
        Finds faces.
    embedder : Embedder
        Makes features of them.
    """

    detector: Detector
    embedder: Embedder

    @classmethod
    def default(cls, models: Path | None = None, n_threads: int | None = None) -> "FaceReader":
        """Load YuNet and face-reidentification-retail-0095.

        Parameters
        ----------
        models
            Folder of their files; by default the cache, filled at first use.
        n_threads
            As for `Network`.
        """
        detector = YuNetDetector(model_file(DETECTOR, models), n_threads=n_threads)
        return cls(detector, reidentifier(models, n_threads))

    def read(self, file: PhotoFile) -> PhotoFaces | PhotoProblem:
        """Read one photograph; what is wrong with the file is a `PhotoProblem`, not an error."""
        try:
            data = read_photo(file.path)
            photo = decode_photo(data, wanted_pixels=DECODED_PIXELS)
        except UnreadablePhotoError as error:
            return PhotoProblem(file.path, str(error))
        return PhotoFaces(
            file,
            content_hash(data),
            photo.width,
            photo.height,
            photo.taken_at,
            self.faces_of(photo),
        )

    def faces_of(self, photo: DecodedPhoto) -> tuple[FoundFace, ...]:
        """Find, align, embed and judge the faces of decoded pixels."""
        found = self.detector.detect(photo.image)
        crops = align_faces(photo.image, found.landmarks)
        features = self.embedder.embed(crops)
        return tuple(
            _face(photo, found, row, crop, feature)
            for row, (crop, feature) in enumerate(zip(crops, features, strict=True))
        )

    def scan(
        self,
        files: Iterable[PhotoFile | PhotoProblem],
        *,
        n_workers: int | None = None,
        on_progress: Callable[[ScanProgress], None] | None = None,
    ) -> Generator[PhotoFaces | PhotoProblem, None, None]:
        """Read many photographs on several threads.

        Decoders and networks leave Python while they work, so threads keep all cores busy.
        A few photographs are read ahead and no more, so memory does not grow with their
        number. When the iterator is closed or its consumer interrupted, photographs that
        were begun are finished and dropped, and no thread stays behind.

        Parameters
        ----------
        files
            From `find_photos`; problems among them are passed on in their place.
        n_workers
            Threads; by default as many as there are processors.
        on_progress
            Called in the consumer's thread after each file. The total is known if `files`
            has a length.

        Yields
        ------
        PhotoFaces or PhotoProblem
            In the order of `files`, whatever the number of threads.

        Raises
        ------
        InputError
            If `n_workers` is below 1.
        """
        n_workers = (os.cpu_count() or 1) if n_workers is None else n_workers
        if n_workers < 1:
            raise InputError(f"n_workers={n_workers}; give at least 1.")
        n_total = len(files) if isinstance(files, Sized) else None
        return self._scan(iter(files), n_workers, n_total, on_progress)

    def _scan(
        self,
        files: Iterator[PhotoFile | PhotoProblem],
        n_workers: int,
        n_total: int | None,
        on_progress: Callable[[ScanProgress], None] | None,
    ) -> Generator[PhotoFaces | PhotoProblem, None, None]:
        start = time.monotonic()
        pool = ThreadPoolExecutor(n_workers, thread_name_prefix="photos")
        try:
            begun: deque[Future[PhotoFaces | PhotoProblem]] = deque()
            for n_done in itertools.count(1):
                for file in itertools.islice(files, n_workers * _AHEAD - len(begun)):
                    begun.append(pool.submit(self._read_or_pass, file))
                if not begun:
                    return
                outcome = begun.popleft().result()
                if on_progress is not None:
                    on_progress(ScanProgress(n_done, n_total, time.monotonic() - start))
                yield outcome
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _read_or_pass(self, file: PhotoFile | PhotoProblem) -> PhotoFaces | PhotoProblem:
        return file if isinstance(file, PhotoProblem) else self.read(file)


def _face(
    photo: DecodedPhoto,
    found: Detections,
    row: int,
    crop: NDArray[np.uint8],
    feature: NDArray[np.float32],
) -> FoundFace:
    """Put together what is known of one face, in pixels of the whole photograph."""
    whole = found.scaled(photo.reduction)
    score, size_px, detail = (
        float(found.scores[row]),
        float(whole.boxes[row, 2:].min()),
        sharpness(crop),
    )
    return FoundFace(
        box=whole.boxes[row],
        landmarks=whole.landmarks[row],
        detection_score=score,
        sharpness=detail,
        size_px=size_px,
        junk_reasons=junk_reasons(score, size_px, detail, whole.landmarks[row]),
        feature=feature,
        thumbnail=thumbnail(photo.image, found.boxes[row]),
    )
