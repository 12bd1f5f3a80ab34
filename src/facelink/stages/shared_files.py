"""Files handed out to other machines through a place that all of them can read and write."""

import contextlib
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fsspec
from filelock import FileLock

from facelink.errors import FacelinkError, InputError, OutputError
from facelink.stages.content import hash_of, hash_of_bytes


@dataclass(frozen=True)
class SharedFiles:
    """A folder at a URL, through which files reach machines that do not see them.

    Files are named there by the hash of what they hold: what is there already
    is not sent again, and what arrives is checked. Each machine keeps what it
    has fetched in a temporary folder until `forget` is called there.

    Parameters
    ----------
    url : str
        As for fsspec: ``file:///mnt/shared/run``, ``s3://bucket/run``.
    token : str
        Part of the temporary folders' name that nobody can guess.

    Raises
    ------
    InputError
        If fsspec knows no such place, or a package that it needs is missing.
    """

    url: str
    token: str = field(default_factory=lambda: secrets.token_hex(8))

    def __post_init__(self) -> None:
        try:
            if "://" not in self.url:
                raise ValueError("no URL")
            fsspec.core.url_to_fs(self.url)
        except (ValueError, ImportError) as error:
            raise InputError(
                f"shared={self._told!r}: {error}. Give a URL such as s3://bucket/folder, and "
                "install what it needs."
            ) from error

    def hand_out(self, path: Path) -> Path:
        """Send a file, or the files of a folder, to the shared place.

        Parameters
        ----------
        path
            A file; or a folder of a stage, of which the ``.npy`` files are sent, or of a model.

        Returns
        -------
        Path
            By which any machine can `fetch` it.

        Raises
        ------
        OutputError
            If it cannot be sent.
        """
        files = _files_in(path) if path.is_dir() else [path]
        digest = _digest(files)
        with self._errors(digest):
            system, root = self._place()
            system.makedirs(f"{root}/{digest}", exist_ok=True)
            for file in files:
                target = f"{root}/{digest}/{file.name}"
                if not system.exists(target):
                    beside = f"{root}/{secrets.token_hex(8)}.part"
                    system.put_file(str(file), beside)
                    system.mv(beside, target)
        return Path(digest) if path.is_dir() else Path(digest, path.name)

    def fetch(self, name: Path) -> Path:
        """Get what was handed out onto this machine, unless it is there.

        Raises
        ------
        OutputError
            If it cannot be fetched, or is not what was sent.
        """
        folder = self._folder
        folder.mkdir(mode=0o700, exist_ok=True)
        digest = name.parts[0]
        with FileLock(folder / f"{digest}.lock"):
            if not (folder / digest).is_dir():
                self._fetch_all(digest, folder)
        return folder / name

    def forget(self) -> None:
        """Remove what was fetched onto this machine."""
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _folder(self) -> Path:
        return Path(tempfile.gettempdir(), f"facelink-{self.token}")

    def _fetch_all(self, digest: str, folder: Path) -> None:
        """Fetch the files under a digest into a folder beside; rename it if they are right."""
        beside = folder / f"{digest}.{secrets.token_hex(4)}.part"
        beside.mkdir()
        with self._errors(digest):
            system, root = self._place()
            for remote in system.ls(f"{root}/{digest}", detail=False):
                name = remote.rpartition("/")[2]  # some kinds of places list no more than names
                system.get_file(f"{root}/{digest}/{name}", str(beside / name))
        if _digest(sorted(beside.iterdir())) != digest:
            shutil.rmtree(beside)
            raise OutputError(
                f"{self._told}/{digest} is damaged: it is not what was sent. Remove it there and "
                "run again; what is finished is kept."
            )
        beside.rename(folder / digest)

    def _place(self) -> tuple[Any, str]:
        """The place and the folder there, as it is now: others write there too."""
        system, root = fsspec.core.url_to_fs(self.url)
        system.invalidate_cache()
        return system, root

    @property
    def _told(self) -> str:
        """The URL as messages may show it: without a user's name and password."""
        return re.sub(r"(?<=://)[^/@]*@", "", self.url)

    @contextlib.contextmanager
    def _errors(self, digest: str) -> Iterator[None]:
        """Tell of errors; which ones there are is up to the kind of place."""
        try:
            yield
        except FacelinkError:
            raise
        except Exception as error:
            raise OutputError(
                f"{self._told}/{digest} cannot be read or written: {error}. See that the place can "
                "be reached; what is finished is kept."
            ) from error


def _files_in(folder: Path) -> list[Path]:
    """Arrays of a stage; or the model's files, where there are none."""
    arrays = sorted(folder.glob("*.npy"))
    return arrays or sorted(path for path in folder.iterdir() if path.is_file())


def _digest(files: list[Path]) -> str:
    """Hash of the names and bytes of some files."""
    return hash_of([[file.name, hash_of_bytes(file)] for file in files])
