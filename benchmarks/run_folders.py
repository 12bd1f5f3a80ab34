"""What benchmarks read in the folder of a run of `facelink run`."""

from pathlib import Path

from facelink.neighbors.prepared import PreparedSearch
from facelink.stages.manifest import Manifest
from facelink.stages.work import SEARCH_NAME, FeaturesFile


def features_of(folder: Path) -> FeaturesFile:
    """The run's normalised features: those that were given, or its own copy."""
    manifest = Manifest.read(folder / "features")
    if manifest is None:
        raise SystemExit(f"{folder} is not the folder of a run, or its features are not finished.")
    if manifest.facts["used_as_they_are"]:
        return FeaturesFile(Path(manifest.facts["content"]["path"]))
    return FeaturesFile(folder / "features" / "features.npy")


def search_file(folder: Path) -> Path:
    """File of the run's prepared search."""
    return folder / "neighbors" / SEARCH_NAME


def prepared_search(folder: Path, features: FeaturesFile) -> PreparedSearch:
    """The run's prepared search."""
    return PreparedSearch.load(search_file(folder), features.open())
