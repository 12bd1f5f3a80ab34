import pytest

from tests.unit.album.helpers import add, edited, made_up_people, update


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "made-up.album"


@pytest.fixture
def album(folder):
    """An album with 64 faces of 8 people, all placed."""
    features, _ = made_up_people()
    with edited(folder) as opened:
        add(opened, features)
        update(opened)
        yield opened
