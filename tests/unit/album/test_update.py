from pathlib import Path

import numpy as np
import pytest

from facelink.album.additions import add_photos, embedding_model
from facelink.album.decisions import name_person, say_different, say_same
from facelink.album.evidence import Evidence
from facelink.album.history import batches, undo
from facelink.album.queries import candidates, n_undecided, people, person, placements
from facelink.album.records import NewFace, NewPhoto
from facelink.album.suggestions import merge_suggestions, split_suggestion
from facelink.album.update import apply_plans, plan_update
from facelink.errors import InputError
from facelink.metrics import bcubed_scores
from tests.helpers import clustered_features
from tests.unit.album.helpers import (
    add,
    edited,
    groups_of,
    link_model,
    made_up_people,
    people_of,
    tables,
    update,
)

GOOD_BCUBED_F = 0.9
"""Sixty faces tell little: two people whom they join stay joined. More than that is a fault."""

FEATURES, LABELS = made_up_people(n_people=12, faces_each=10)


@pytest.fixture
def half(folder):
    """An album with the first half of the faces, placed."""
    with edited(folder) as album:
        add(album, FEATURES[:60])
        update(album)
        yield album


def labels_of(album):
    """Person of each face by number, an undecided one a label of its own."""
    placed = people_of(album)
    faces = [row[0] for row in album.connection.execute("SELECT id FROM faces ORDER BY id")]
    return np.array([placed.get(face, -face) for face in faces])


def test_faces_are_grouped_by_person(half):
    add(half, FEATURES[60:])
    update(half)
    assert bcubed_scores(LABELS, labels_of(half)).fscore > GOOD_BCUBED_F


def test_new_faces_join_people_who_keep_their_numbers_and_faces(half):
    before = people_of(half)
    add(half, FEATURES[60:])
    changes = update(half)
    after = people_of(half)
    merged = {one: person(half, one).merged_into or one for one in set(before.values())}
    assert {face: after[face] for face in before} == {
        face: merged[whose] for face, whose in before.items()
    }
    listed = {change.subject_id for change in changes if change.subject == "face"}
    assert listed == {face for face in after if after[face] != before.get(face)}


def test_an_update_without_news_changes_nothing(half):
    before = tables(half)
    n_batches = len(batches(half))
    assert update(half) == []
    assert tables(half) == before
    assert len(batches(half)) == n_batches


def test_an_update_is_undone_as_one(half):
    before = people_of(half)
    add(half, FEATURES[60:])
    update(half)
    undo(half)
    assert people_of(half) == before


def test_a_plan_writes_nothing_and_is_what_then_happens(half, folder):
    add(half, FEATURES[60:])
    before, files = tables(half), {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    plans = plan_update(half, link_model())
    assert tables(half) == before
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == files
    apply_plans(half, plans)
    placed = people_of(half)
    for joining in plans[0].joinings:
        assert len({placed[face] for face in joining.faces}) <= 1
    n_joined = sum(len(joining.faces) for joining in plans[0].joinings)
    assert n_joined == len(placed) - len(before["memberships"])


def test_people_with_names_stay_apart(half):
    first, second, *_ = people(half)
    name_person(half, first.id, "Ada")
    name_person(half, second.id, "Grace")
    # As close to one as to the other: what could bring the two together.
    members = [placements(half, one.id)[0].face - 1 for one in (first, second)]
    between = FEATURES[members].sum(axis=0, keepdims=True)
    add(half, np.repeat(between, 6, axis=0) + 0.02 * np.eye(6, 32))
    update(half)
    assert person(half, first.id).name == "Ada"
    assert person(half, second.id).name == "Grace"
    assert person(half, first.id).merged_into is person(half, second.id).merged_into is None


def test_what_the_user_said_of_two_faces_holds_whatever_comes(half):
    (one, other), (far, away) = [
        [place.face for place in placements(half, found.id)][:2] for found in people(half)[:2]
    ]
    say_different(half, one, other)
    say_same(half, one, far)
    add(half, FEATURES[60:])
    update(half)
    placed = people_of(half)
    assert placed[one] == placed[far]
    assert placed.get(other) != placed[one]
    assert placed[away] == placed[far]


def test_a_lone_face_stays_undecided_until_someone_like_it_comes(folder):
    lone = np.flatnonzero(LABELS == 0)
    with edited(folder) as album:
        add(album, FEATURES[np.flatnonzero(LABELS != 0)])
        (face,) = add(album, FEATURES[lone[:1]])
        update(album)
        assert face not in people_of(album)
        others = add(album, FEATURES[lone[1:]])
        update(album)
        assert {people_of(album)[one] for one in [face, *others]} == {people_of(album)[face]}


def test_undecided_faces_have_people_they_may_be(half):
    found = people(half)[0]
    face = placements(half, found.id)[0].face
    blurred = FEATURES[face - 1] + 0.3 * np.random.default_rng(3).normal(size=(12, 32))
    add(half, blurred)
    update(half)
    listed = half.connection.execute("SELECT DISTINCT face FROM candidates").fetchall()
    assert 0 < len(listed) <= n_undecided(half)
    assert all(row[0] not in people_of(half) for row in listed)
    likelihoods = [one.likelihood for row in listed for one in candidates(half, row[0])[:1]]
    assert all(0.1 <= value <= 1 for value in likelihoods)


def test_junk_is_kept_but_never_placed(half):
    model = half.models()[0]
    photo = NewPhoto(Path("/a.jpg"), 1, 1, "h")
    (face,) = add_photos(half, model, [(photo, [NewFace(FEATURES[0], junk_reasons=("blurred",))])])
    update(half)
    assert face not in people_of(half)


def test_faces_of_two_models_never_meet(half):
    before = groups_of(half)
    others = add(half, FEATURES[:60], model_name="another")
    update(half)
    assert {group for group in groups_of(half) if not group & set(others)} == before
    assert all(group <= set(others) or not group & set(others) for group in groups_of(half))


def test_neighbour_lists_that_are_lost_or_damaged_are_made_again(half):
    before = groups_of(half)
    path = half.neighbors_path(half.models()[0].id)
    path.unlink()
    assert update(half) == []
    path.write_bytes(b"damaged")
    add(half, FEATURES[60:61])
    update(half)
    assert all(any(group <= after for after in groups_of(half)) for group in before)


def test_one_face_has_nobody_to_be_compared_with(folder):
    with edited(folder) as album:
        add(album, FEATURES[:1])
        assert plan_update(album, link_model()) == []
        add(album, FEATURES[1:2])
        update(album)
        assert n_undecided(album) + len(people_of(album)) == 2


def test_contradictions_are_reported(half):
    half.connection.execute("INSERT INTO batches (cause, time) VALUES ('x', 'now')")
    one, other = (place.face for place in placements(half, people(half)[0].id)[:2])
    half.connection.execute(
        "INSERT INTO decisions (kind, face, other, batch) VALUES ('different', ?, ?, 1)",
        sorted((one, other)),
    )
    with pytest.raises(InputError, match="audit --fix repairs that"):
        update(half)


def test_faces_of_one_photograph_are_less_likely_one_person(folder):
    rows = np.flatnonzero(LABELS < 8)
    twins = FEATURES[rows[0]] + 0.05 * np.random.default_rng(0).normal(size=(2, 32))
    with edited(folder) as album:
        add(album, FEATURES[rows[1:]])
        update(album)
        model = embedding_model(album, "made up", 32)
        photo = NewPhoto(Path("/a.jpg"), 1, 1, "h")
        add_photos(album, model, [(photo, [NewFace(row.astype(np.float32)) for row in twins])])
        with_it, without = (
            plan_update(album, link_model(), with_photo_evidence=used)[0] for used in (True, False)
        )
        assert with_it.photo_log_odds < 0 == without.photo_log_odds


def test_suggestions_show_what_speaks_for_them_and_leave_out_what_was_answered(half):
    first, second = sorted(one.id for one in people(half)[:2])
    half.connection.execute(
        "INSERT OR REPLACE INTO suggestions VALUES (?, ?, 0.99, 7)", (first, second)
    )
    evidence = Evidence(half)
    suggestion = merge_suggestions(half, evidence, limit=1)[0]
    assert (suggestion.person, suggestion.other) == (first, second)
    ends = [{place.face for place in placements(half, one)} for one in (first, second)]
    assert all(one in ends[0] and other in ends[1] for one, other in suggestion.faces)
    say_different(half, min(ends[0]), min(ends[1]))
    left = merge_suggestions(half, evidence)
    assert (first, second) not in {(one.person, one.other) for one in left}


def test_a_split_is_suggested_where_two_people_were_made_one(half):
    first, second = people(half)[:2]
    ends = [{place.face for place in placements(half, one.id)} for one in (first, second)]
    say_same(half, min(ends[0]), min(ends[1]))
    kept = people(half)[0].id
    found = split_suggestion(half, Evidence(half), kept)
    assert set(found.faces) in ends
    assert found.likelihood < 0.5


def test_people_who_are_new_are_asked_about_at_once(folder):
    features, _ = clustered_features(12, 4, n_features=32, seed=2, spread=1.0)
    with edited(folder) as album:
        add(album, features)
        update(album)
        first = tables(album)
        assert first["suggestions"]
        assert first["candidates"]
        update(album)
        again = tables(album)
    for table in ("suggestions", "candidates"):
        assert [row[:2] for row in again[table]] == [row[:2] for row in first[table]]
