"""Scans a folder into an album with made-up models, and stops for good in the middle.

Arguments: album, folder, and how many photographs to read. Then it says so and waits.
"""

import signal
import sys

from facelink.album.library import edit_album
from facelink.album.scan import scan_photos
from facelink.photos.pipeline import FaceReader, ScanProgress
from tests.unit.photos.fakes import MeanColour, OneFace


def main(album: str, folder: str, n_photos: int) -> None:
    def wait(progress: ScanProgress) -> None:
        if progress.n_done == n_photos:
            print("read", flush=True)
            signal.pause()

    with edit_album(album, "a test of killing", create=True) as opened:
        scan_photos(opened, FaceReader(OneFace(), MeanColour()), [folder], on_progress=wait)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
