from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from facelink.errors import InputError
from facelink.photos.embedding import (
    ARCFACE_INPUT,
    InputFormat,
    OpenVinoEmbedder,
    arcface,
    insightface,
    reidentifier,
)
from tests.unit.photos.onnx_file import mean_of_colours


@pytest.fixture
def colours(tmp_path):
    """File of a network whose feature is the mean of each colour it is given."""
    path = tmp_path / "colours.onnx"
    path.write_bytes(mean_of_colours(112))
    return path


@pytest.fixture
def crops():
    """Five crops of one colour each: blue, green, red."""
    values = np.random.default_rng(0).integers(0, 256, (5, 1, 1, 3), dtype=np.uint8)
    return np.ascontiguousarray(np.broadcast_to(values, (5, 112, 112, 3)))


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_arcface_takes_red_green_blue_about_zero(colours, crops):
    embedder = arcface(colours, n_threads=2)
    assert embedder.n_features == 3
    expected = unit((crops[:, 0, 0, ::-1].astype(float) - 127.5) / 127.5)
    np.testing.assert_allclose(embedder.embed(crops), expected, atol=1e-5)


def test_a_format_of_another_size_and_order(tmp_path, crops):
    path = tmp_path / "colours.onnx"
    path.write_bytes(mean_of_colours(128))
    embedder = OpenVinoEmbedder("colours", path, InputFormat(side=128, is_rgb=False))
    expected = unit(crops[:, 0, 0].astype(float))
    np.testing.assert_allclose(embedder.embed(crops), expected, atol=1e-5)


def test_rows_keep_their_order_on_many_threads(colours, crops):
    embedder = arcface(colours, n_threads=2)
    many = np.tile(crops, (8, 1, 1, 1))
    expected = np.tile(embedder.embed(crops), (8, 1))
    with ThreadPoolExecutor(4) as pool:
        for features in pool.map(embedder.embed, [many] * 8):
            np.testing.assert_array_equal(features, expected)


def test_no_crops(colours):
    features = arcface(colours).embed(np.empty((0, 112, 112, 3), dtype=np.uint8))
    assert features.shape == (0, 3)
    assert features.dtype == np.float32


def test_two_models_of_one_file_name_have_two_names(colours, tmp_path):
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / "colours.onnx"
    other.write_bytes(mean_of_colours(112).replace(b"means of", b"Means of"))
    assert arcface(colours).name.startswith("colours-")
    assert arcface(colours).name != arcface(other).name


@pytest.mark.parametrize("shape", [(112, 112, 3), (1, 128, 128, 3), (1, 3, 112, 112)])
def test_other_crops_are_refused(colours, shape):
    with pytest.raises(InputError, match=r"aligned faces are uint8 \(B, 112, 112, 3\)"):
        arcface(colours).embed(np.zeros(shape, dtype=np.uint8))


def test_a_file_that_is_no_network(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match=r"recogniser .*a.onnx: OpenVINO .* cannot load it"):
        arcface(tmp_path / "a.onnx")


def test_a_missing_file(colours):
    with pytest.raises(InputError, match=r"recogniser .*: no such file"):
        OpenVinoEmbedder("a", colours.with_suffix(".gone"), ARCFACE_INPUT)


def test_insightface_needs_its_licence_accepted(colours, crops):
    with pytest.raises(InputError, match="non-commercial research only; pass accept_licence"):
        insightface(colours)
    accepted = insightface(colours, accept_licence=True)
    np.testing.assert_array_equal(accepted.embed(crops), arcface(colours).embed(crops))


def test_the_reidentifier_does_not_mind_the_batch(models):
    embedder = reidentifier(models, n_threads=1)
    assert (embedder.name, embedder.n_features) == ("face-reidentification-retail-0095", 256)
    crops = np.random.default_rng(0).integers(0, 256, (3, 112, 112, 3), dtype=np.uint8)
    together = embedder.embed(crops)
    alone = np.concatenate([embedder.embed(crop[None]) for crop in crops])
    np.testing.assert_array_equal(together, alone)
