from html.parser import HTMLParser

import pytest

from facelink.benchmark.document import Document
from facelink.benchmark.report.html import document_html
from tests.unit.benchmark.report.helpers import NASTY, document

VOID = {"meta", "use"}


class Page(HTMLParser):
    """Tags with their attributes and the text of a page, its nesting checked."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text, self.open = [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def attributes(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def html():
    return document_html(document())


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def test_tags_are_closed_and_names_are_text(page):
    assert page.open == []
    assert page.attributes("script") == []
    assert f"Report {NASTY}" in page.text
    assert page.text.count(NASTY) == 2


def test_nothing_is_fetched(page, html):
    assert page.attributes("link") == page.attributes("img") == []
    assert "default-src 'none'" in html
    assert "@import" not in html
    for _, attributes in page.tags:
        assert attributes.get("href", "#").startswith("#")


def test_every_link_leads_somewhere_and_ids_are_unique(page):
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [attributes["href"][1:] for attributes in page.attributes("a")]
    assert links == ["section-1", "scores", "curve", "other"]
    references = {
        value
        for _, attributes in page.tags
        for name, value in attributes.items()
        if name == "aria-labelledby"
    }
    assert {*links, *references} <= set(ids)


def test_drawings_are_images_with_their_caption_and_refer_to_themselves(page):
    first, second = page.attributes("svg")
    assert first["role"] == second["role"] == "img"
    assert first["aria-label"] == 'What "it" shows. More.'
    clipped = [attributes["clip-path"] for attributes in page.attributes("path")]
    assert clipped == ["url(#curve-p1)", "url(#other-p1)"]
    assert [use["xlink:href"] for use in page.attributes("use")] == ["#curve-a", "#other-a"]


def test_numbers_stand_to_the_right_and_tables_scroll(page):
    assert [cell.get("class") for cell in page.attributes("td")] == ["number"] * 6
    rows = [cell for cell in page.attributes("th") if cell["scope"] == "row"]
    assert [cell.get("class") for cell in rows] == [None, None]
    scrolling = [box for box in page.attributes("div") if box.get("role") == "region"]
    assert [box["tabindex"] for box in scrolling] == ["0"]


def test_it_is_made_for_phones_printers_and_the_dark(html):
    assert 'name="viewport" content="width=device-width' in html
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html


def test_a_document_of_nothing_is_a_page():
    page = Page(document_html(Document("Nothing", (), ())))
    assert page.open == []
    assert page.attributes("nav") == []
