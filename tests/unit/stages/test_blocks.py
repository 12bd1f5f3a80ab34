import json
import os

import numpy as np
import pytest

from facelink.errors import InputError, OutputError
from facelink.stages.blocks import ArraySpec, BlockStore, mapped
from facelink.stages.content import hash_of
from facelink.stages.engine import Block
from facelink.stages.manifest import MANIFEST_NAME, Manifest, Origin

ORIGIN = Origin("neighbors", {"k": 3}, {"features": "abc"})
SPECS = {"ids": ArraySpec("<i4", (3,)), "weights": ArraySpec("<f4")}
N = 10
IDS = np.arange(3 * N, dtype=np.int32).reshape(N, 3)
WEIGHTS = np.linspace(0, 1, N, dtype=np.float32)


def rows(start, stop):
    return {"ids": IDS[start:stop], "weights": WEIGHTS[start:stop]}


def fail(message):
    pytest.fail(f"told: {message}")


FACTS = {"method": "ivf", "recall": 0.98}


@pytest.fixture
def store(tmp_path):
    return BlockStore.begin(tmp_path / "stage", ORIGIN, SPECS, N)


def again(store, tell=fail, origin=ORIGIN):
    return BlockStore.existing(store.folder, origin, SPECS, tell)


def test_blocks_in_any_order_make_arrays_that_numpy_reads(store):
    for start, stop in ((4, 8), (0, 4), (8, 10)):
        store.write(Block(start, stop), rows(start, stop), seconds=0.5)
    np.testing.assert_array_equal(np.load(store.folder / "ids.npy"), IDS)
    np.testing.assert_array_equal(again(store).arrays()["weights"], WEIGHTS)
    assert again(store).missing(4) == []
    assert again(store).manifest.seconds_in_all == 1.5


def test_what_is_missing_is_divided_anew(store):
    store.write(Block(3, 5), rows(3, 5))
    assert store.missing(4) == [Block(0, 3), Block(5, 9), Block(9, 10)]
    assert again(store).missing(2) == [
        Block(0, 2),
        Block(2, 3),
        Block(5, 7),
        Block(7, 9),
        Block(9, 10),
    ]


def test_the_size_is_reserved_at_the_beginning(store):
    for name, n_bytes in (("ids", 12 * N), ("weights", 4 * N)):
        status = (store.folder / f"{name}.npy").stat()
        assert status.st_size == 128 + n_bytes
        assert status.st_blocks > 0


def test_a_damaged_block_is_missing_again_and_told(store):
    store.write(Block(0, 5), rows(0, 5))
    store.write(Block(5, 10), rows(5, 10))
    store.complete(FACTS)
    with (store.folder / "weights.npy").open("rb+") as stream:
        stream.seek(-1, os.SEEK_END)
        stream.write(b"\x00")
    told = []
    opened = again(store, told.append)
    assert told == ["neighbors: rows 5 to 9 are damaged on the disk and are done again."]
    assert opened.missing(100) == [Block(5, 10)]
    assert not again(store).manifest.is_complete


def test_a_missing_array_is_made_again(store):
    store.write(Block(0, 10), rows(0, 10))
    (store.folder / "ids.npy").unlink()
    opened = again(store, lambda message: None)
    assert opened.missing(100) == [Block(0, 10)]
    opened.write(Block(0, 10), rows(0, 10))
    np.testing.assert_array_equal(opened.arrays()["ids"], IDS)


def test_another_origin_is_another_stage(store):
    for other in (
        Origin("neighbors", {"k": 4}, ORIGIN.inputs),
        Origin("neighbors", ORIGIN.settings, {"features": "abd"}),
    ):
        assert again(store, origin=other) is None
    assert store.manifest.differences(other) == ["features"]


def test_beginning_again_forgets(store):
    store.write(Block(0, 10), rows(0, 10))
    fresh = BlockStore.begin(store.folder, ORIGIN, SPECS, 4)
    assert fresh.missing(100) == [Block(0, 4)]
    assert fresh.arrays()["ids"].shape == (4, 3)


def test_further_files_are_known_by_their_bytes(store):
    assert not store.has_file("more.bin")
    store.file("more.bin").write_bytes(b"something")
    assert not store.has_file("more.bin")
    store.enter_file("more.bin")
    assert again(store).has_file("more.bin")
    store.file("more.bin").write_bytes(b"somethinG")
    assert not store.has_file("more.bin")


def test_arrays_without_rows(tmp_path):
    store = BlockStore.begin(tmp_path, ORIGIN, SPECS, 0)
    assert store.missing(5) == []
    assert store.arrays()["ids"].shape == (0, 3)


def test_writing_into_an_array_does_not_reach_the_file(store):
    store.write(Block(0, 10), rows(0, 10))
    store.arrays()["ids"][:] = 0
    np.testing.assert_array_equal(store.arrays()["ids"], IDS)


@pytest.mark.parametrize("blocks", [[(0, 5), (4, 10)], [(5, 10), (0, 5)], [(0, 11)], [(3, 2)]])
def test_a_manifest_whose_blocks_cannot_be_is_not_read(store, blocks):
    def with_blocks(places):
        return [
            {"start": start, "stop": stop, "n_bytes": 0, "checksums": {}, "seconds": 0}
            for start, stop in places
        ]

    assert rewritten(store.folder, blocks=with_blocks([(0, 5), (5, 10)])).n_done == 10
    assert rewritten(store.folder, blocks=with_blocks(blocks)) is None
    assert again(store) is None


def test_a_disk_that_is_too_small_is_noticed_at_the_beginning(tmp_path):
    huge = {"ids": ArraySpec("<i8", (1 << 20,))}
    with pytest.raises(OutputError, match=r"cannot write .*ids\.npy.*What is finished stays"):
        BlockStore.begin(tmp_path, ORIGIN, huge, 1 << 36)


def test_a_file_that_lies_about_its_size_is_not_mapped(store):
    os.truncate(store.folder / "ids.npy", 130)
    with pytest.raises(InputError, match="the header claims"):
        mapped(store.folder / "ids.npy")


def test_a_manifest_with_a_flipped_bit_is_not_believed(store):
    store.write(Block(0, 10), rows(0, 10), seconds=1.5)
    store.complete(FACTS | {"content": {"hash": "ab", "n_bytes": 12}}, seconds=2.5)
    path, manifest = store.folder / MANIFEST_NAME, store.manifest
    assert Manifest.read(store.folder) == manifest
    whole = path.read_bytes()
    for place in range(len(whole)):
        for bit in (0, 4):
            flipped = bytearray(whole)
            flipped[place] ^= 1 << bit
            path.write_bytes(flipped)
            found = Manifest.read(store.folder)
            assert found is None or found == manifest, flipped[place - 10 : place + 10]


def rewritten(folder, **changes):
    """The manifest with other values and a checksum that fits them."""
    path = folder / MANIFEST_NAME
    head = {name: (stored := json.loads(path.read_text()))[name] for name in ("format", "version")}
    body = {name: value for name, value in stored.items() if name not in (*head, "checksum")}
    body |= changes
    path.write_text(json.dumps({**head, "checksum": hash_of(body), **body}))
    return Manifest.read(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"facts": None},
        {"versions": None},
        {"files": []},
        {"n_rows": 10.0},
        {"n_rows": True},
        {"seconds": "long"},
        {"is_complete": 1},
        {"is_complete": True, "blocks": []},
        {"blocks": [{"start": 0.0, "stop": 4, "n_bytes": 0, "checksums": {}, "seconds": 0}]},
        {"blocks": [{"start": 0, "stop": 4, "n_bytes": 0, "checksums": None, "seconds": 0}]},
    ],
    ids=str,
)
def test_a_manifest_of_other_types_is_not_read(store, changes):
    assert rewritten(store.folder) == store.manifest
    assert rewritten(store.folder, **changes) is None


@pytest.mark.parametrize(
    ("stage", "facts"),
    [
        ("features", {}),
        ("features", {"n_faces": "10", "n_dimensions": 4, "used_as_they_are": True}),
        ("features", {"n_faces": 10, "n_dimensions": 4, "used_as_they_are": 1}),
        ("neighbors", {"method": "ivf"}),
        ("neighbors", {"method": None, "recall": 0.9}),
        ("neighbors", {"method": "ivf", "recall": "0.9"}),
    ],
    ids=str,
)
def test_a_finished_stage_without_the_facts_of_its_kind_is_not_read(store, stage, facts):
    wrong = {"stage": stage, "facts": facts}
    assert rewritten(store.folder, **wrong).facts == facts
    done = [{"start": 0, "stop": 10, "n_bytes": 0, "checksums": {}, "seconds": 0}]
    assert rewritten(store.folder, **wrong, is_complete=True, blocks=done) is None


@pytest.mark.parametrize("text", ["[" * 100_000, "{}", "", "[]", '{"format": "facelink.stage"}'])
def test_what_is_no_manifest_is_none(store, text):
    (store.folder / MANIFEST_NAME).write_text(text)
    assert Manifest.read(store.folder) is None
