"""Model files: downloaded once from their makers and checked, or taken from a folder."""

import hashlib
import http.client
import os
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from facelink.errors import FacelinkError, InputError, OutputError
from facelink.files import existing_file, written_beside

_REIDENTIFICATION = (
    "https://storage.openvinotoolkit.org/repositories/open_model_zoo/2023.0/models_bin/1/"
    "face-reidentification-retail-0095/FP16/face-reidentification-retail-0095"
)
_CHUNK_BYTES = 1 << 16
_TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class ModelFile:
    """A file that its maker publishes under a fixed address.

    Parameters
    ----------
    name : str
        File name, in a folder of the user's too.
    address : str
        Where it is downloaded from.
    algorithm : str
        Of the checksum, as `hashlib` calls it.
    checksum : str
        Hexadecimal.
    n_bytes : int
        Size; a download that goes on beyond it is broken off.
    licence : str
        Of the model.
    """

    name: str
    address: str
    algorithm: str
    checksum: str
    n_bytes: int
    licence: str


DETECTOR: Final = ModelFile(
    name="face_detection_yunet_2026may.onnx",
    address="https://media.githubusercontent.com/media/opencv/opencv_zoo/main/models/"
    "face_detection_yunet/face_detection_yunet_2026may.onnx",
    algorithm="sha256",
    checksum="ebafce4e3c118d6554634be5c27ab333b4c047a9a8c3faf1d7cf93101c22f0f0",
    n_bytes=229738,
    licence="MIT",
)
RECOGNISER: Final = ModelFile(
    name="face-reidentification-retail-0095.xml",
    address=f"{_REIDENTIFICATION}.xml",
    algorithm="sha384",
    checksum="689fb39e94bbd0d22cfeeb9292d0b91ac753424a7ee2c0555070e4038a00bfcaad473b47303012b9a393"
    "027dbad0dbce",
    n_bytes=350427,
    licence="Apache-2.0",
)
RECOGNISER_WEIGHTS: Final = ModelFile(
    name="face-reidentification-retail-0095.bin",
    address=f"{_REIDENTIFICATION}.bin",
    algorithm="sha384",
    checksum="6d51703e854509dafdab9dfc6b932136d301d95be6d52c9c23b5a4f5de1ffec80e8d38b87e0e9556ad36f"
    "0dded1588ed",
    n_bytes=2213628,
    licence="Apache-2.0",
)


def model_file(file: ModelFile, folder: Path | None = None) -> Path:
    """Return where a model file is, after checking its content; download it if need be.

    Parameters
    ----------
    file
        Which.
    folder
        Take it from there and download nothing. By default it is kept in
        ``facelink/models`` of the user's cache, ``$XDG_CACHE_HOME`` or ``~/.cache``.

    Raises
    ------
    InputError
        If `folder` lacks it, or the content has another checksum.
    OutputError
        If it cannot be downloaded or stored; nothing is left under its name.
    """
    if folder is not None:
        path = existing_file(folder / file.name, "model file")
        _check(path, file, f"put the file from {file.address} there")
        return path
    path = cache_folder() / file.name
    if path.exists():
        _check(path, file, "remove it, and it will be downloaded again")
    else:
        _download(file, path)
    return path


def cache_folder() -> Path:
    """Where downloaded models are kept, by the XDG Base Directory Specification."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    cache = Path(base) if os.path.isabs(base) else Path.home() / ".cache"
    return cache / "facelink" / "models"


def _check(path: Path, file: ModelFile, remedy: str) -> None:
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, file.algorithm).hexdigest()
    if found != file.checksum:
        raise InputError(
            f"model file {path}: its {file.algorithm} begins with {found[:16]}, not with "
            f"{file.checksum[:16]}; it is damaged or another version: {remedy}."
        )


def _download(file: ModelFile, path: Path) -> None:
    remedy = f"download it yourself and pass its folder with --models ({file.address})"
    with written_beside(path) as temporary:
        try:
            with urllib.request.urlopen(file.address, timeout=_TIMEOUT_SECONDS) as source:
                _copy(source, temporary, file.n_bytes)
        except FacelinkError:
            raise
        except (OSError, http.client.HTTPException) as error:
            raise OutputError(f"cannot download {file.name}: {error}; {remedy}.") from error
        _check(temporary, file, remedy)


def _copy(source: IO[bytes], path: Path, n_bytes: int) -> None:
    """Write what comes, and one byte more than expected at most."""
    left = n_bytes + 1
    with path.open("wb") as stream:
        while left and (chunk := source.read(min(left, _CHUNK_BYTES))):
            stream.write(chunk)
            left -= len(chunk)
