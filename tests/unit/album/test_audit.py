import itertools

import pytest

from facelink.album.audit import Finding, album_status, audit_album
from facelink.album.history import undo
from facelink.album.queries import people, placements
from tests.unit.album.helpers import tables


def test_a_sound_album_has_no_findings(album):
    assert audit_album(album, fix=True) == []


def test_status_counts(album):
    status = album_status(album)
    assert status["faces"] == 64
    assert status["placed_faces"] + status["undecided_faces"] == 64
    assert status["people"] == len(people(album))
    assert status["named_people"] == status["decisions"] == status["photos"] == 0


def break_places(album):
    first, second = (one.id for one in people(album)[:2])
    album.connection.execute("UPDATE people SET merged_into = ? WHERE id = ?", (first, second))
    return "placed with people who were merged"


def break_set_aside(album):
    face = placements(album, people(album)[0].id)[0].face
    album.connection.execute("INSERT INTO batches (cause, time) VALUES ('x', 'now')")
    album.connection.execute(
        "INSERT INTO decisions (kind, face, batch) VALUES ('ignore', ?, 1)", (face,)
    )
    return "although the user set them aside"


def break_decisions(album):
    faces = sorted(place.face for place in placements(album, people(album)[0].id)[:2])
    album.connection.execute("INSERT INTO batches (cause, time) VALUES ('x', 'now')")
    album.connection.execute(
        "INSERT INTO decisions (kind, face, other, batch) VALUES ('different', ?, ?, 1)", faces
    )
    return "1 decisions contradict"


def break_merges(album):
    first, second, third = (one.id for one in people(album)[:3])
    merge = "UPDATE people SET merged_into = ? WHERE id = ?"
    album.connection.executemany(merge, [(second, first), (first, second), (third, third)])
    return "3 people are merged into one another in a circle"


def break_a_chain_of_merges(album):
    chain = [one.id for one in people(album)[:4]]
    merge = "UPDATE people SET merged_into = ? WHERE id = ?"
    album.connection.executemany(merge, itertools.pairwise(reversed(chain)))
    return "placed with people who were merged"


@pytest.mark.parametrize(
    "damage",
    [break_places, break_set_aside, break_decisions, break_merges, break_a_chain_of_merges],
)
def test_contradictions_are_found_repaired_and_the_repair_undone(album, damage):
    message = damage(album)
    broken = tables(album)
    findings = audit_album(album)
    assert message in findings[0].problem
    assert all(finding.can_fix for finding in findings)
    assert tables(album) == broken
    audit_album(album, fix=True)
    assert audit_album(album) == []
    undo(album)
    assert audit_album(album) == findings


def test_people_who_were_merged_in_a_circle_keep_their_faces(album):
    before = people(album)
    break_merges(album)
    audit_album(album, fix=True)
    assert people(album) == before


def test_faces_follow_a_chain_of_merges_to_its_end(album):
    chain = people(album)[:4]
    break_a_chain_of_merges(album)
    audit_album(album, fix=True)
    assert len(placements(album, chain[-1].id)) == sum(one.n_faces for one in chain)


def test_people_merged_into_nobody_are_told_and_stay(album):
    album.connection.execute("PRAGMA foreign_keys = OFF")
    album.connection.execute("UPDATE people SET merged_into = 999 WHERE id = 1")
    album.connection.execute("PRAGMA foreign_keys = ON")
    expected = [Finding("1 rows refer to others that are gone: people", can_fix=False)]
    assert audit_album(album, fix=True) == audit_album(album) == expected


def test_features_that_are_damaged_or_missing_are_found(album):
    path = album.feature_path(1)
    content = path.read_bytes()
    path.write_bytes(content[:64] + bytes(128) + content[192:])
    (finding,) = audit_album(album)
    assert not finding.can_fix
    assert finding.problem.startswith("1 of 64 features of made up are damaged")
    path.write_bytes(content[:-4])
    assert "63 rows, but the album knows 64" in audit_album(album)[0].problem
    path.unlink()
    assert "No such file" in audit_album(album)[0].problem


def test_rows_that_refer_to_nothing_are_found(album):
    album.connection.execute("PRAGMA foreign_keys = OFF")
    album.connection.execute("UPDATE memberships SET person = 999 WHERE face = 1")
    assert audit_album(album) == [
        Finding("1 rows refer to others that are gone: memberships", can_fix=False)
    ]
