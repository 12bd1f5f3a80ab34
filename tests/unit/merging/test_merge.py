import pytest

from facelink.errors import InputError
from facelink.merging import merge_bfs, merge_links, merge_threshold
from tests.unit.merging.helpers import chain

SETTINGS = {"initial_threshold": 0.55, "threshold_step": 0.5, "max_cluster_size": 2}


@pytest.fixture
def links():
    return chain([0.9, 0.6, 0.5, 0.8])


def test_bfs_is_the_default_and_gets_every_setting(links):
    expected = merge_bfs(links, **SETTINGS)
    assert expected.labels.tolist() == [0, 0, 1, 2, 2]
    for result in (merge_links(links, **SETTINGS), merge_links(links, "bfs", **SETTINGS)):
        assert result.labels.tolist() == expected.labels.tolist()
        assert result.final_threshold == expected.final_threshold


def test_threshold_gets_the_initial_threshold(links):
    result = merge_links(links, "threshold", **SETTINGS)
    assert result.labels.tolist() == merge_threshold(links, 0.55).labels.tolist()
    assert result.labels.tolist() == [0, 0, 0, 1, 1]
    assert result.final_threshold == 0.55


def test_defaults_are_those_of_bfs():
    links = chain([0.51] * 300)
    assert merge_links(links).labels.tolist() == merge_bfs(links).labels.tolist()
    assert merge_links(links).n_clusters == 301


def test_unknown_method(links):
    with pytest.raises(InputError, match="'infomap' is unknown; choose one of likelihood, bfs"):
        merge_links(links, "infomap")
