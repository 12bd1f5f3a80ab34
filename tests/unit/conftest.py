import numba
import pytest

from facelink.models.config import LinkGCNConfig
from facelink.subgraphs import SubgraphSettings
from facelink.training.face_sets import FaceSet
from facelink.training.settings import TrainingSettings
from facelink.training.trainer import train_link_gcn
from tests.helpers import clustered_features


@pytest.fixture
def two_numba_threads():
    """Two threads for the compiled loops, whatever the test sets meanwhile."""
    if numba.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("NUMBA_NUM_THREADS allows one thread only")
    before = numba.get_num_threads()
    numba.set_num_threads(2)
    yield
    numba.set_num_threads(before)


@pytest.fixture(scope="session")
def trained_model(tmp_path_factory):
    """Folder of a small model that has learned, within a second, to link faces of width 32."""
    folder = tmp_path_factory.mktemp("trained") / "model"
    subgraphs = SubgraphSettings((10, 3), 3)
    settings = TrainingSettings(
        subgraphs=subgraphs,
        epochs=4,
        optimizer="adamw",
        learning_rate=0.01,
        schedule="cosine",
        initial_weights="xavier",
        resample=False,
    )
    features, labels = clustered_features(n_people=150, faces_each=6, n_features=32)
    config = LinkGCNConfig(n_features=32, widths=(16, 16), subgraphs=subgraphs)
    train_link_gcn([FaceSet("people", features, labels)], config, settings, folder)
    return folder


@pytest.fixture(scope="session")
def unseen_people():
    """Faces (240, 32) of 40 people whom `trained_model` has not seen, and their labels."""
    return clustered_features(n_people=40, faces_each=6, n_features=32, seed=9)
