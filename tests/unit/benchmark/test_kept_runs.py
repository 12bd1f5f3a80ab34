import pytest

from facelink.benchmark.comparison import ComparisonSettings
from facelink.benchmark.kept_runs import KeptRuns
from facelink.benchmark.results import GridRun
from facelink.errors import InputError
from facelink.models.context_gcn import ContextGCN
from facelink.training.face_sets import FaceSet
from tests.helpers import clustered_features

FACES = FaceSet("people", *clustered_features(4, 5, 8))


@pytest.fixture
def model(tmp_path):
    ContextGCN().save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def kept(tmp_path, model):
    folder = tmp_path / "runs"
    folder.mkdir(exist_ok=True)
    return KeptRuns(folder, [FACES], ComparisonSettings(), {"model-model": model})


def run_of(method):
    return GridRun("people", method, ())


def test_runs_of_a_model_that_was_trained_on_are_not_found(tmp_path, model):
    methods = ["model-model", "cosine"]
    for method in methods:
        kept(tmp_path, model).keep(run_of(method))
    assert [one.method for one in kept(tmp_path, model).load(methods)] == methods
    weights = model / "model.safetensors"
    changed = bytearray(weights.read_bytes())
    changed[-1] ^= 1
    weights.write_bytes(changed)
    assert [one.method for one in kept(tmp_path, model).load(methods)] == ["cosine"]


def test_a_model_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="model"):
        kept(tmp_path, tmp_path / "nowhere")
