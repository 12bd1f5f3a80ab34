"""Finished runs of a comparison on disk, so that one that was cut off goes on."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from facelink import __version__
from facelink.benchmark.comparison import HELD_OUT, ComparisonSettings
from facelink.benchmark.results import GridRun, grid_run
from facelink.errors import InputError
from facelink.files import existing_file, write_json
from facelink.models.saved import CONFIG_NAME, WEIGHTS_NAME
from facelink.training.face_sets import FaceSet


class KeptRuns:
    """A folder with a file for each finished run of these collections and settings.

    Runs of another version of facelink are not found.

    Parameters
    ----------
    folder
        Made at the first run that is kept.
    collections
        Test and tuning collections. Runs of other faces, labels or settings
        under the same names are not found, nor those of a collection that was
        divided because there was none to tune on.
    settings
        Of the comparison.
    models
        Methods that are trained models, and their folders: runs of other
        weights are not found.
    """

    def __init__(
        self,
        folder: Path,
        collections: list[FaceSet],
        settings: ComparisonSettings,
        models: Mapping[str, Path] | None = None,
    ) -> None:
        self.folder = folder
        self._weights = {key: _hash_of_model(place) for key, place in (models or {}).items()}
        self._is_divided = len(collections) == 1
        self._fingerprints = {
            one.name: _fingerprint(one, settings, self._is_divided) for one in collections
        }

    def keep(self, run: GridRun) -> None:
        """Write a run; `OutputError` if that fails."""
        write_json(self._path(run.collection, run.method), asdict(run))

    def load(self, methods: list[str]) -> list[GridRun]:
        """Read the runs of these methods that are there; `InputError` if a file is not one."""
        paths = [self._path(name, method) for name in self._names() for method in methods]
        return [_read(path) for path in paths if path.exists()]

    def _names(self) -> list[str]:
        """Names of the collections, and of those of people held out of them."""
        whole = list(self._fingerprints)
        return [*whole, *(name + HELD_OUT for name in whole)] if self._is_divided else whole

    def _path(self, collection: str, method: str) -> Path:
        whole = collection.removesuffix(HELD_OUT)
        held_out = "-held-out" if whole != collection else ""
        weights = f"-{self._weights[method]}" if method in self._weights else ""
        return self.folder / f"{self._fingerprints[whole]}{held_out}-{method}{weights}.json"


def _fingerprint(collection: FaceSet, settings: ComparisonSettings, is_divided: bool) -> str:
    circumstances = f"{__version__} {settings.time_limit:g} {settings.seed} {is_divided}"
    digest = hashlib.sha256(circumstances.encode())
    for part in (collection.features, collection.labels):
        digest.update(str(part.shape).encode())
        digest.update(part.tobytes())
    return f"{collection.name}-{digest.hexdigest()[:12]}"


def _hash_of_model(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in (CONFIG_NAME, WEIGHTS_NAME):
        digest.update(existing_file(folder / name, "model").read_bytes())
    return digest.hexdigest()[:12]


def _read(path: Path) -> GridRun:
    try:
        return grid_run(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: not a kept run ({error}); remove it, and the method runs again."
        ) from error
