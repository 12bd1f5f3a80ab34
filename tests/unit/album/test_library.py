import os
import sqlite3
import stat
from pathlib import Path

import pytest

from facelink.album.library import DATABASE, edit_album, open_album
from facelink.album.schema import MIGRATIONS
from facelink.errors import InputError, OutputError
from tests.unit.album.helpers import add, edited, made_up_people


def test_an_album_is_made_once_and_found_again(folder):
    features, _ = made_up_people(2, 3)
    with edited(folder) as album:
        assert len(add(album, features)) == 6
    with open_album(folder) as album:
        assert album.count("SELECT count(*) FROM faces") == 6
        assert [model.name for model in album.models()] == ["made up"]


def test_its_folder_is_for_its_owner_only(folder):
    with edited(folder):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_an_empty_folder_becomes_one_for_its_owner_only(folder):
    folder.mkdir()
    folder.chmod(0o755)
    with edited(folder):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("is_owner", [True, False])
def test_an_empty_folder_whose_rights_cannot_be_changed(folder, monkeypatch, is_owner):
    """The owner's own is on a disk that knows no such rights; another's would be open to them."""

    def refuse(path, mode):
        raise PermissionError(1, "Operation not permitted")

    folder.mkdir()
    monkeypatch.setattr(Path, "chmod", refuse)
    owner = folder.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner if is_owner else owner + 1)
    if is_owner:
        with edited(folder) as album:
            assert album.models() == []
        return
    message = r"for its owner only \(Operation not permitted\); choose a new one"
    with pytest.raises(OutputError, match=message), edited(folder):
        pass
    assert list(folder.iterdir()) == []


def test_the_rights_of_an_album_are_its_owners_to_change(folder):
    with edited(folder):
        folder.chmod(0o750)
    with edited(folder):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o750


def test_where_there_is_none(folder):
    with pytest.raises(InputError, match="no album there"), open_album(folder):
        pass
    with pytest.raises(InputError, match="no album there"), edit_album(folder, "test"):
        pass
    assert not folder.exists()


def test_a_folder_of_other_files_is_not_made_an_album(folder):
    folder.mkdir()
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="holds other files"), edited(folder):
        pass


def test_what_killed_commands_leave_is_no_hindrance_and_goes(folder):
    folder.mkdir()
    left = ("lock.sqlite", "lock.json", ".lock.12345678.part.json", f"{DATABASE}-journal")
    for name in left:
        (folder / name).touch()
    with edited(folder) as album:
        assert add(album, made_up_people(2, 3)[0]) != []
        (folder / ".neighbors-1.12345678.part.safetensors").touch()
    with edited(folder):
        assert not list(folder.glob(".*"))


def test_a_file_is_no_album(folder):
    folder.write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="this is a file"), edited(folder):
        pass


def test_a_reader_writes_nothing(folder):
    with edited(folder):
        pass
    with (
        open_album(folder) as album,
        pytest.raises(OutputError, match="reading only"),
        album.transaction(),
    ):
        pass


def test_readers_see_the_last_commit_while_someone_writes(folder):
    features, _ = made_up_people(2, 3)
    with edited(folder) as album:
        add(album, features[:2])
        with open_album(folder) as reader, album.transaction() as connection:
            connection.execute("DELETE FROM faces")
            assert reader.count("SELECT count(*) FROM faces") == 2


def test_a_transaction_that_fails_changes_nothing(folder):
    with edited(folder) as album:
        insert = "INSERT INTO people (name) VALUES (?)"
        with pytest.raises(sqlite3.IntegrityError, match="CHECK"), album.transaction() as changing:
            changing.executemany(insert, [("Ada",), ("",)])
        assert album.count("SELECT count(*) FROM people") == 0


def test_a_damaged_database_is_reported(folder):
    with edited(folder):
        pass
    (folder / DATABASE).write_bytes(b"this is no database " * 100)
    with pytest.raises(InputError, match="damaged or no album"), open_album(folder):
        pass


def test_an_older_album_asks_for_a_command_that_writes(folder, monkeypatch):
    with edited(folder):
        pass
    newer = (*MIGRATIONS, "CREATE TABLE later (x);")
    monkeypatch.setattr("facelink.album.library.MIGRATIONS", newer)
    with pytest.raises(InputError, match="brings it up to date"), open_album(folder):
        pass


def test_an_error_of_the_program_is_not_taken_for_damage(folder):
    with pytest.raises(sqlite3.IntegrityError, match="NOT NULL"), edited(folder) as album:
        album.connection.execute("INSERT INTO models (name) VALUES ('m')")
