from pathlib import Path

import numpy as np
import pytest

from facelink.album import asking
from facelink.album.additions import add_photos, embedding_model
from facelink.album.asking import ask_anew, concerned_by
from facelink.album.decisions import (
    assign_faces,
    merge_people,
    name_person,
    reject_face,
    say_different,
    separate_people,
    set_aside,
)
from facelink.album.evidence import Evidence
from facelink.album.history import undo
from facelink.album.queries import candidates, people, placements, undecided
from facelink.album.records import Change, NewFace, NewPhoto
from tests.helpers import clustered_features
from tests.unit.album.helpers import edited, people_of, tables, update

FEATURES, _ = clustered_features(30, 5, n_features=32, seed=2, spread=1.0)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The files of an album of people who are hard to tell apart, two faces in each photograph."""
    folder = tmp_path_factory.mktemp("asking") / "hard.album"
    with edited(folder) as album:
        model = embedding_model(album, "made up", 32)
        pairs = FEATURES.astype(np.float32).reshape(-1, 2, 32)
        photos = [
            (NewPhoto(Path(f"/{number}.jpg"), 1, 1, str(number)), [NewFace(one) for one in faces])
            for number, faces in enumerate(pairs)
        ]
        add_photos(album, model, photos)
        update(album)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def hard(made, tmp_path):
    folder = tmp_path / "hard.album"
    folder.mkdir()
    for name, content in made.items():
        (folder / name).write_bytes(content)
    with edited(folder) as album:
        yield album


@pytest.fixture
def evidence(hard):
    return Evidence(hard)


def everything(album):
    """Changes that concern everyone."""
    return [Change("face", face, "person", None, whose) for face, whose in groups(album).items()]


def groups(album):
    return {one.id: None for one in undecided(album)} | people_of(album)


def asked(album):
    return {(one, other): likelihood for one, other, likelihood, _ in tables(album)["suggestions"]}


def waiting(album):
    return {(face, person): likelihood for face, person, likelihood in tables(album)["candidates"]}


def test_asking_about_everyone_gives_what_the_update_gave(hard, evidence):
    before = asked(hard), waiting(hard)
    ask_anew(hard, evidence, everything(hard))
    for then, now in zip(before, (asked(hard), waiting(hard)), strict=True):
        both = sorted(then.keys() & now.keys())
        assert len(both) > 0.9 * max(len(then), len(now)) > 90
        differences = [abs(then[pair] - now[pair]) for pair in both]
        assert max(differences) < 0.1  # the update weighed by the people of its last round but one


def test_after_any_decisions_a_few_questions_made_anew_are_all_made_anew(hard, evidence):
    first, second, third, *_ = people(hard)
    faces = [place.face for place in placements(hard, first.id)]
    decided = [
        lambda: merge_people(hard, first.id, second.id),
        lambda: reject_face(hard, faces[0]),
        lambda: set_aside(hard, [faces[1]], "ignore"),
        lambda: say_different(hard, faces[2], faces[3]),
        lambda: assign_faces(hard, [faces[0]], third.id),
        lambda: separate_people(hard, first.id, third.id),
        lambda: undo(hard),
        lambda: name_person(hard, first.id, "Ann"),
    ]
    ask_anew(hard, evidence, everything(hard))
    for decide in decided:
        ask_anew(hard, evidence, decide())
        few = asked(hard), waiting(hard)
        ask_anew(hard, evidence, everything(hard))
        assert few == (asked(hard), waiting(hard))


def test_a_merge_moves_the_questions_and_adds_up_their_evidence(hard, evidence):
    (one, other), likelihood = max(asked(hard).items(), key=lambda item: item[1])
    elsewhere = {pair: how for pair, how in asked(hard).items() if not {one, other} & set(pair)}
    ask_anew(hard, evidence, merge_people(hard, one, other))
    now = asked(hard)
    assert not any(other in pair for pair in now)
    assert any(one in pair for pair in now)
    assert elsewhere.items() <= now.items()
    ask_anew(hard, evidence, undo(hard))
    assert asked(hard)[one, other] == pytest.approx(likelihood, abs=0.02)


def test_what_was_contradicted_is_asked_no_more(hard, evidence):
    one, other = max(asked(hard), key=asked(hard).get)
    ask_anew(hard, evidence, separate_people(hard, one, other))
    assert (one, other) not in asked(hard)
    face, person = next(iter(waiting(hard)))
    anchor = placements(hard, person)[0].face
    ask_anew(hard, evidence, say_different(hard, anchor, face))
    assert (face, person) not in waiting(hard)


def test_a_face_that_becomes_undecided_has_candidates_at_once(hard, evidence):
    person = people(hard)[0].id
    face = placements(hard, person)[0].face
    ask_anew(hard, evidence, reject_face(hard, face))
    found = [one.person for one in candidates(hard, face)]
    assert found
    assert person not in found


def test_a_face_that_is_set_aside_is_nobodys_candidate(hard, evidence):
    face = next(iter(waiting(hard)))[0]
    ask_anew(hard, evidence, set_aside(hard, [face], "not_a_face"))
    assert all(one != face for one, _ in waiting(hard))


def test_no_more_is_asked_than_an_update_would_ask(hard, evidence, monkeypatch):
    ask_anew(hard, evidence, everything(hard))
    likeliest = sorted(asked(hard).values(), reverse=True)[:7]
    monkeypatch.setattr(asking, "MOST_SUGGESTIONS", 7)
    ask_anew(hard, evidence, everything(hard))
    assert sorted(asked(hard).values(), reverse=True) == likeliest


def test_names_concern_no_question(hard, evidence):
    changes = name_person(hard, people(hard)[0].id, "Ann")
    assert concerned_by(hard, changes).people == frozenset()
    before = tables(hard)
    ask_anew(hard, evidence, changes)
    assert tables(hard) == before


def test_an_album_that_was_never_judged_has_no_questions(folder):
    with edited(folder) as album:
        model = embedding_model(album, "made up", 32)
        photo = NewPhoto(Path("/a.jpg"), 1, 1, "a")
        first, second = add_photos(
            album, model, [(photo, [NewFace(row.astype(np.float32)) for row in FEATURES[:2]])]
        )
        ask_anew(album, Evidence(album), say_different(album, first, second))
        assert tables(album)["suggestions"] == tables(album)["candidates"] == []
