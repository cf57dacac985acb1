"""Twelve plain pictures of well-known things, drawn on the spot, with their names.

Flat colours and clear outlines, centred: a person names each at a glance, and so does every model
that knows pictures of things, whether it was trained on photographs or on drawings.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from encoders.media.content import Picture

SIDE_PX = 224
SHIFT_PX = 4

# Drawn at twice the size and averaged down, so that edges are smooth; the margin is what a shift
# brings into view.
_OVERSAMPLING = 2
_DRAWN_PX = SIDE_PX + 2 * SHIFT_PX

Point = tuple[float, float]


class _Sheet:
    """A square to draw on; coordinates and lengths are percents of its side, y downwards."""

    def __init__(self, ground: str) -> None:
        from PIL import Image, ImageDraw

        side = _DRAWN_PX * _OVERSAMPLING
        self.image = Image.new("RGB", (side, side), ground)
        self._draw = ImageDraw.Draw(self.image)
        self._scale = side / 100

    def disc(self, x: float, y: float, radius: float, colour: str) -> None:
        self.oval((x - radius, y - radius, x + radius, y + radius), colour)

    def oval(self, box: tuple[float, float, float, float], colour: str) -> None:
        self._draw.ellipse(self._scaled(box), fill=colour)

    def half_disc(self, box: tuple[float, float, float, float], colour: str) -> None:
        """Fill the upper half of the oval in ``box``."""
        self._draw.pieslice(self._scaled(box), 180, 360, fill=colour)

    def arc(
        self,
        box: tuple[float, float, float, float],
        degrees: tuple[float, float],
        colour: str,
        width: float,
    ) -> None:
        """Draw part of the oval in ``box``; degrees run clockwise from the right."""
        self._draw.arc(self._scaled(box), *degrees, fill=colour, width=self._width(width))

    def box(
        self,
        box: tuple[float, float, float, float],
        colour: str,
        *,
        edge: str | None = None,
        edge_width: float = 0,
        radius: float = 0,
    ) -> None:
        self._draw.rounded_rectangle(
            self._scaled(box),
            radius * self._scale,
            fill=colour,
            outline=edge,
            width=self._width(edge_width) if edge else 0,
        )

    def shape(self, points: Sequence[Point], colour: str) -> None:
        self._draw.polygon(self._scaled([at for point in points for at in point]), fill=colour)

    def line(self, points: Sequence[Point], colour: str, width: float) -> None:
        self._draw.line(
            self._scaled([at for point in points for at in point]),
            fill=colour,
            width=self._width(width),
            joint="curve",
        )

    def _scaled(self, values: Sequence[float]) -> list[float]:
        return [value * self._scale for value in values]

    def _width(self, percents: float) -> int:
        return max(1, round(percents * self._scale))


def _around(x: float, y: float, radius: float, turns: float) -> Point:
    """Return a point on a circle, ``turns`` of it clockwise from the right."""
    angle = 2 * math.pi * turns
    return x + radius * math.cos(angle), y + radius * math.sin(angle)


def _traffic_light() -> _Sheet:
    sheet = _Sheet("#8ec5ee")
    sheet.box((46, 70, 54, 100), "#555555")
    sheet.box((32, 8, 68, 76), "#222222", radius=6)
    for y, colour in ((22, "#ff2a1a"), (42, "#5c4a10"), (62, "#0d4a1a")):
        sheet.disc(50, y, 9, colour)
    return sheet


def _clock() -> _Sheet:
    sheet = _Sheet("#d9cdb8")
    sheet.disc(50, 50, 40, "#222222")
    sheet.disc(50, 50, 36, "white")
    for hour in range(12):
        sheet.line(
            [_around(50, 50, 28, hour / 12), _around(50, 50, 33, hour / 12)], "black", width=2
        )
    sheet.line([(50, 50), _around(50, 50, 20, 0.586)], "black", width=3)  # ten o'clock
    sheet.line([(50, 50), _around(50, 50, 30, 0.917)], "black", width=2)  # ten past
    sheet.disc(50, 50, 2.5, "black")
    return sheet


def _crossword() -> _Sheet:
    rows = (
        "#....#.....",
        "..#.....#..",
        ".....#....#",
        "#..#....#..",
        "....#.#....",
        "..#.....#..",
        "....#.#....",
        "..#....#..#",
        "#....#.....",
        "..#.....#..",
        ".....#....#",
    )
    sheet = _Sheet("white")
    for row, cells in enumerate(rows):
        for column, cell in enumerate(cells):
            x, y = 6 + 8 * column, 6 + 8 * row
            colour = "black" if cell == "#" else "white"
            sheet.box((x, y, x + 8, y + 8), colour, edge="black", edge_width=0.4)
    return sheet


def _umbrella() -> _Sheet:
    ground = "#e8eef2"
    sheet = _Sheet(ground)
    sheet.half_disc((8, 12, 92, 96), "#d01c2f")
    for rib in range(6):
        sheet.disc(15 + 14 * rib, 54, 7.2, ground)
    sheet.line([(50, 8), (50, 82)], "#5b3a1e", width=2.5)
    sheet.arc((36, 74, 51.2, 92), (0, 180), "#5b3a1e", width=2.5)
    for x in (22, 50, 78):
        sheet.line([(50, 12), (x, 53)], "#8d1020", width=0.7)
    return sheet


def _orange() -> _Sheet:
    sheet = _Sheet("white")
    sheet.disc(50, 52, 38, "#f58a1f")
    sheet.disc(38, 40, 9, "#ffb25a")
    sheet.disc(50, 17, 2.5, "#4a6b1c")
    sheet.shape([(50, 17), (66, 6), (74, 14), (60, 20)], "#3f8f2f")
    return sheet


def _balloon() -> _Sheet:
    sheet = _Sheet("#7ec0f0")
    for half_width, colour in ((34, "#d92b2b"), (22, "#f2c21b"), (9, "#2b6cd9")):
        sheet.oval((50 - half_width, 6, 50 + half_width, 70), colour)
        above, below = 0.82 * half_width, 0.21 * half_width
        sheet.shape(
            [(50 - above, 52), (50 + above, 52), (50 + below, 76), (50 - below, 76)], colour
        )
    sheet.line([(44, 76), (46, 86)], "#444444", width=0.7)
    sheet.line([(56, 76), (54, 86)], "#444444", width=0.7)
    sheet.box((44, 86, 56, 94), "#7a4a1e", radius=1)
    return sheet


def _spider_web() -> _Sheet:
    sheet = _Sheet("#20242a")
    num_threads = 10
    for thread in range(num_threads):
        sheet.line([(50, 50), _around(50, 50, 75, thread / num_threads)], "#dfe6ea", width=0.7)
    for radius in range(6, 72, 7):
        ring = [
            _around(50, 50, radius if half % 2 == 0 else 0.87 * radius, half / (2 * num_threads))
            for half in range(2 * num_threads + 1)
        ]
        sheet.line(ring, "#dfe6ea", width=0.6)
    return sheet


def _envelope() -> _Sheet:
    sheet = _Sheet("#9a7b5a")
    sheet.box((10, 25, 90, 75), "#f6f1e4", edge="#b8ab8c", edge_width=0.7)
    sheet.line([(10, 25), (50, 54), (90, 25)], "#9a8c6c", width=1.2)
    sheet.line([(10, 75), (40, 47)], "#b8ab8c", width=0.8)
    sheet.line([(90, 75), (60, 47)], "#b8ab8c", width=0.8)
    return sheet


def _maze() -> _Sheet:
    sheet = _Sheet("#cfe3c2")
    for ring in range(6):
        radius, start = 44 - 7 * ring, 20 + 70 * ring
        sheet.arc(
            (50 - radius, 50 - radius, 50 + radius, 50 + radius),
            (start, start + 325),
            "#1f5c28",
            width=2.5,
        )
    return sheet


def _honeycomb() -> _Sheet:
    sheet = _Sheet("#a8650c")
    for column in range(9):
        for row in range(10):
            x, y = 13 * column - 2 + 6.5 * (row % 2), 11.3 * row
            sheet.shape([_around(x, y, 6.2, (2 * at + 1) / 12) for at in range(6)], "#f2b02a")
    return sheet


def _pumpkin() -> _Sheet:
    sheet = _Sheet("#15121c")
    for x in (30, 70, 40, 60):
        sheet.oval((x - 22, 24, x + 22, 90), "#ee7a14")
    sheet.oval((30, 24, 70, 90), "#f58a22")
    sheet.box((46, 12, 54, 28), "#3d6b2a", radius=2)
    for x in (34, 66):
        sheet.shape([(x, 40), (x - 9, 54), (x + 9, 54)], "#ffe65a")
    sheet.shape([(50, 54), (46, 61), (54, 61)], "#ffe65a")
    mouth = [(22, 64), (34, 70), (40, 66), (46, 72), (54, 72), (60, 66), (66, 70), (78, 64)]
    sheet.shape([*mouth, (66, 82), (50, 86), (34, 82)], "#ffe65a")
    return sheet


def _sunglasses() -> _Sheet:
    sheet = _Sheet("#f3e3c8")
    for left in (8, 54):
        sheet.box((left, 38, left + 38, 66), "#111111", radius=11)
        sheet.line([(left + 8, 44), (left + 18, 42)], "#555555", width=2)
    sheet.line([(40, 42), (50, 39), (60, 42)], "#111111", width=3.5)
    return sheet


_DRAWINGS: Mapping[str, Callable[[], _Sheet]] = {
    "a traffic light": _traffic_light,
    "a clock on the wall": _clock,
    "a crossword puzzle": _crossword,
    "an umbrella": _umbrella,
    "an orange fruit": _orange,
    "a hot-air balloon": _balloon,
    "a spider web": _spider_web,
    "an envelope": _envelope,
    "a maze": _maze,
    "a honeycomb": _honeycomb,
    "a jack-o'-lantern, a carved pumpkin": _pumpkin,
    "sunglasses": _sunglasses,
}

PICTURE_NAMES: tuple[str, ...] = tuple(_DRAWINGS)


def plain_pictures(*, shift_px: int = 0) -> tuple[Picture, ...]:
    """Return a ``224 x 224`` picture for each of `PICTURE_NAMES`, the same every time.

    Args:
        shift_px: how far all that is drawn lies to the right, up to `SHIFT_PX`.
    """
    return tuple(_cut(drawing(), shift_px) for drawing in _DRAWINGS.values())


def _cut(sheet: _Sheet, shift_px: int) -> Picture:
    rows = slice(SHIFT_PX, SHIFT_PX + SIDE_PX)
    columns = slice(SHIFT_PX - shift_px, SHIFT_PX - shift_px + SIDE_PX)
    drawn = np.asarray(sheet.image.reduce(_OVERSAMPLING))
    return Picture(np.ascontiguousarray(drawn[rows, columns]))
