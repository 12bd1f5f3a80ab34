import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

MODELS = Path(__file__).parents[3].parent / "shared" / "data" / "face-models"


@pytest.fixture(scope="session")
def models():
    """Folder of the real model files."""
    if not MODELS.is_dir():
        pytest.skip("no model files in ../shared/data/face-models")
    return MODELS


@pytest.fixture
def encoded():
    """Encodes an image (an array or one of pillow) as the bytes of a file."""

    def encode(image, kind="PNG", **options):
        image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
        stream = io.BytesIO()
        image.save(stream, kind, **options)
        return stream.getvalue()

    return encode


@pytest.fixture
def gradient():
    """A smooth image (96, 64, 3) whose corners all differ: red to the right, green down."""
    image = np.zeros((96, 64, 3), dtype=np.uint8)
    image[..., 0] = np.linspace(0, 250, 64)[None]
    image[..., 1] = np.linspace(0, 250, 96)[:, None]
    image[..., 2] = 40
    return image
