"""What fuzzing found, as small files made here: each is refused now."""

import json
import sqlite3
import struct

import numpy as np
import pytest
import torch

from facelink.album.library import DATABASE, open_album
from facelink.errors import InputError
from facelink.links import Links
from facelink.models.checkpoint import import_checkpoint
from facelink.models.loading import load_link_model
from facelink.models.saved import CONFIG_NAME
from facelink.neighbors.files import load_graph
from facelink.pairs import load_pairs
from tests.fuzz.readers import READERS


def safetensors(metadata, **shapes):
    """A file of empty int32 and float32 arrays: all claim, no values."""
    header = {
        name: {"dtype": dtype, "shape": shape, "data_offsets": [0, 0]}
        for name, (dtype, shape) in shapes.items()
    }
    header["__metadata__"] = {name: json.dumps(value) for name, value in metadata.items()}
    packed = json.dumps(header).encode()
    return struct.pack("<Q", len(packed)) + packed


def test_a_graph_of_many_rows_without_values(tmp_path):
    path = tmp_path / "graph.safetensors"
    shape = [1 << 40, 0]
    metadata = {"format": "facelink.neighbors", "version": 1, "method": "exact", "recall": 1.0}
    path.write_bytes(safetensors(metadata, indices=("I32", shape), similarities=("F32", shape)))
    with pytest.raises(InputError, match="rows without values"):
        load_graph(path)


def test_a_table_of_many_rows_without_values(tmp_path):
    header = repr({"descr": "<U0", "fortran_order": False, "shape": (1 << 40,)}).encode()
    path = tmp_path / "pairs.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
    with pytest.raises(InputError, match="the header claims"):
        load_pairs(path)


def test_a_header_larger_than_any(tmp_path):
    path = tmp_path / "pairs.npy"
    path.write_bytes(b"\x93NUMPY\x02\x00" + struct.pack("<I", 1 << 31) + b" " * 100)
    with pytest.raises(InputError, match=r"a header of 2147483648 bytes"):
        load_pairs(path)


@pytest.mark.parametrize("n_instances", ["6", 1 << 40, None, 2.5, True])
def test_links_of_so_many_faces(tmp_path, n_instances):
    path = tmp_path / "links.safetensors"
    metadata = {"format": "facelink.links", "version": 1, "n_instances": n_instances}
    path.write_bytes(
        safetensors(
            metadata, pairs=("I32", [0, 2]), likelihoods=("F32", [0]), one_sided=("BOOL", [0])
        )
    )
    with pytest.raises(InputError, match="n_instances="):
        Links.load(path)


@pytest.mark.parametrize("line", ["1,99999999999999999999", "-1,2", "1," + "9" * 5000])
def test_a_face_of_that_number(tmp_path, line):
    (tmp_path / "pairs.csv").write_text(line)
    with pytest.raises(InputError, match="give two face numbers from 0"):
        load_pairs(tmp_path / "pairs.csv")


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a": ' + "9" * 5000 + "}"])
def test_a_config_that_no_parser_likes(tmp_path, text):
    (tmp_path / CONFIG_NAME).write_text(text)
    with pytest.raises(InputError, match="not a readable JSON file"):
        load_link_model(tmp_path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"widths": [60_000, 60_000]}, "do not belong together"),
        ({"widths": [1 << 40]}, "at most 65536"),
        ({"temperature": []}, r"temperature=\[\]"),
        ({"model_type": "os.system"}, "another kind of model"),
    ],
)
def test_a_config_that_asks_for_much(tmp_path, values, message):
    reader = READERS[f"link-{CONFIG_NAME}"]
    reader.prepare(tmp_path)
    config = json.loads(reader.examples[0])
    (tmp_path / CONFIG_NAME).write_text(json.dumps(config | values))
    with pytest.raises(InputError, match=message):
        load_link_model(tmp_path)


def test_a_checkpoint_of_one_number_repeated(tmp_path):
    path = tmp_path / "checkpoint.pth"
    torch.save({"state_dict": {"bn0.running_mean": torch.zeros(1).expand(1 << 40)}}, path)
    with pytest.raises(InputError, match=r"more than the .* bytes of the file"):
        import_checkpoint(path)


def test_an_archive_on_several_disks(tmp_path):
    """Python's zipfile raises of itself where it is only asked whether this is an archive."""
    path = tmp_path / "checkpoint.pth"
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 2)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0, 0, 0, 0, 0)
    path.write_bytes(b"PK\x03\x04" + locator + end)
    with pytest.raises(InputError, match=r"checkpoint .*multiple disks"):
        import_checkpoint(path)


@pytest.mark.parametrize("replacement", [b"CREATE T\xffBLE photos", b"CREATE TRBLE photos"])
def test_an_album_whose_tables_are_not_text(tmp_path, replacement):
    content = READERS[f"album-{DATABASE}"].examples[0]
    assert content.count(b"CREATE TABLE photos") == 1
    (tmp_path / DATABASE).write_bytes(content.replace(b"CREATE TABLE photos", replacement))
    with pytest.raises(InputError, match=r"album .*damaged"), open_album(tmp_path):
        pass


def test_an_album_with_a_trigger_of_somebody_else(tmp_path):
    path = tmp_path / DATABASE
    path.write_bytes(READERS[f"album-{DATABASE}"].examples[0])
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("CREATE TRIGGER more AFTER INSERT ON faces BEGIN DELETE FROM people; END")
    connection.close()
    with pytest.raises(InputError, match="somebody changed it"), open_album(tmp_path):
        pass


def test_a_state_that_counts_backwards(tmp_path):
    reader = READERS["state.safetensors"]
    content = reader.examples[0]
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    start = 8 + length + header["optimizer.0.step"]["data_offsets"][0]
    step = np.array([-1e30], dtype="<f4").tobytes()
    assert reader.attempt(content) is not None
    assert reader.attempt(content[:start] + step + content[start + 4 :]) is None
