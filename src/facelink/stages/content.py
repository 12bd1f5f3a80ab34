"""What files hold, as hashes: to know again what a stage was computed from."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from facelink.errors import InputError
from facelink.files import existing_file
from facelink.models.loading import LinkModel

_CHUNK = 1 << 22
_DIGEST_BYTES = 16


def hash_of(value: Any) -> str:
    """Hash of a JSON value, which does not depend on the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).hexdigest()


def hash_of_array(array: NDArray[Any]) -> str:
    """Hash of the bytes of a C-contiguous array."""
    return hashlib.blake2b(array.reshape(-1).view("u1").data, digest_size=_DIGEST_BYTES).hexdigest()


def hash_of_model(model: LinkModel | None) -> str:
    """Hash of a model's config and weights, wherever they are."""
    if model is None:
        return "cosine"
    weights = {
        name: hash_of_array(np.ascontiguousarray(value.cpu().numpy()))
        for name, value in model.state_dict().items()
    }
    return hash_of([_plain(model.config.as_dict()), weights])


def _plain(value: Any) -> Any:
    """JSON form of nested dictionaries and tuples."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, (list, tuple)) else value


def hash_of_bytes(path: Path, start: int = 0, n_bytes: int | None = None) -> str | None:
    """Hash of a file's bytes from `start` on; None if there are fewer than `n_bytes`."""
    hashed = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    left = path.stat().st_size - start if n_bytes is None else n_bytes
    with path.open("rb") as stream:
        stream.seek(start)
        while left > 0 and (chunk := stream.read(min(left, _CHUNK))):
            hashed.update(chunk)
            left -= len(chunk)
    return None if left > 0 else hashed.hexdigest()


@dataclass(frozen=True)
class FileContent:
    """A file's hash, and by what it is seen that the file is still the same.

    Parameters
    ----------
    path : str
        Absolute path.
    n_bytes, modified_ns, inode : int
        Size, time of the last change in nanoseconds, and number of the file.
    hash : str
        Of all bytes.
    """

    path: str
    n_bytes: int
    modified_ns: int
    inode: int
    hash: str

    @classmethod
    def of(cls, path: Path, known: Self | None = None) -> Self:
        """Read a file, unless it is the one that is known, with the same size and time.

        Raises
        ------
        InputError
            If there is no such file, it is empty, or it changes meanwhile.
        """
        path = existing_file(path, "features").resolve()
        before = _signature(path)
        if known is not None and (known.path, *known._signature()) == (str(path), *before):
            return known
        content = cls(str(path), *before, hash=hash_of_bytes(path) or "")
        content.check_unchanged()
        return content

    @classmethod
    def from_value(cls, value: Any) -> Self | None:
        """What `as_dict` gave, as JSON values; None if it is anything else."""
        kinds = {"path": str, "n_bytes": int, "modified_ns": int, "inode": int, "hash": str}
        if not isinstance(value, dict) or value.keys() != kinds.keys():
            return None
        is_known = all(type(value[name]) is kind for name, kind in kinds.items())
        return cls(**value) if is_known else None

    def check_unchanged(self) -> None:
        """Raise `InputError` if the file has changed since it was read."""
        path = Path(self.path)
        if not path.exists() or _signature(path) != self._signature():
            raise InputError(
                f"features {path}: the file has changed while it was being used. What was computed "
                "from its old content may not fit the new one; let nobody write it, and run again."
            )

    def _signature(self) -> tuple[int, int, int]:
        return self.n_bytes, self.modified_ns, self.inode

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


def _signature(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ino
