"""The page in a real browser, with the keyboard.

No step waits for a time: each waits for what the page shows when it is ready for the next.
"""

import re
from pathlib import Path

import numpy as np
import pytest

from facelink.album.additions import add_photos, embedding_model
from facelink.album.decisions import name_person
from facelink.album.library import edit_album
from facelink.album.records import NewFace, NewPhoto
from tests.unit.album.helpers import made_up_people
from tests.unit.review.serving import served

playwright = pytest.importorskip("playwright.sync_api", reason="the browser test needs playwright")
pytest.importorskip("uvicorn", reason="the extra review is not installed")

NAME = "Ann <b>O'Hara</b>"
EVIL = "<img src=x onerror=document.title='run'>"


@pytest.fixture
def page(folder, browser):
    """The people of the album, ready for a key; at the end, no script has failed."""
    with served(folder) as address, browser.new_context() as context:
        opened = context.new_page()
        errors = []
        opened.on("pageerror", lambda error: errors.append(str(error)))
        opened.goto(address.link)
        settled(opened, "People")
        yield opened
        assert errors == []


def settled(page, title=None):
    """Wait until a view is there whole, with this title, and keys do something."""
    if title is not None:
        playwright.expect(page.locator("#main h1")).to_contain_text(re.compile(title))
    page.wait_for_selector("#main[aria-busy=false]")


def done(page, message):
    """Wait until a decision was kept and the view is there anew."""
    playwright.expect(page.locator("#toast")).to_contain_text(message)
    settled(page)


def cards(page):
    return page.locator("#main .card")


def key(page, pressed, title):
    page.keyboard.press(pressed)
    settled(page, title)


def named(page, name, message):
    page.keyboard.press("n")
    playwright.expect(page.get_by_label("Name", exact=True)).to_be_focused()
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    if message is not None:
        done(page, message)


def open_card(page, place):
    cards(page).nth(place).focus()
    key(page, "Enter", "Person|Ann|Ben")


def test_name_merge_split_undo_and_reload(page):
    expect = playwright.expect
    n_people = cards(page).count()
    assert "token" not in page.url
    page.keyboard.press("ArrowRight")
    key(page, "Enter", "Person")
    n_faces = cards(page).count()
    named(page, NAME, "Named")
    expect(page.locator("h1")).to_have_text(NAME)

    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    page.keyboard.press("b")
    done(page, "split off")
    expect(cards(page)).to_have_count(n_faces - 1)
    page.keyboard.press("u")
    done(page, "Undone")
    expect(cards(page)).to_have_count(n_faces)
    page.keyboard.press("y")
    done(page, "Done again")
    expect(cards(page)).to_have_count(n_faces - 1)

    key(page, "Escape", "People")
    expect(cards(page)).to_have_count(n_people + 1)
    open_card(page, n_people)
    named(page, NAME, None)
    page.locator("#ask").get_by_role("button", name="Same person").click()
    done(page, "Merged")
    settled(page, "Ann")
    expect(cards(page)).to_have_count(n_faces)

    page.reload()
    settled(page, "Ann")
    expect(cards(page)).to_have_count(n_faces)
    key(page, "h", "History")
    expect(page.locator(".history li").first).to_contain_text(re.compile("merge person"))
    for pressed, title in (("f", "No undecided"), ("m", "person|pairs"), ("t", "people"),
                           ("g", "Nothing is hidden")):  # fmt: skip
        key(page, pressed, title)


def test_of_two_people_with_names_one_name_is_chosen(page):
    for place, name in ((0, "Ann"), (1, "Ben")):
        open_card(page, place)
        named(page, name, f"Named {name}")
        key(page, "Escape", "People")
    open_card(page, 0)
    named(page, "Ben", None)
    dialog = page.locator("#ask")
    dialog.get_by_role("button", name="Cancel").click()
    playwright.expect(dialog).to_be_hidden()
    playwright.expect(page.locator("h1")).to_have_text("Ann")


def test_a_pair_of_named_people_asks_whose_name_stays(folder, page):
    with edit_album(folder, "test") as album:
        one, other = (row[0] for row in album.connection.execute("SELECT id FROM people LIMIT 2"))
        name_person(album, one, "Ann")
        name_person(album, other, "Ben")
        with album.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO suggestions VALUES (?, ?, 1.0, 3)", (one, other)
            )
    key(page, "m", "same person")
    page.keyboard.press("s")
    dialog = page.locator("#ask")
    playwright.expect(dialog).to_contain_text("Whose name stays?")
    dialog.get_by_role("button", name="Ben").click()
    done(page, "Ann and Ben are one")
    key(page, "p", "People")
    playwright.expect(page.locator(".card b", has_text="Ben")).to_have_count(1)
    playwright.expect(page.locator(".card b", has_text="Ann")).to_have_count(0)


def test_who_was_hidden_is_brought_back(page):
    n_people = cards(page).count()
    open_card(page, 0)
    title = page.locator("h1").inner_text()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("x")
    done(page, "no faces")
    page.get_by_role("button", name="Hide").click()
    done(page, "Left out")
    key(page, "Escape", "People")
    playwright.expect(cards(page)).to_have_count(n_people - 1)
    key(page, "g", "Hidden")
    playwright.expect(cards(page)).to_have_count(2)
    page.get_by_role("button", name=f"Bring back {title}").click()
    done(page, "is back")
    page.get_by_role("button", name="Bring back Face").click()
    done(page, "is back, among the undecided")
    settled(page, "Nothing is hidden")
    key(page, "f", "Undecided")
    playwright.expect(page.locator(".undecided")).to_have_count(1)


def test_place_and_focus_stay_after_a_decision_and_after_coming_back(page):
    page.set_viewport_size({"width": 380, "height": 500})
    open_card(page, 0)
    last = cards(page).nth(6)
    last.focus()
    kept, next_one = (cards(page).nth(place).get_attribute("data-key") for place in (6, 7))
    before = page.evaluate("scrollY")
    assert before > 0
    page.keyboard.press("r")
    done(page, "taken away")
    assert page.evaluate("document.activeElement.dataset.key") == next_one != kept
    assert abs(page.evaluate("scrollY") - before) < 200
    key(page, "Escape", "People")
    cards(page).last.focus()
    opened = page.evaluate("document.activeElement.dataset.key")
    key(page, "Enter", "Person")
    key(page, "Escape", "People")
    assert page.evaluate("document.activeElement.dataset.key") == opened


def test_looking_again_finds_new_faces_their_people(folder, page):
    features, _ = made_up_people()
    random = np.random.default_rng(0)
    with edit_album(folder, "test") as album:
        add_news(album, features[:3] + 0.02 * random.normal(size=(3, 32)))
    page.keyboard.press("l")
    looking = page.locator("#looking")
    playwright.expect(looking).to_contain_text(
        re.compile("Looked again: (one person|. people) gained faces"), timeout=60_000
    )
    playwright.expect(looking.locator("li a").first).to_contain_text("Person")
    playwright.expect(looking.get_by_role("button", name="Close")).to_be_visible()
    settled(page, "People")
    key(page, "h", "History")
    playwright.expect(page.locator(".history li").first).to_contain_text("update")
    looking.get_by_role("button", name="Close").click()
    playwright.expect(looking).to_be_hidden()


def add_news(album, features):
    """Faces in photographs with names that try to be markup."""
    model = embedding_model(album, "made up", 32)
    photos = [
        (NewPhoto(Path("/") / f"{EVIL} {number}.jpg".replace("/", "-"), 1, 1, str(number)),
         [NewFace(np.asarray(row, np.float32))])
        for number, row in enumerate(features)
    ]  # fmt: skip
    add_photos(album, model, photos)


def test_markup_in_names_of_people_and_files_stays_text_in_every_view(folder, page):
    features, _ = made_up_people(2, 4, seed=5)
    with edit_album(folder, "test") as album:
        add_news(album, features[:2])
        ids = [row[0] for row in album.connection.execute("SELECT id FROM people")]
        for place, one in enumerate(ids):
            name_person(album, one, f"{EVIL} {place}")
        with album.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO suggestions VALUES (?, ?, 1.0, 3)", sorted(ids[:2])
            )
            face = connection.execute("SELECT max(id) FROM faces").fetchone()[0]
            connection.execute("INSERT OR REPLACE INTO candidates VALUES (?, ?, 0.5)",
                               (face, ids[0]))  # fmt: skip
    page.reload()
    settled(page, "People")
    playwright.expect(page.locator(".card b").first).to_contain_text(EVIL)
    page.get_by_label("Find a name").type("img")
    playwright.expect(page.locator("datalist option").first).to_have_attribute(
        "value", re.compile("<img src=x")
    )
    cards(page).first.click()
    settled(page, "<img src=x")
    page.keyboard.press("w")
    nothing = page.get_by_text("There is nothing to cut")
    playwright.expect(page.locator("#main .sides").or_(nothing)).to_be_visible()
    settled(page)
    key(page, "m", "same person")
    playwright.expect(page.locator(".side h2").first).to_contain_text(EVIL)
    page.keyboard.press("s")
    playwright.expect(page.locator("#ask-text")).to_contain_text(EVIL)
    page.locator("#ask").get_by_role("button", name="Cancel").click()
    key(page, "f", "Undecided")
    playwright.expect(page.locator(".undecided .file").first).to_contain_text(EVIL)
    playwright.expect(page.locator(".candidates button").first).to_contain_text(EVIL)
    page.locator(".candidates button").first.click()
    playwright.expect(page.locator("#toast")).to_contain_text(EVIL)
    settled(page)
    key(page, "h", "History")
    assert page.title() == "facelink review"
    assert page.locator("img[src=x]").count() == 0
