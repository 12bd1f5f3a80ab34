import sys
import xml.etree.ElementTree as ElementTree

import matplotlib as mpl
import pytest

from facelink.benchmark.drawing import draw, series_style
from facelink.errors import InputError


def with_text(text):
    def paint(sheet):
        sheet.add_subplot().set_title(text)

    return draw("some-name", "some caption", (3, 2), paint)


def test_the_same_drawing_gives_the_same_text_without_a_date():
    first, second = with_text("one"), with_text("one")
    assert first.svg == second.svg
    assert "metadata" not in first.svg
    assert first.svg.startswith("<svg")
    assert ElementTree.fromstring(first.svg).tag.endswith("svg")


def test_names_are_drawn_as_they_are():
    assert with_text("$x$ <script>").svg != with_text("x <script>").svg
    assert "<script" not in with_text("<script>").svg


def test_the_users_settings_count_for_nothing_and_stay():
    usual = with_text("one").svg
    with mpl.rc_context({"lines.linewidth": 9.0, "font.size": 30}):
        assert with_text("one").svg == usual
        assert mpl.rcParams["font.size"] == 30


def test_a_white_card_is_drawn():
    assert "fill: #ffffff" in with_text("one").svg


def test_without_matplotlib_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError, match=r"pip install 'facelink\[plots\]'"):
        with_text("one")


def test_styles_of_many_series_differ():
    styles = {tuple(sorted(series_style(position).items())) for position in range(28)}
    assert len(styles) == 28
