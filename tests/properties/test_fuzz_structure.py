"""Files whose structure is right and whose content is not: refused, or read as something sound.

A fifth of the examples that the profile asks for: many readers share the time.
"""

import io
import json
import pickle
import sqlite3
import struct
import tempfile
import zipfile
from dataclasses import fields
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from facelink.album.library import DATABASE
from facelink.errors import InputError
from facelink.models.saved import CONFIG_NAME
from facelink.stages.settings import RunSettings
from tests.fuzz.readers import READERS

few_examples = settings(max_examples=settings.default.max_examples // 5)

json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-2, 9),
        st.sampled_from([1 << 31, 1 << 63, 10**30, -(1 << 63), 1e308, -0.5, float("nan")]),
        st.text(max_size=3),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


def of_kind(*endings):
    """The readers whose kind of file ends so, and their examples."""
    return pytest.mark.parametrize(
        ("reader", "content"),
        [
            pytest.param(reader, content, id=f"{name}-{number}")
            for name, reader in READERS.items()
            if name.endswith(endings)
            for number, content in enumerate(reader.examples)
        ],
    )


def places(value, before=()):
    """Every place in a JSON value, as the keys that lead there."""
    yield before
    children = value.items() if isinstance(value, dict) else ()
    children = enumerate(value) if isinstance(value, list) else children
    for key, child in children:
        yield from places(child, (*before, key))


def changed_json(draw, value):
    """A copy with another value at one place, or without what stands there."""
    copy = json.loads(json.dumps(value))
    *before, last = draw(st.sampled_from([place for place in places(copy) if place]))
    owner = copy
    for key in before:
        owner = owner[key]
    if isinstance(owner, dict) and draw(st.booleans()):
        del owner[last]
    else:
        owner[last] = draw(json_values)
    return copy


@of_kind(*(name for name in READERS if not name.startswith("changed")))
@few_examples
@given(data=st.data())
def test_bytes(reader, content, data):
    position = st.integers(0, len(content) - 1)
    damaged = bytearray(content)
    for place, value in data.draw(st.lists(st.tuples(position, st.integers(0, 255)), max_size=3)):
        damaged[place] = value
    reader.attempt(bytes(damaged[: data.draw(position | st.just(len(content)))]))


@of_kind(CONFIG_NAME)
@few_examples
@given(data=st.data())
def test_configs(reader, content, data):
    changed = changed_json(data.draw, json.loads(content))
    reader.attempt(json.dumps(changed).encode())


run_keys = st.sampled_from([one.name for one in fields(RunSettings)])


@few_examples
@given(values=st.dictionaries(run_keys, json_values, max_size=4))
def test_run_settings(values):
    """Any value of any key: settings that can be used, or a refusal that names the key."""
    try:
        given_settings = RunSettings.from_values({"features": "faces.npy", **values}, Path())
    except InputError as error:
        named = [key for key in (*values, "features") if key in str(error)]
        assert named
    else:
        assert given_settings.merging.max_cluster_size == given_settings.max_cluster_size
        assert given_settings.memory_bytes is None or given_settings.memory_bytes > 0


@of_kind(".safetensors")
@few_examples
@given(data=st.data())
def test_safetensors(reader, content, data):
    """Another dtype, shape, place or name in the header, and metadata of any kind."""
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    metadata = header.get("__metadata__", {})
    kinds = st.sampled_from(["BOOL", "I8", "U64", "F16", "BF16", "F64", "F8_E4M3", "C64"])
    name = data.draw(st.sampled_from(sorted(header.keys() - {"__metadata__"})))
    how = data.draw(st.sampled_from(["dtype", "header", "metadata"]))
    if how == "dtype":
        header[name]["dtype"] = data.draw(kinds)
    elif how == "header" or not metadata:
        header = changed_json(data.draw, header)
    else:
        key = data.draw(st.sampled_from(sorted(metadata)))
        metadata[key] = json.dumps(changed_json(data.draw, [json.loads(metadata[key])]))
    packed = json.dumps(header).encode()
    reader.attempt(struct.pack("<Q", len(packed)) + packed + content[8 + length :])


npy_headers = st.builds(
    lambda descr, is_fortran, shape: repr(
        {"descr": descr, "fortran_order": is_fortran, "shape": tuple(shape)}
    ),
    st.sampled_from(
        [
            *("<f4", ">f4", "<f2", ">f8", "<i8", ">i4", "|u1", "|O", "|V0", "<U0", "|S9", "|b1"),
            *("<c8", "<M8[s]", "|V2147483647", [("a", "<f4")], [("a", "<f4", (1 << 40,))]),
        ]
    ),
    st.booleans(),
    st.lists(st.sampled_from([0, 1, 2, 3, 6, -1, 1 << 31, 1 << 62, 1 << 63, True]), max_size=3),
)


def npy(header, values):
    text = header.encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + values


@of_kind(".npy")
@few_examples
@given(header=npy_headers, n_bytes=st.integers(0, 200))
def test_npy(reader, content, header, n_bytes):
    reader.attempt(npy(header, bytes(range(n_bytes))))


@of_kind(".npz")
@few_examples
@given(data=st.data())
def test_npz(reader, content, data):
    """Members that lie, stand twice, or are packed otherwise than numpy packs them."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    stream = io.BytesIO()
    methods = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
    with zipfile.ZipFile(stream, "w") as archive:
        for name, value in members.items():
            method = data.draw(st.sampled_from(methods))
            lie = data.draw(st.none() | st.builds(npy, npy_headers, st.binary(max_size=100)))
            archive.writestr(name, value if lie is None else lie, method)
    reader.attempt(stream.getvalue())


columns = st.sampled_from(
    [
        pa.array([1, None, 3]),
        pa.array([0, 1, 2], pa.uint64()),
        pa.array(["a", "", "c"]),
        pa.array(["a", None, "a"]).dictionary_encode(),
        pa.array([b"\xff", b"", b"a"]),
        pa.array([[0.5, 1.0], None, [2.0, 3.0]]),
        pa.array([[0.5, 1.0], [1.0], []]),
        pa.array([[0.5, None], [1.0, 2.0], [float("nan"), 1.0]], pa.list_(pa.float16())),
        pa.array([[0.5, 1.0], None, [2.0, 3.0]], pa.list_(pa.float32(), 2)),
        pa.array([[[0.5]], [[1.0]], [[]]]),
        pa.array([{"x": 1}, {"x": 2}, None]),
        pa.array([None, None, None], pa.null()),
        pa.array([1.5, float("inf"), 2.0]),
        pa.array([True, False, None]),
        pa.array([1, 2, 3], pa.timestamp("s")),
        pa.array([1, 2, 3], pa.decimal128(9, 1)),
    ]
)


@of_kind(".parquet")
@few_examples
@given(table=st.dictionaries(st.sampled_from(["features", "label", "index", "x"]), columns))
def test_parquet(reader, content, table):
    stream = io.BytesIO()
    pyarrow.parquet.write_table(pa.table(table), stream)
    reader.attempt(stream.getvalue())


odd_tensors = st.sampled_from(
    [
        torch.zeros(1).expand(1 << 40),
        torch.zeros(1, 1).expand(1 << 20, 1 << 20),
        torch.zeros(3).to_sparse(),
        torch.zeros(3, dtype=torch.complex64),
        torch.zeros(3, dtype=torch.int64),
        torch.zeros(3, dtype=torch.bfloat16),
        torch.zeros(3, device="meta"),
        torch.full((3,), float("nan")),
        torch.zeros(()),
        torch.zeros(0, 3),
        [1.0],
        None,
    ]
)


@of_kind(".pth")
@few_examples
@given(data=st.data())
def test_checkpoints(reader, content, data):
    stored = torch.load(io.BytesIO(content), weights_only=True)["state_dict"]
    for name in data.draw(st.lists(st.sampled_from(sorted(stored)), min_size=1, max_size=2)):
        stored[name] = data.draw(odd_tensors)
    stream = io.BytesIO()
    torch.save({"state_dict": stored}, stream)
    reader.attempt(stream.getvalue())


def test_a_checkpoint_that_would_run_code(tmp_path):
    class Harmful:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "touched",))

    content = io.BytesIO()
    torch.save({"state_dict": Harmful()}, content)
    for harmful in (content.getvalue(), pickle.dumps(Harmful())):
        assert READERS["checkpoint.pth"].attempt(harmful) is None
    assert not (tmp_path / "touched").exists()


@of_kind(DATABASE)
@settings(max_examples=max(5, settings.default.max_examples // 100))
@given(data=st.data())
def test_albums(reader, content, data):
    """Values that no facelink writes, in a database whose tables are right."""
    table, column = data.draw(
        st.sampled_from(
            [
                ("faces", "feature_row"),
                ("faces", "junk_reasons"),
                ("faces", "landmarks"),
                ("models", "n_features"),
                ("models", "n_rows"),
                ("history", "after"),
                ("batches", "time"),
                ("memberships", "person"),
                ("people", "merged_into"),
            ]
        )
    )
    values = st.sampled_from([b"", b"\xff\xfe", "[", "\0", 0, -1, 7, 1 << 40, 1.5, None])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, DATABASE)
        path.write_bytes(content)
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            connection.execute(f"UPDATE OR IGNORE {table} SET {column} = ?", (data.draw(values),))
        except sqlite3.IntegrityError:
            return  # the tables do not take it
        finally:
            connection.close()
        reader.attempt(path.read_bytes())


@pytest.mark.parametrize(
    "script",
    [
        "CREATE TRIGGER more AFTER INSERT ON faces BEGIN DELETE FROM people; END",
        "CREATE VIEW more AS SELECT * FROM people",
        "CREATE TABLE more (x)",
        "DROP TRIGGER erase_features",
        "DROP TABLE history",
        "ALTER TABLE people ADD COLUMN more TEXT",
        "PRAGMA user_version = 0",
    ],
)
@of_kind(DATABASE)
def test_albums_with_other_tables(reader, content, script, tmp_path):
    path = tmp_path / DATABASE
    path.write_bytes(content)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(script)
    connection.close()
    assert reader.attempt(path.read_bytes()) is None


def test_every_example_is_read():
    for name, reader in READERS.items():
        for content in reader.examples:
            assert reader.attempt(content) is not None, name
