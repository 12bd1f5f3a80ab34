"""Faces that are drawn, of nobody: small pictures for an album of made-up people."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

SIZE = 192
SCALE = 2
"""Drawn so many times as large, then made smaller, which smooths the edges."""

SKINS = ("#f6d7c3", "#e8b896", "#cf9468", "#a86d45", "#7d4c2e", "#f0c8a8")
HAIRS = ("#2b2320", "#5a3a22", "#8c5a2b", "#d9a441", "#b9b5ae", "#7a2f1d")
SHIRTS = ("#3f7cac", "#c8553d", "#588157", "#8d6a9f", "#e09f3e", "#3d405b")
WALLS = ("#dfe7ee", "#efe6d8", "#dde8dd", "#e9dfea", "#d8e3e8", "#f2e3dc")


@dataclass(frozen=True)
class Looks:
    """What stays the same in all pictures of one person; lengths as shares of the picture."""

    skin: str
    hair: str
    style: int
    width: float
    eyes_apart: float
    nose: float
    has_glasses: bool
    has_beard: bool
    has_freckles: bool


def looks_of(person: int) -> Looks:
    random = np.random.default_rng(1000 + person)
    return Looks(
        SKINS[person % len(SKINS)],
        HAIRS[(person * 5 + person // 6) % len(HAIRS)],
        person % 4,
        random.uniform(0.23, 0.28),
        random.uniform(0.095, 0.125),
        random.uniform(0.04, 0.07),
        person % 3 == 1,
        person % 4 == 2,
        person % 5 == 3,
    )


def draw_face(person: int, picture: int) -> bytes:
    """A JPEG of one person: what they wear, where they look and the light change by picture."""
    looks, random = looks_of(person), np.random.default_rng([person, picture])
    side = SIZE * SCALE
    image = Image.new("RGB", (side, side), random.choice(WALLS))
    pen = Pen(ImageDraw.Draw(image), side, 0.5 + random.uniform(-0.03, 0.03), 0.47)
    shift, smile = random.uniform(-0.02, 0.02), random.uniform(0.02, 0.075)
    _draw_back_hair(pen, looks)
    pen.oval(0, 0.62, 0.36, 0.3, random.choice(SHIRTS))
    pen.oval(0, 0.3, 0.085, 0.14, _shade(looks.skin, 0.88))
    for way in (-1, 1):
        pen.oval(way * looks.width, 0.02, 0.04, 0.06, _shade(looks.skin, 0.93))
    pen.oval(0, 0, looks.width, 0.31, looks.skin)
    if looks.has_beard:
        _draw_beard(pen, looks)
    _draw_fringe(pen, looks)
    _draw_features(pen, looks, shift, smile)
    turn, wall = random.uniform(-7, 7), image.getpixel((0, 0))
    turned = image.rotate(turn, Image.Resampling.BICUBIC, fillcolor=wall)
    edge = side // 16  # what turning has emptied
    middle = turned.crop((edge, edge, side - edge, side - edge))
    stream = io.BytesIO()
    middle.resize((SIZE, SIZE), Image.Resampling.LANCZOS).save(stream, "JPEG", quality=88)
    return stream.getvalue()


class Pen:
    """Draws in shares of the picture, from the middle of the face."""

    def __init__(self, draw, side, left, top):
        self.draw, self.side, self.left, self.top = draw, side, left, top

    def box(self, x, y, width, height):
        corner = (self.left + x - width, self.top + y - height)
        end = (self.left + x + width, self.top + y + height)
        return [value * self.side for value in (*corner, *end)]

    def oval(self, x, y, width, height, fill):
        self.draw.ellipse(self.box(x, y, width, height), fill=fill)

    def arc(self, x, y, width, height, begin, end, fill, thickness):
        width_in_pixels = int(thickness * self.side)
        self.draw.arc(self.box(x, y, width, height), begin, end, fill, width_in_pixels)

    def chord(self, x, y, width, height, begin, end, fill):
        self.draw.chord(self.box(x, y, width, height), begin, end, fill=fill)


def _draw_back_hair(pen, looks):
    if looks.style == 0:  # long
        pen.oval(0, 0.02, looks.width + 0.09, 0.37, looks.hair)
        pen.oval(0, 0.25, looks.width + 0.08, 0.27, looks.hair)
    elif looks.style == 1:  # curls
        for angle in np.linspace(np.pi, 2 * np.pi, 9):
            x, y = (looks.width + 0.03) * np.cos(angle), 0.28 * np.sin(angle)
            pen.oval(x, y, 0.085, 0.085, looks.hair)
    else:
        pen.oval(0, -0.05, looks.width + 0.025, 0.3, looks.hair)
    if looks.style == 3:  # a bun
        pen.oval(0, -0.36, 0.09, 0.08, looks.hair)


def _draw_fringe(pen, looks):
    pen.chord(0, -0.06, looks.width + 0.012, 0.27, 195 if looks.style == 2 else 205,
              345 if looks.style == 2 else 335, looks.hair)  # fmt: skip


def _draw_beard(pen, looks):
    pen.chord(0, 0.02, looks.width, 0.295, 15, 165, _shade(looks.hair, 1.1))
    pen.oval(0, 0.125, 0.1, 0.05, looks.skin)


def _draw_features(pen, looks, shift, smile):
    dark = _shade(looks.skin, 0.7)
    for way in (-1, 1):
        x = way * looks.eyes_apart + shift
        pen.oval(x, -0.02, 0.042, 0.028, "#fdfdfb")
        pen.oval(x + shift / 2, -0.02, 0.02, 0.023, "#3a2e28")
        pen.arc(x, -0.06, 0.055, 0.03, 200, 340, _shade(looks.hair, 0.85), 0.014)
        pen.oval(way * 0.14 + shift, 0.09, 0.035, 0.025, _blush(looks.skin))
        if looks.has_glasses:
            pen.arc(x, -0.02, 0.072, 0.06, 0, 360, "#2d3440", 0.011)
        if looks.has_freckles:
            for place in (-0.02, 0.0, 0.02):
                pen.oval(way * 0.12 + place + shift, 0.06 + place / 2, 0.005, 0.005, dark)
    if looks.has_glasses:
        pen.arc(shift, -0.02, looks.eyes_apart - 0.07, 0.02, 180, 360, "#2d3440", 0.011)
    pen.arc(shift, 0.05, 0.028, looks.nose, 20, 160, dark, 0.011)
    pen.chord(shift, 0.13, 0.08, smile, 0, 180, "#8e3b3b")
    pen.arc(shift, 0.13, 0.08, smile, 0, 180, "#7a2f2f", 0.008)


def _rgb(color):
    return tuple(int(color[place : place + 2], 16) for place in (1, 3, 5))


def _shade(color, factor):
    return tuple(min(255, int(part * factor)) for part in _rgb(color))


def _blush(color):
    red, green, blue = _rgb(color)
    return (min(255, red + 6), int(green * 0.88), int(blue * 0.88))
