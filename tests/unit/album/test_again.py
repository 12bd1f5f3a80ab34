import numpy as np
import pytest

from facelink.album import again
from facelink.album.decisions import name_person, say_different, say_same, set_aside
from facelink.album.forget import forget_person
from facelink.album.history import undo
from facelink.album.queries import candidates, people
from facelink.album.update import apply_plans, plan_update
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

N = 240
FEATURES, _ = made_up_people(n_people=26, faces_each=10, seed=3)
STRANGER = np.random.default_rng(7).normal(size=(1, 32))


@pytest.fixture(autouse=True)
def albums_of_any_size(monkeypatch):
    monkeypatch.setattr(again, "SMALLEST", 0)
    monkeypatch.setattr(again, "MOST_TOUCHED", 1.0)


@pytest.fixture
def settled(folder):
    """An album whose last update changed nothing."""
    with edited(folder) as album:
        add(album, FEATURES[:N])
        while update(album):
            pass
        yield album


def looked_at(album, **settings):
    """Faces that an update would look at; None for everyone."""
    (plan,) = plan_update(album, link_model(), **settings)
    return None if plan.asked is None else set(plan.asked.tolist())


def test_without_news_nobody_is_looked_at(settled):
    before = tables(settled)
    assert looked_at(settled) == set()
    assert update(settled) == []
    assert tables(settled) == before


def test_newcomers_join_as_they_do_where_everyone_is_looked_at(tmp_path, monkeypatch):
    groups, questions = [], []
    for name, smallest in (("some", 0), ("everyone", 10**9)):
        monkeypatch.setattr(again, "SMALLEST", smallest)
        with edited(tmp_path / name) as album:
            add(album, FEATURES[:N])
            while update(album):
                pass
            for start in range(N, len(FEATURES), 7):
                add(album, FEATURES[start : start + 7])
                assert (looked_at(album) is None) == bool(smallest)
                update(album)
            groups.append(groups_of(album))
            questions.append(tables(album)["candidates"])
    assert groups[0] == groups[1]
    assert {row[0] for row in questions[0]} == {row[0] for row in questions[1]}


def test_a_newcomer_is_looked_at_with_those_whose_lists_it_enters(settled):
    (face,) = add(settled, FEATURES[N : N + 1])
    (plan,) = plan_update(settled, link_model())
    fresh = set(plan.found.faces[plan.found.judged.is_fresh].tolist())
    assert face in fresh
    assert fresh <= set(plan.asked.tolist())
    apply_plans(settled, [plan])
    assert people_of(settled)[face] in {people_of(settled)[one] for one in fresh - {face}}


def test_who_joined_is_looked_at_once_more_and_joins_again_after_undoing(settled):
    add(settled, FEATURES[N : N + 5])
    update(settled)
    joined = people_of(settled)
    undo(settled)
    assert people_of(settled) != joined
    update(settled)
    assert people_of(settled) == joined


def test_those_a_decision_is_about_are_looked_at(settled):
    first, second = (set(group) for group in sorted(map(sorted, groups_of(settled)))[:2])
    say_different(settled, min(first), min(second))
    asked = looked_at(settled)
    assert first | second <= asked < set(people_of(settled))
    update(settled)
    undo(settled)
    assert first | second <= looked_at(settled)


@pytest.mark.parametrize(
    "decide", [say_same, lambda album, one, _: set_aside(album, [one], "ignore")]
)
def test_those_who_lose_or_gain_a_face_are_looked_at(settled, decide):
    first, second = (set(group) for group in sorted(map(sorted, groups_of(settled)))[:2])
    decide(settled, min(first), min(second))
    assert first - {min(first)} <= looked_at(settled)


def test_someone_who_got_a_name_is_looked_at(settled):
    one = people(settled)[0]
    faces = {face for face, whose in people_of(settled).items() if whose == one.id}
    name_person(settled, one.id, "Ada")
    assert faces <= looked_at(settled)


def test_candidates_of_others_stay_and_those_of_whom_is_looked_at_are_new(settled):
    (face,) = add(settled, STRANGER)
    update(settled)
    update(settled)
    kept = candidates(settled, face)
    far = next(one.id for one in people(settled) if one.id not in {each.person for each in kept})
    name_person(settled, far, "Grace")
    update(settled)
    assert candidates(settled, face) == kept


def test_forgetting_someone_has_few_looked_at_and_changes_nobody_else(settled):
    one = people(settled)[0]
    others = {face: whose for face, whose in people_of(settled).items() if whose != one.id}
    forget_person(settled, one.id)
    (plan,) = plan_update(settled, link_model())
    assert plan.asked is not None
    assert 0 < plan.found.judged.is_fresh.sum() < len(others)
    update(settled)
    assert people_of(settled) == others


def test_everyone_is_looked_at_where_what_was_learned_no_longer_holds(settled, monkeypatch):
    add(settled, FEATURES[N : N + 5])
    assert looked_at(settled) is not None
    assert looked_at(settled, with_photo_evidence=False) is None
    monkeypatch.setattr(again, "LEARN_AT", 1.02)
    assert looked_at(settled) is None
    monkeypatch.setattr(again, "LEARN_AT", 2)
    monkeypatch.setattr(again, "MOST_TOUCHED", 0.01)
    assert looked_at(settled) is None
    monkeypatch.setattr(again, "MOST_TOUCHED", 1)
    settled.neighbors_path(settled.models()[0].id).unlink()
    assert looked_at(settled) is None
