"""Against a real PostgreSQL with pgvector, which the tests start in a folder of their own."""

import os
import shutil
import socket
import struct
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest

from facelink.album.audit import audit_album
from facelink.album.decisions import name_person, reject_face
from facelink.album.history import undo
from facelink.album.immich import import_immich, parse_vector
from facelink.album.queries import faces_of_photo, people, photos, placements
from facelink.album.records import Box
from facelink.errors import InputError
from tests.unit.album.helpers import edited

USER = "nobody" if os.name == "posix" and os.getuid() == 0 else None
"""PostgreSQL refuses to run as root."""

SCHEMAS = {
    "before 3.2": (
        'CREATE TABLE assets (id uuid PRIMARY KEY, "originalPath" text);'
        'CREATE TABLE person (id uuid PRIMARY KEY, name text, "isHidden" bool);'
        'CREATE TABLE asset_faces (id uuid PRIMARY KEY, "assetId" uuid, "personId" uuid,'
        ' "imageWidth" int, "imageHeight" int, "boundingBoxX1" int, "boundingBoxY1" int,'
        ' "boundingBoxX2" int, "boundingBoxY2" int, "deletedAt" timestamptz);'
    ),
    "since 3.2": (
        'CREATE TABLE asset (id uuid PRIMARY KEY, "originalPath" text, "ownerId" uuid,'
        ' "deletedAt" timestamptz);'
        'CREATE TABLE person ("ownerId" uuid, "personGroupId" uuid, name text, "isHidden" bool);'
        'CREATE TABLE asset_face (id uuid PRIMARY KEY, "assetId" uuid, "personGroupId" uuid,'
        ' "imageWidth" int, "imageHeight" int, "boundingBoxX1" int, "boundingBoxY1" int,'
        ' "boundingBoxX2" int, "boundingBoxY2" int, "sourceType" text,'
        ' "isVisible" bool DEFAULT true, "deletedAt" timestamptz);'
    ),
}

FACES = 5
OWNER = 300
WIDTH = 4
PEOPLE = ((200, "Ada", False), (201, " ", False), (202, "Ada", True))
"""Number, name and whether they are hidden: two are called the same, one has no name."""

WHOSE = (200, 200, 201, 202, None, 200)
"""Person of each face; the last one is deleted."""

VECTORS = np.random.default_rng(0).normal(size=(FACES, WIDTH)).astype(np.float32)


def run(*command, **settings):
    return subprocess.run(
        [str(part) for part in command], check=True, capture_output=True, user=USER, **settings
    )


@pytest.fixture(scope="module")
def server():
    """Address of a PostgreSQL with pgvector, without a database's name."""
    dbapi = pytest.importorskip("pg8000.dbapi", reason="no PostgreSQL driver (pg8000)")
    pgserver = pytest.importorskip("pgserver", reason="no PostgreSQL with pgvector (pgserver)")
    programs = Path(pgserver.__file__).parent / "pginstall" / "bin"
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    if USER:
        shutil.chown(folder, USER)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = folder / "data"
    try:
        run(programs / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "-E", "UTF8")
    except (OSError, subprocess.CalledProcessError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"PostgreSQL does not start here: {error}")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -k {folder} -c fsync=off"
    start = subprocess.Popen(
        [programs / "pg_ctl", "-D", data, "-l", folder / "log", "-o", options, "-w", "start"],
        stdout=subprocess.DEVNULL,
        user=USER,
    )
    assert start.wait() == 0
    try:
        connection = dbapi.connect(user="postgres", host="127.0.0.1", port=port)
        connection.autocommit = True
        yield connection, f"postgresql://postgres@127.0.0.1:{port}"
        connection.close()
    finally:
        run(programs / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder)


@pytest.fixture(params=SCHEMAS)
def immich(server, request):
    """Address of a database of Immich's, with five faces in three photographs, one deleted."""
    connection, address = server
    dbapi = pytest.importorskip("pg8000.dbapi")
    name = f"immich_{list(SCHEMAS).index(request.param)}"
    connection.cursor().execute(f"CREATE DATABASE {name}")
    host, port = address.rpartition("@")[2].split(":")
    filled = dbapi.connect(user="postgres", host=host, port=int(port), database=name)
    cursor = filled.cursor()
    cursor.execute("CREATE EXTENSION vector")
    for statement in SCHEMAS[request.param].split(";")[:-1]:
        cursor.execute(statement)
    cursor.execute(
        f'CREATE TABLE face_search ("faceId" uuid PRIMARY KEY, embedding vector({WIDTH}))'
    )
    plural = "s" if request.param == "before 3.2" else ""
    for photo in range(3):
        cursor.execute(
            f'INSERT INTO asset{plural} (id, "originalPath") VALUES (%s::uuid, %s)',
            (uuid(100 + photo), f"/library/{photo}.jpg"),
        )
    for number, called, is_hidden in PEOPLE:
        cursor.execute(
            f"INSERT INTO person VALUES ({'' if plural else '%s::uuid, '}%s::uuid, %s, %s)",
            (*(() if plural else (uuid(OWNER),)), uuid(number), called, is_hidden),
        )
    if not plural:  # another user's name for the same person
        cursor.execute(
            "INSERT INTO person VALUES (%s::uuid, %s::uuid, 'Aunt Ada', false)",
            (uuid(OWNER + 1), uuid(200)),
        )
        cursor.execute('UPDATE asset SET "ownerId" = %s::uuid', (uuid(OWNER),))
    for face in range(FACES + 1):
        deleted = "now()" if face == FACES else "NULL"
        cursor.execute(
            f"INSERT INTO asset_face{plural} VALUES "
            "(%s::uuid, %s::uuid, %s::uuid, 640, 480, 10, 20, 40, 60"
            + (", 'machine-learning', true" if not plural else "")
            + f", {deleted})",
            (uuid(face), uuid(100 + face % 3), WHOSE[face] and uuid(WHOSE[face])),
        )
        vector = VECTORS[face % FACES].tolist()
        cursor.execute(
            "INSERT INTO face_search VALUES (%s::uuid, %s::vector)", (uuid(face), str(vector))
        )
    filled.commit()
    filled.close()
    yield f"{address}/{name}"
    connection.cursor().execute(f"DROP DATABASE {name} WITH (FORCE)")


def uuid(number):
    return f"00000000-0000-0000-0000-{number:012d}"


def test_faces_come_with_boxes_and_photographs(immich, folder):
    with edited(folder) as album:
        imported = import_immich(album, immich)
        assert (imported.faces_added, imported.faces_known, imported.photos) == (5, 0, 3)
        assert [photo.path for photo in photos(album)] == [
            Path(f"/library/{number}.jpg") for number in range(3)
        ]
        found = [face for photo in photos(album) for face in faces_of_photo(album, photo.id)]
        assert {face.external_id for face in found} == {uuid(number) for number in range(FACES)}
        assert {face.box for face in found} == {Box(10, 20, 30, 40)}
        features = album.feature_file(album.models()[0]).rows(FACES)
        for face in found:
            expected = VECTORS[int(face.external_id[-2:])]
            expected = expected / np.linalg.norm(expected)
            np.testing.assert_allclose(features[face.feature_row], expected, rtol=1e-5)


def test_a_second_import_brings_only_what_is_new(immich, folder, monkeypatch):
    monkeypatch.setattr("facelink.album.immich._PAGE", 2)
    with edited(folder) as album:
        assert import_immich(album, immich).faces_added == 5
        again = import_immich(album, immich)
        assert (again.faces_added, again.faces_known) == (0, 5)


def named(album):
    """Name, whether hidden, and last digits of the faces of each person."""
    ids = dict(album.connection.execute("SELECT id, external_id FROM faces"))
    return [
        (
            one.name,
            one.is_hidden,
            sorted(int(ids[place.face][-2:]) for place in placements(album, one.id)),
        )
        for one in people(album, with_hidden=True, order="id")
    ]


def test_faces_of_people_with_names_come_to_people_of_these_names(immich, folder):
    with edited(folder) as album:
        imported = import_immich(album, immich)
        assert (imported.people_named, imported.faces_placed) == (2, 3)
        assert named(album) == [("Ada", False, [0, 1]), ("Ada", True, [3])]
        assert {place.how for place in placements(album, 1)} == {"automatic"}
        assert audit_album(album) == []


def test_names_are_taken_once_and_what_was_changed_here_stays(immich, folder):
    with edited(folder) as album:
        import_immich(album, immich)
        reject_face(album, max(place.face for place in placements(album, 1)))
        name_person(album, 1, "Lovelace")
        forgotten = album.connection.execute("DELETE FROM history WHERE subject = 'face'")
        assert forgotten.rowcount > 0
        again = import_immich(album, immich)
        assert (again.people_named, again.faces_placed) == (0, 0)
        album.connection.execute("DELETE FROM decisions")
        again = import_immich(album, immich)
        assert (again.people_named, again.faces_placed) == (0, 1)
        assert named(album) == [("Lovelace", False, [0, 1]), ("Ada", True, [3])]
        undo(album)
        assert len(placements(album, 1)) == 1


def test_names_can_be_left_there(immich, folder):
    with edited(folder) as album:
        imported = import_immich(album, immich, with_names=False)
        assert (imported.faces_added, imported.people_named, imported.faces_placed) == (5, 0, 0)
        assert named(album) == []


def test_another_database_is_refused(server, folder):
    with edited(folder) as album, pytest.raises(InputError, match="no table asset_face"):
        import_immich(album, f"{server[1]}/postgres")


def test_an_address_that_is_none_or_answers_nothing(folder):
    pytest.importorskip("pg8000.dbapi")
    with edited(folder) as album:
        with pytest.raises(InputError, match="needs an address like"):
            import_immich(album, "mysql://somewhere/immich")
        with pytest.raises(InputError, match="cannot reach the database"):
            import_immich(album, "postgresql://postgres@127.0.0.1:1/immich")


def test_vectors_are_read_in_both_forms():
    binary = struct.pack(">HH3f", 3, 0, 0.5, -2, 1e-3)
    for stored in ("[0.5,-2,0.001]", binary, bytearray(binary), memoryview(binary)):
        np.testing.assert_array_equal(parse_vector(stored), np.float32([0.5, -2, 1e-3]))


@pytest.mark.parametrize("stored", ["[1,x]", b"", b"\x00\x02\x00\x00\x00"])
def test_what_is_no_vector_is_refused(stored):
    with pytest.raises(InputError, match="vector"):
        parse_vector(stored)
