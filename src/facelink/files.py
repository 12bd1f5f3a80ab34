"""Files that are either whole or absent: written beside their final name, then renamed."""

import contextlib
import errno
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open

from facelink.errors import FacelinkError, InputError, OutputError
from facelink.tensor_files import map_tensors, write_tensors

_UNABLE = frozenset({errno.EACCES, errno.EBADF, errno.EINVAL, errno.ENOSYS, errno.ENOTSUP})
"""What systems that cannot wait for a folder answer, or for one that may not be listed."""


@contextlib.contextmanager
def written_beside(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; rename it to `path` if the block succeeds.

    The file is on the disk before it gets its name, and so is the name when this returns.

    Parameters
    ----------
    path
        Final name. Missing parent folders are made. The temporary name keeps
        the suffix, so that writers that look at it behave.

    Raises
    ------
    OutputError
        If `path` is a folder or a device, the folder cannot be made or
        written, or the disk is full. The temporary file is removed and `path`
        keeps what it held before, unless only waiting for its name failed:
        see `sync_folder`.
    """
    path = Path(path)
    temporary = _neighbor_name(path)
    try:
        _make_room(path)
        yield temporary
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except FacelinkError:
        raise
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def check_writable(path: Path | str) -> None:
    """Fail before long work starts if `path` could not be written after it.

    Missing parent folders are made, as writing would make them.

    Raises
    ------
    OutputError
        If `path` is a folder or a device, or its folder cannot be made or
        written.
    """
    path = Path(path)
    try:
        _make_room(path)
        probe = _neighbor_name(path)
        probe.touch()
        probe.unlink()
    except FacelinkError:
        raise
    except OSError as error:
        raise _cannot_write(path, error) from error


def _neighbor_name(path: Path) -> Path:
    """Make up a hidden name in the folder of `path` that nothing else uses, with its suffix."""
    return path.parent / f".{path.stem[:32]}.{secrets.token_hex(4)}.part{path.suffix}"


def _make_room(path: Path) -> None:
    """Make the folder of `path`; refuse what renaming would replace by a file, as /dev/null."""
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "not a regular file"
        raise OutputError(f"cannot write {path}: it is {kind}; give the name of a file.")
    make_folder(path.parent)


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Make a folder and those above it, as far as they are missing, and wait for their names.

    Parameters
    ----------
    folder
        May be there already.
    mode
        Rights to the folder itself, before the umask.

    Raises
    ------
    OSError
        If one of them cannot be made.
    OutputError
        As `sync_folder`.
    """
    missing = [one for one in (folder, *folder.parents) if not one.is_dir()]
    for one in reversed(missing):
        one.mkdir(mode if one is folder else 0o777, exist_ok=True)
        sync_folder(one.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the names that a folder holds are on the disk.

    Where the system cannot do that, as on Windows and some network folders, nothing happens.

    Raises
    ------
    OutputError
        If the disk fails.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _UNABLE:
            raise OutputError(
                f"cannot wait for the names in {folder}: {error.strerror or error}. What was just "
                "written there may be lost with the next loss of power; check the disk and run "
                "again."
            ) from error


def _cannot_write(path: Path, error: OSError) -> OutputError:
    return OutputError(
        f"cannot write {path}: {error.strerror or error}. What stood under that name before is "
        "unchanged; free some space or choose another place."
    )


def existing_file(path: Path | str, what: str) -> Path:
    """Return `path` as a `Path`, or say that there is no such `what` or that it is empty."""
    path = Path(path)
    if not path.exists():
        raise InputError(f"{what} {path}: no such file; check the path.")
    if path.is_dir():
        raise InputError(f"{what} {path}: this is a folder; give a file.")
    if path.stat().st_size == 0:
        raise InputError(f"{what} {path}: the file is empty (0 bytes); write it again.")
    return path


@contextlib.contextmanager
def reading(path: Path, what: str, kind: str) -> Iterator[None]:
    """Turn whatever a parser raises over a damaged file into an `InputError`.

    Every exception is caught: fed with arbitrary bytes, parsers raise nearly all of them.
    """
    try:
        yield
    except FacelinkError:
        raise
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise InputError(
            f"{what} {path}: not a readable {kind} file ({reason}). It may be truncated or of "
            "another kind; write it again."
        ) from error


def read_json(path: Path | str, what: str) -> dict[str, Any]:
    """Read a JSON object (UTF-8).

    Raises
    ------
    InputError
        If the file is missing, empty or no JSON object.
    """
    path = existing_file(path, what)
    with reading(path, what, "JSON"):
        value = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(value, dict):
        raise InputError(f"{what} {path}: expected a JSON object, got {value!r:.80}.")
    return value


def write_text(path: Path | str, text: str) -> None:
    """Write a small text file whole or not at all (UTF-8)."""
    with written_beside(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def save_arrays(
    path: Path | str, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]
) -> None:
    """Write named arrays and JSON metadata as one safetensors file, without a copy in memory.

    Parameters
    ----------
    path
        File to write.
    arrays
        Name to array; every dtype that safetensors knows.
    metadata
        JSON-serialisable values; stored as strings in the header.
    """
    header = {name: json.dumps(value) for name, value in metadata.items()}
    with written_beside(path) as temporary:
        write_tensors(temporary, arrays, header)


def load_arrays(
    path: Path | str, what: str, *, mapped: bool = False
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read a file written by `save_arrays`.

    Parameters
    ----------
    path
        File to read.
    what
        What the file is to the user, for messages.
    mapped
        Leave the arrays in the file until they are used: for arrays that may
        be larger than memory. What is written to them never reaches the file.

    Returns
    -------
    arrays, metadata
        The named arrays and the decoded metadata; metadata of another program
        that is not JSON stays text.

    Raises
    ------
    InputError
        If the file is missing, empty, truncated, not a safetensors file or of
        a dtype that numpy lacks (bfloat16).
    """
    path = existing_file(path, what)
    with reading(path, what, "safetensors"), safe_open(path, framework="np") as stored:
        names = [] if mapped else stored.keys()
        arrays = {name: stored.get_tensor(name) for name in names}
        header = stored.metadata() or {}
        if mapped:
            arrays = map_tensors(path)
    for name, array in arrays.items():
        if array.size == 0 and array.ndim and len(array) > path.stat().st_size:
            raise InputError(
                f"{what} {path}: {name!r} has {len(array)} rows without values; write it again."
            )
    return arrays, {name: _json_or_text(value) for name, value in header.items()}


def _json_or_text(value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):  # no JSON, a number of too many digits, nested too deeply
        return value
