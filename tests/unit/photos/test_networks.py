from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from facelink.errors import InputError
from facelink.photos.networks import Network
from tests.unit.photos.onnx_file import mean_of_colours


@pytest.fixture
def path(tmp_path):
    """File of a network that gives the mean of each colour."""
    path = tmp_path / "colours.onnx"
    path.write_bytes(mean_of_colours(32))
    return path


def as_it_is(model):
    return model


def test_threads_have_their_own_outputs(path):
    network = Network("recogniser", path, "one image", as_it_is, n_threads=2)
    images = [np.full((1, 3, 32, 32), value, dtype=np.float32) for value in range(40)]

    def means_of(image):
        outputs = network.run(image)
        assert list(outputs) == ["means"]
        return outputs["means"].copy()

    with ThreadPoolExecutor(4) as pool:
        found = np.concatenate(list(pool.map(means_of, images)))
    np.testing.assert_array_equal(found, np.repeat(np.arange(40.0)[:, None], 3, axis=1))


def test_the_next_call_of_a_thread_overwrites_what_it_got(path):
    network = Network("recogniser", path, "one image", as_it_is)
    first = network.run(np.full((1, 3, 32, 32), 1, dtype=np.float32))["means"]
    network.run(np.full((1, 3, 32, 32), 2, dtype=np.float32))
    assert first.tolist() == [[2, 2, 2]]


def test_a_file_that_is_no_network_is_told_what_it_should_take(path):
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match=r"recogniser .*cannot load it as a network of one image"):
        Network("recogniser", path, "one image", as_it_is)


def test_a_missing_file(path):
    with pytest.raises(InputError, match=r"recogniser .*no such file"):
        Network("recogniser", path.with_suffix(".gone"), "one image", as_it_is)
