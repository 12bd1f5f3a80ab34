"""The page in a real browser, with the keyboard."""

import re
import shutil
import threading
from contextlib import contextmanager

import pytest

from facelink.review import app as review_app

playwright = pytest.importorskip("playwright.sync_api", reason="the browser test needs playwright")
uvicorn = pytest.importorskip("uvicorn", reason="the extra review is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

NAME = "Ann <b>O'Hara</b>"


@contextmanager
def served(folder):
    """Serve an album in a thread; gives the page's address, token included."""
    with review_app.listening(0) as listener:
        port = listener.getsockname()[1]
        application = review_app.create_app(folder, token="of-the-test", port=port)
        server = uvicorn.Server(uvicorn.Config(application, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{port}/?token=of-the-test"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def page(folder):
    with served(folder) as address, playwright.sync_playwright() as run:
        browser = run.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        opened = browser.new_page()
        opened.errors = []
        opened.on("pageerror", lambda error: opened.errors.append(str(error)))
        opened.goto(address)
        opened.wait_for_selector(".grid .card")
        yield opened
        browser.close()


def settled(page):
    page.wait_for_selector("#main[aria-busy=false]")


def test_name_merge_split_undo_and_reload(page):
    expect = playwright.expect
    cards = page.locator(".grid .card")
    settled(page)
    n_people = cards.count()
    assert "token" not in page.url

    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-face]")
    settled(page)
    n_faces = cards.count()
    page.keyboard.press("n")
    page.keyboard.type(NAME)
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text(NAME)
    settled(page)

    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    page.keyboard.press("b")
    expect(cards).to_have_count(n_faces - 1)
    settled(page)
    page.keyboard.press("u")
    expect(cards).to_have_count(n_faces)
    settled(page)
    page.keyboard.press("y")
    expect(cards).to_have_count(n_faces - 1)
    settled(page)

    page.keyboard.press("Escape")
    expect(cards).to_have_count(n_people + 1)
    cards.last.click()
    page.wait_for_selector("[data-face]")
    settled(page)
    page.keyboard.press("n")
    page.keyboard.type(NAME)
    page.keyboard.press("Enter")
    expect(page.locator("#ask")).to_be_visible()
    page.locator("#ask-yes").click()
    expect(page.locator("h1")).to_have_text(NAME)
    settled(page)
    expect(cards).to_have_count(n_faces)

    page.reload()
    expect(page.locator("h1")).to_have_text(NAME)
    settled(page)
    expect(cards).to_have_count(n_faces)
    settled(page)
    page.keyboard.press("h")
    expect(page.locator(".history li").first).to_contain_text(re.compile("merge person"))
    settled(page)
    for view, title in (("f", "No undecided faces"), ("m", "person|pairs"), ("t", "people")):
        page.keyboard.press(view)
        expect(page.locator("h1")).to_contain_text(re.compile(title))
        settled(page)
    assert page.errors == []
