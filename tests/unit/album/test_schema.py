import sqlite3

import pytest

from facelink.album.schema import APPLICATION_ID, MIGRATIONS, check_version, migrate
from facelink.errors import InputError


@pytest.fixture
def connection(tmp_path):
    connection = sqlite3.connect(tmp_path / "album.sqlite", isolation_level=None)
    yield connection
    connection.close()


def version_of(connection):
    return connection.execute("PRAGMA user_version").fetchone()[0]


def test_an_empty_file_becomes_an_album_of_the_newest_version(connection):
    assert check_version(connection) == 0
    migrate(connection)
    assert check_version(connection) == version_of(connection) == len(MIGRATIONS)
    assert connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID


def test_migrating_twice_changes_nothing(connection):
    migrate(connection)
    connection.execute("INSERT INTO people (name) VALUES ('Ada')")
    migrate(connection)
    assert connection.execute("SELECT name FROM people").fetchall() == [("Ada",)]


def test_an_older_album_gains_what_it_lacks_and_keeps_its_rows(connection):
    migrate(connection)
    connection.execute("INSERT INTO people (name) VALUES ('Ada')")
    migrate(connection, [*MIGRATIONS, "ALTER TABLE people ADD COLUMN birthday TEXT;"])
    assert version_of(connection) == len(MIGRATIONS) + 1
    assert connection.execute("SELECT name, birthday FROM people").fetchall() == [("Ada", None)]


def test_a_step_that_fails_leaves_the_version_before_it(connection):
    migrate(connection)
    broken = "ALTER TABLE people ADD COLUMN birthday TEXT; ALTER TABLE nowhere ADD COLUMN x;"
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        migrate(connection, [*MIGRATIONS, broken])
    assert version_of(connection) == len(MIGRATIONS)
    assert not connection.in_transaction
    columns = [row[1] for row in connection.execute("PRAGMA table_info(people)")]
    assert "birthday" not in columns


def test_an_album_of_a_newer_facelink_is_refused(connection):
    migrate(connection, [*MIGRATIONS, "CREATE TABLE later (x);"])
    with pytest.raises(InputError, match=f"version {len(MIGRATIONS) + 1}.*newer facelink"):
        migrate(connection)


def test_the_database_of_another_program_is_refused(connection):
    connection.execute("CREATE TABLE bookmarks (url TEXT)")
    with pytest.raises(InputError, match="another program"):
        migrate(connection)
    assert connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 1


def test_a_decision_of_one_face_names_no_other_and_one_of_two_names_both(connection):
    migrate(connection)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.executescript(
        "INSERT INTO models (name, n_features) VALUES ('m', 2);"
        "INSERT INTO faces (model, feature_row) VALUES (1, 0), (1, 1);"
        "INSERT INTO batches (cause, time) VALUES ('test', '2026-01-01');"
    )
    add = "INSERT INTO decisions (kind, face, other, batch) VALUES (?, ?, ?, 1)"
    for wrong in (("same", 1, None), ("ignore", 1, 2), ("same", 2, 1)):
        with pytest.raises(sqlite3.IntegrityError, match="CHECK constraint failed"):
            connection.execute(add, wrong)
    connection.execute(add, ("same", 1, 2))
    connection.execute(add, ("ignore", 1, None))
