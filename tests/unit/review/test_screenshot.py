"""An album of drawn faces looks as it should; `make screenshot` keeps a picture for the README."""

import os
from pathlib import Path

import numpy as np
import pytest

from facelink.album.additions import add_faces, embedding_model
from facelink.album.decisions import name_person
from facelink.album.library import edit_album
from facelink.album.queries import people
from facelink.album.records import NewFace
from tests.helpers import unit_rows
from tests.unit.album.helpers import update
from tests.unit.review.serving import served
from tests.unit.review.test_browser import settled

PICTURE = os.environ.get("FACELINK_SCREENSHOT")
"""Where to keep the picture of the README."""

ALL_PICTURES = os.environ.get("FACELINK_SCREENSHOTS")
"""Folder for those of all views and widths, to look at."""

NAMES = ("Amina", "Bruno", "Chidi", "Dora", "Emre", "Freya", "Goran", "Hana", "Idris", "Jonna")
N_PEOPLE = 14

pytest.importorskip("PIL", reason="faces are drawn with pillow")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """An album of drawn people, most of them with names, two of whom are asked about."""
    from tests.unit.review.drawn_faces import draw_face

    folder = tmp_path_factory.mktemp("drawn") / "drawn.album"
    random = np.random.default_rng(0)
    counts = [13 - person // 2 for person in range(N_PEOPLE)]
    labels = np.repeat(np.arange(N_PEOPLE), counts)
    centres = unit_rows(random.normal(size=(N_PEOPLE, 64)))
    features = unit_rows(centres[labels] + 0.45 * unit_rows(random.normal(size=(len(labels), 64))))
    faces = [
        NewFace(row.astype(np.float32), thumbnail=draw_face(int(person), number))
        for number, (row, person) in enumerate(zip(features, labels, strict=True))
    ]
    with edit_album(folder, "test", create=True) as album:
        add_faces(album, embedding_model(album, "drawn", 64), faces)
        update(album)
        for one, name in zip(people(album), NAMES, strict=False):
            name_person(album, one.id, name)
        first, second = (one.id for one in people(album)[-2:])
        with album.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO suggestions VALUES (?, ?, 0.62, 40)",
                sorted((first, second)),
            )
    return folder


LOOKS = {
    "": {"viewport": {"width": 1200, "height": 700}},
    "-dark": {"viewport": {"width": 1200, "height": 700}, "color_scheme": "dark"},
    "-phone": {"viewport": {"width": 380, "height": 760}},
}
_WIDTHS = """async () => {
  const images = [...document.querySelectorAll("#main img.face")]
    .filter((one) => one.getBoundingClientRect().top < innerHeight);
  await Promise.all(images.map((one) => one.decode()));
  return images.map((one) => one.naturalWidth);
}"""

VIEWS = {"people": "People", "pairs": "same person"}


def test_faces_are_shown_and_nothing_is_wider_than_the_window(drawn, browser):
    with served(drawn) as page:
        for look, settings in LOOKS.items():
            with browser.new_context(**settings) as context:
                opened = context.new_page()
                opened.goto(page.link)
                for view, title in VIEWS.items():
                    opened.goto(f"{page.link.split('?')[0]}#/{view}")
                    settled(opened, title)
                    widths = opened.evaluate(_WIDTHS)
                    assert len(widths) >= 6
                    assert set(widths) == {192}
                    assert opened.evaluate(
                        "document.documentElement.scrollWidth <= window.innerWidth"
                    )
                    keep(opened, look, view)


def keep(page, look, view):
    if PICTURE and (look, view) == ("", "people"):
        page.screenshot(path=PICTURE)
    if ALL_PICTURES:
        page.screenshot(path=Path(ALL_PICTURES) / f"{view}{look}.png")
