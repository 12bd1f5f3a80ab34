import re
from importlib.resources import files

import pytest

from facelink.album.additions import add_faces, embedding_model
from facelink.album.library import edit_album
from facelink.album.lock import write_lock
from facelink.album.records import NewFace
from facelink.errors import InputError, OutputError
from facelink.review import api
from facelink.review.app import STATIC, create_app, serve
from tests.unit.album.helpers import groups_of, made_up_people, people_of, tables
from tests.unit.review.conftest import ADDRESS, PORT, TOKEN

EVIL = "<img src=x onerror=alert(1)>\"'&"


@pytest.fixture
def two(look):
    """The two largest people."""
    return [one["id"] for one in look("people")[:2]]


def test_the_page_uses_files_of_its_own_only(client):
    page = client.get("/").text
    assert "http" not in page
    for name in re.findall(r'(?:src|href)="/static/([^"]+)"', page):
        assert name in STATIC
    for name in STATIC:
        assert client.get(f"/static/{name}").status_code == 200
    present = {path.name for path in files("facelink.review").joinpath("static").iterdir()}
    assert present == set(STATIC)


def test_no_script_makes_markup_of_text():
    for name in STATIC:
        text = files("facelink.review").joinpath("static", name).read_text(encoding="utf-8")
        for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
            assert way not in text, name


def test_people_come_page_by_page(look):
    everybody = look("people")
    pages = look("people", limit=3) + look("people", limit=200, offset=3)
    assert pages == everybody
    sizes = [one["n_faces"] for one in everybody]
    assert sizes == sorted(sizes, reverse=True)
    assert look("people", order="doubt")[0]["least"] == min(one["least"] for one in everybody)


def test_a_persons_faces_come_most_doubtful_first(look, two):
    faces = look(f"people/{two[0]}")["faces"]
    confidences = [one["confidence"] for one in faces]
    assert confidences == sorted(confidences)
    assert look(f"people/{two[0]}", limit=2, offset=1)["faces"] == faces[1:3]


@pytest.mark.parametrize("values", [{"limit": 0}, {"limit": 201}, {"offset": -1}])
def test_pages_that_are_none_are_refused(look, values):
    assert re.search("limit=|offset=", look("people", status=400, **values)["error"])


def test_numbers_beyond_the_albums_are_refused(look, say):
    assert "no person 999" in look("people/999", status=400)["error"]
    assert look(f"people/{2**70}", status=400)["error"]
    assert "no face 999" in say("assign", status=400, faces=[999], person=None)["error"]


def test_a_name_is_kept_as_it_is_and_sent_as_json(look, say, two, client):
    say(f"people/{two[0]}/name", name=EVIL)
    answer = client.get("/api/names", params={"text": "onerror"})
    assert answer.headers["content-type"] == "application/json"
    assert [one["name"] for one in answer.json()] == [EVIL]
    assert EVIL not in client.get("/").text


def test_names_that_begin_with_the_text_come_first(look, say, two):
    say(f"people/{two[0]}/name", name="Joanna")
    say(f"people/{two[1]}/name", name="Anna")
    assert [one["name"] for one in look("names", text="anna")] == ["Anna", "Joanna"]
    assert look("names", text="%") == []


def test_blank_and_endless_names_are_refused(say, two):
    assert "blank" in say(f"people/{two[0]}/name", status=400, name="  ")["error"]
    assert "200" in say(f"people/{two[0]}/name", status=400, name="a" * 201)["error"]


def test_two_people_become_one_and_two_again(look, say, two, album):
    before = groups_of(album)
    say("merge", first=two[0], other=two[1])
    assert len(groups_of(album)) == len(before) - 1
    assert say("undo")["redo"] == f"merge person {two[1]} into person {two[0]}"
    assert groups_of(album) == before


def test_of_two_names_one_must_be_chosen(look, say, two, album):
    for who, name in zip(two, ("Ann", "Ben"), strict=True):
        say(f"people/{who}/name", name=name)
    before = tables(album)
    refused = say("merge", status=400, first=two[0], other=two[1])["error"]
    assert "Ann" in refused
    assert f"kept={two[1]}" in refused
    faces = [look(f"people/{who}")["face"] for who in two]
    assert "say whose name" in say("same", status=400, first=faces[0], other=faces[1])["error"]
    say("merge", status=422, first=two[0], other=two[1], kept=1_000)
    assert tables(album) == before
    say("merge", first=two[0], other=two[1], kept=two[1])
    assert look(f"people/{two[1]}")["name"] == "Ben"
    assert look(f"people/{two[0]}")["n_faces"] == 0


def test_a_name_is_not_lost_in_a_merge_with_someone_without(look, say, two):
    say(f"people/{two[1]}/name", name="Ben")
    say("merge", first=two[0], other=two[1])
    assert [one["name"] for one in look("people") if one["id"] in two] == ["Ben"]


def test_a_decision_changes_the_questions_at_once(look, say, two):
    def asked():
        return [{one["id"] for one in pair["people"]} for pair in look("pairs", limit=200)]

    face = look(f"people/{two[0]}")["faces"][-1]["id"]
    before = asked()
    say("assign", faces=[face], person=None)
    (someone,) = (one["id"] for one in look("people") if one["n_faces"] == 1)
    assert asked()[0] == {two[0], someone}
    say("separate", first=two[0], other=someone)
    assert {two[0], someone} not in asked()
    say("undo")
    assert asked()[0] == {two[0], someone}
    say("merge", first=two[0], other=someone)
    assert asked() == before


def test_hidden_people_and_faces_come_back(look, say, two):
    say(f"people/{two[0]}/hide", is_hidden=True)
    face = look(f"people/{two[1]}")["faces"][0]["id"]
    say("set-aside", faces=[face], kind="not_a_face")
    assert [one["id"] for one in look("hidden")] == [two[0]]
    assert look("aside") == [{"id": face, "kind": "not_a_face"}]
    assert look("counts")["hidden"] == 2
    say(f"people/{two[0]}/hide", is_hidden=False)
    say("bring-back", faces=[face])
    assert look("hidden") == look("aside") == []
    (waiting,) = look("undecided")
    assert waiting["candidates"][0]["id"] == two[1]


def test_any_number_of_undos_and_redos_goes_back_and_forth(say, two, album):
    states = [tables(album)["people"]]
    for name in ("Ann", "Ben", "Cy"):
        say(f"people/{two[0]}/name", name=name)
        states.append(tables(album)["people"])
    for _ in range(2):
        for state in reversed(states[:-1]):
            say("undo")
            assert tables(album)["people"] == state
        for state in states[1:]:
            say("redo")
            assert tables(album)["people"] == state
    assert "nothing to redo" in say("redo", status=400)["error"]


def test_a_new_action_ends_what_could_be_redone(say, two):
    say(f"people/{two[0]}/name", name="Ann")
    assert say("undo")["redo"] is not None
    assert say(f"people/{two[1]}/name", name="Ben")["redo"] is None


def test_an_action_of_the_history_is_undone_and_redone_by_its_number(look, say, two):
    say(f"people/{two[0]}/name", name="Ann")
    say(f"people/{two[1]}/name", name="Ben")
    action = look("history")[1]
    say(f"history/{action['last']}/reverse")
    state = look("history")[1]
    assert (state["id"], state["is_in_force"]) == (action["id"], False)
    say(f"history/{state['last']}/reverse")
    assert look(f"people/{two[0]}")["name"] == "Ann"


def test_the_history_comes_page_by_page(look, say, two):
    for number in range(5):
        say(f"people/{two[0]}/name", name=f"Name {number}")
    say("undo")
    everything = look("history")
    assert [one["is_in_force"] for one in everything[:3]] == [False, True, True]
    assert look("history", limit=2) + look("history", limit=60, offset=2) == everything


def test_faces_are_split_off_rejected_set_aside_and_assigned(look, say, two, album):
    faces = [one["id"] for one in look(f"people/{two[0]}")["faces"]]
    say(f"people/{two[0]}/part", faces=faces[:2])
    where = people_of(album)
    assert where[faces[0]] == where[faces[1]] not in (two[0], None)
    say("reject", faces=faces[2:4])
    say("set-aside", faces=[faces[4]], kind="not_a_face")
    waiting = [one["id"] for one in look("undecided")]
    assert set(waiting) == set(faces[2:4])
    say("assign", faces=[faces[2]], person=two[1])
    say("assign", faces=[faces[3]], person=None, name=" Zoe ")
    assert look("undecided") == []
    assert people_of(album)[faces[2]] == two[1]
    assert [one["n_faces"] for one in look("names", text="Zoe")] == [1]
    for _ in range(5):
        say("undo")
    assert {one["id"] for one in look(f"people/{two[0]}")["faces"]} == set(faces)


def test_what_cannot_be_done_leaves_the_album_as_it_was(say, two, album):
    before = tables(album)
    say("merge", status=400, first=two[0], other=two[0])
    say("reject", status=400, faces=[])
    say("set-aside", status=422, faces=[1], kind="delete")
    say("assign", status=422, faces=[1], person=two[0], name="Zoe")
    say("assign", status=400, faces=[1], person=None, name=" ")
    say(f"people/{two[0]}/part", status=400, faces=[])
    assert tables(album) == before


def test_a_pair_that_was_told_apart_is_not_asked_about_again(folder, look, say, two):
    with edit_album(folder, "test") as opened, opened.transaction() as connection:
        connection.execute("INSERT OR REPLACE INTO suggestions VALUES (?, ?, 0.5, 3)", sorted(two))
    asked = [{one["id"] for one in pair["people"]} for pair in look("pairs", limit=200)]
    assert set(two) in asked
    say("separate", first=two[0], other=two[1])
    asked = [{one["id"] for one in pair["people"]} for pair in look("pairs", limit=200)]
    assert set(two) not in asked


def test_the_weakest_cut_finds_who_was_merged_by_mistake(look, say, two):
    both = [{one["id"] for one in look(f"people/{who}")["faces"]} for who in two]
    say("merge", first=two[0], other=two[1])
    cut = look(f"people/{two[0]}/split")
    assert set(cut["part"]) in both
    assert len(cut["part"]) + cut["n_rest"] == len(both[0] | both[1])
    say("same", first=cut["part"][0], other=cut["rest_shown"][0])
    place = 0
    while place is not None:
        found = look("splits", offset=place)
        assert found["question"] is None or found["question"]["person"]["id"] != two[0]
        place = found["next"]


def test_the_next_cut_is_asked_about_until_there_are_no_more(look, monkeypatch):
    monkeypatch.setattr(api, "SURE", 1.1)
    monkeypatch.setattr(api, "_CUTS_AT_ONCE", 3)
    place, asked = 0, []
    while place is not None:
        found = look("splits", offset=place)
        if found["question"]:
            asked.append(found["question"]["person"]["id"])
        assert found["next"] is None or found["next"] > place
        place = found["next"]
    assert sorted(asked) == sorted(one["id"] for one in look("people"))


def test_thumbnails_are_jpegs_or_a_placeholder_with_the_number(folder, client):
    with edit_album(folder, "test") as opened, opened.transaction() as connection:
        connection.execute("INSERT INTO thumbnails VALUES (1, ?)", (b"\xff\xd8 a picture",))
    picture, placeholder = client.get("/thumbnails/1"), client.get("/thumbnails/2")
    assert picture.content == b"\xff\xd8 a picture"
    assert picture.headers["content-type"] == "image/jpeg"
    assert placeholder.headers["content-type"].startswith("image/svg+xml")
    assert ">2</text>" in placeholder.text


def test_an_empty_album_and_one_face_are_no_mistake(tmp_path, monkeypatch):
    from starlette.testclient import TestClient

    folder = tmp_path / "small.album"
    with edit_album(folder, "test", create=True) as opened:
        opened.models()
    client = TestClient(
        create_app(folder, token=TOKEN, port=PORT), base_url=ADDRESS,
        headers={"x-facelink-token": TOKEN},
    )  # fmt: skip
    for path in ("people", "pairs", "undecided", "history", "names"):
        assert client.get(f"/api/{path}").json() == []
    assert client.get("/api/splits").json() == {"question": None, "next": None}
    assert client.get("/api/counts").json()["undo"] is None
    features, _ = made_up_people(1, 2)
    with edit_album(folder, "test") as opened:
        add_faces(opened, embedding_model(opened, "made up", 32), [NewFace(features[0])])
    assert [one["candidates"] for one in client.get("/api/undecided").json()] == [[]]
    client.post("/api/assign", json={"faces": [1], "person": None, "name": "Ann"})
    (ann,) = client.get("/api/people").json()
    assert client.get(f"/api/people/{ann['id']}/split").json() is None


def test_while_another_process_writes_the_page_says_who(folder, say, look, two, monkeypatch):
    monkeypatch.setattr(api, "_WAIT_SECONDS", 0.0)
    with write_lock(folder / "lock.sqlite", "facelink album update"):
        answer = say(f"people/{two[0]}/name", status=409, name="Ann")
        assert "facelink album update" in answer["error"]
        assert look("people")


def test_no_album_no_page(tmp_path):
    with pytest.raises(InputError, match="no album there"):
        create_app(tmp_path / "none", token=TOKEN, port=PORT)


def test_a_port_that_is_taken_is_named(folder):
    import socket

    pytest.importorskip("uvicorn", reason="the extra review is not installed")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OutputError, match=f"port {port}"):
            serve(folder, port=port, on_start=print)
