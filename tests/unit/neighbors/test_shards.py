import numpy as np
import pytest

from facelink.errors import InputError
from facelink.files import load_arrays, save_arrays
from facelink.neighbors import parts
from facelink.neighbors.prepared import PreparedSearch
from facelink.neighbors.shards import FoundSoFar, IndexShard, Queries, write_shards
from tests.helpers import clustered_features

K = 12
FEATURES, _ = clustered_features(60, 15, 16, spread=1.0)
EVERYONE = np.arange(len(FEATURES))


@pytest.fixture(autouse=True, params=[64, 8], ids=["whole cells", "cells in parts"])
def _faces_per_part(request, monkeypatch):
    monkeypatch.setattr(parts, "_FACES_PER_PART", request.param)


def prepared(recall=0.98, features=FEATURES, k=K):
    return PreparedSearch.prepare(features, k, "ivf", recall_target=recall)


def shards_of(search, n_shards, folder):
    paths = [folder / f"{number}.safetensors" for number in range(n_shards)]
    write_shards(search, paths)
    return [IndexShard.load(path) for path in paths]


def found_by(search, shards, instances):
    return found_for(Queries.begin(search, instances), shards, instances)


def found_for(queries, shards, instances, k=K):
    found = FoundSoFar.nothing(instances, queries.n_kept)
    found = found.with_answers([shard.look_nearby(queries) for shard in shards])
    queries = queries.for_better_than(found, k)
    return found.with_answers([shard.look_farther(queries) for shard in shards]).neighbors(k)


@pytest.mark.parametrize("n_shards", [1, 2, 5])
@pytest.mark.parametrize("recall", [0.5, 0.98, 1.0])
def test_shards_find_what_one_index_finds(tmp_path, n_shards, recall):
    search = prepared(recall)
    expected = search.rows(EVERYONE)
    found = found_by(search, shards_of(search, n_shards, tmp_path), EVERYONE)
    for there, here in zip(found, expected, strict=True):
        np.testing.assert_array_equal(there, here)


def test_as_many_shards_as_cells(tmp_path):
    search = prepared()
    shards = shards_of(search, search.cells.index.cells.n_cells, tmp_path)
    some = np.array([5, 700, 3])
    np.testing.assert_array_equal(found_by(search, shards, some)[0], search.rows(some)[0])


def test_duplicates_are_found_by_their_ids(tmp_path):
    features = np.repeat(clustered_features(8, 10, 8)[0], 3, axis=0)
    search = prepared(1.0, features, k=5)
    everyone = np.arange(len(features))
    found = found_for(
        Queries.begin(search, everyone), shards_of(search, 3, tmp_path), everyone, k=5
    )
    np.testing.assert_array_equal(found[0], search.rows(np.arange(len(features)))[0])


def test_shards_answer_nothing_that_is_known_to_be_too_far(tmp_path):
    """The lists are full after the nearest cells: farther ones tell what gets into them alone."""
    search = prepared(1.0)
    shards = shards_of(search, 3, tmp_path)
    queries = Queries.begin(search, EVERYONE)
    near = [shard.look_nearby(queries) for shard in shards]
    found = FoundSoFar.nothing(EVERYONE, queries.n_kept).with_answers(near)
    queries = queries.for_better_than(found, K)
    far = [shard.look_farther(queries) for shard in shards]
    is_full = found.ids[:, -1] >= 0
    assert is_full.any()
    for answer in far:
        owners = np.repeat(answer.rows, np.diff(answer.firsts))
        assert (answer.values >= found.values[owners, -1]).all()
    assert 0 < sum(len(answer.ids) for answer in far) < sum(len(answer.ids) for answer in near) / 4


def test_a_shard_without_members_answers_nothing(tmp_path):
    """Of cells of duplicates all but one are empty."""
    features = np.repeat(clustered_features(2, 1, 8)[0], 60, axis=0)
    search = prepared(1.0, features, k=5)
    shards = shards_of(search, 3, tmp_path)
    assert min(len(shard.features) for shard in shards) == 0
    everyone = np.arange(len(features))
    found = found_for(Queries.begin(search, everyone), shards, everyone, k=5)
    for there, here in zip(found, search.rows(everyone), strict=True):
        np.testing.assert_array_equal(there, here)


def test_each_member_is_in_one_shard_and_shards_are_about_equal(tmp_path):
    search = prepared()
    shards = shards_of(search, 4, tmp_path)
    assert sorted(np.concatenate([shard.index.cells.members for shard in shards])) == list(EVERYONE)
    for shard in shards:
        np.testing.assert_array_equal(shard.features, FEATURES[shard.index.cells.members])
        assert len(shard.index.cells.members) == pytest.approx(len(FEATURES) / 4, rel=0.25)
    assert [shard.first_cell for shard in shards[1:]] == list(
        np.cumsum([shard.index.cells.n_cells for shard in shards])[:-1]
    )


def test_a_query_reads_nothing_but_its_rows(tmp_path):
    """What is looked for may be changed in the collection: the shards hold the members."""
    search = prepared()
    shards = shards_of(search, 2, tmp_path)
    expected = search.rows(EVERYONE[:9])[0]
    queries = Queries.begin(search, EVERYONE[:9])
    search.features[:] = np.nan
    try:
        found = found_for(queries, shards, EVERYONE[:9])[0]
    finally:
        search.features[:] = clustered_features(60, 15, 16, spread=1.0)[0]
    np.testing.assert_array_equal(found, expected)


def test_more_shards_than_cells(tmp_path):
    search = prepared()
    n_cells = search.cells.index.cells.n_cells
    with pytest.raises(InputError, match=rf"index_shards={n_cells + 1}, .* has {n_cells} cells"):
        shards_of(search, n_cells + 1, tmp_path)


def test_an_exact_search_has_no_shards(tmp_path):
    with pytest.raises(InputError, match="method='exact', which has no cells"):
        shards_of(PreparedSearch.prepare(FEATURES, K, "exact"), 2, tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("features", np.zeros((3, 16), dtype=np.float32)),
        ("part_starts", np.zeros(5, dtype=np.int64)),
        ("members", np.zeros(len(FEATURES), dtype=np.int64)),
    ],
)
def test_a_damaged_shard_is_refused(tmp_path, name, value):
    shards_of(prepared(), 1, tmp_path)
    path = tmp_path / "0.safetensors"
    arrays, metadata = load_arrays(path, "index shard")
    save_arrays(path, {**arrays, name: value}, metadata)
    with pytest.raises(InputError, match="prepare it again"):
        IndexShard.load(path)


@pytest.mark.parametrize("first_cell", [-1, 1 << 31, "0"])
def test_a_shard_of_cells_that_cannot_be_is_refused(tmp_path, first_cell):
    shards_of(prepared(), 1, tmp_path)
    path = tmp_path / "0.safetensors"
    arrays, metadata = load_arrays(path, "index shard")
    save_arrays(path, arrays, metadata | {"first_cell": first_cell})
    with pytest.raises(InputError, match="prepare it again"):
        IndexShard.load(path)
