from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from encoders.media.shots import (
    CONTEXT_SECONDS,
    THUMB_HEIGHT_PX,
    THUMB_WIDTH_PX,
    Thumbs,
    find_cuts,
    is_blank,
    part_ranges,
)

RATE = 25.0
Place = NDArray[np.float64]


def world(number: int) -> Callable[[Place, Place], Thumbs]:
    """Return a picture without edges, that can be looked at anywhere."""
    generator = np.random.default_rng(number)
    waves = generator.uniform(-0.25, 0.25, (6, 2))
    phases = generator.uniform(0, 2 * np.pi, (6, 3))
    strengths = generator.uniform(10, 30, (6, 3))

    def at(across: Place, down: Place) -> Thumbs:
        angles = waves[:, 0, None, None] * across + waves[:, 1, None, None] * down
        levels = strengths[..., None, None] * np.sin(angles[:, None] + phases[..., None, None])
        return np.clip(128 + levels.sum(axis=0), 0, 255).astype(np.float32)

    return at


def thumb(number: int, *, right: float = 0.0, down: float = 0.0, zoom: float = 1.0) -> Thumbs:
    rows, columns = np.mgrid[:THUMB_HEIGHT_PX, :THUMB_WIDTH_PX].astype(float)
    return world(number)(zoom * columns + right, zoom * rows + down)


def still(number: int, seconds: float) -> list[Thumbs]:
    return [thumb(number)] * round(seconds * RATE)


def cuts_of(frames: list[Thumbs], times: list[float] | None = None) -> list[float]:
    at = np.arange(len(frames)) / RATE if times is None else np.array(times)
    return [round(float(at[index]), 3) for index in find_cuts(at, np.stack(frames))]


def test_a_cut_is_found_to_the_frame() -> None:
    assert cuts_of(still(1, 2.0) + still(2, 1.0) + still(3, 2.0)) == [2.0, 3.0]


def test_what_stands_still_has_no_cut() -> None:
    assert cuts_of(still(1, 5.0)) == []
    assert cuts_of([thumb(1)]) == []


def test_a_moving_camera_is_no_cut_and_hides_none() -> None:
    pan = [thumb(1, right=0.4 * n, down=0.2 * n) for n in range(50)]
    zoom = [thumb(2, zoom=1 - 0.01 * n) for n in range(50)]
    assert cuts_of(pan) == []
    assert cuts_of(zoom) == []
    assert cuts_of(pan + zoom) == [2.0]


def test_a_shaking_camera_is_no_cut() -> None:
    jumps = np.random.default_rng(0).normal(0, 1.0, (100, 2))
    shaken = [thumb(1 + n // 50, right=dx, down=dy) for n, (dx, dy) in enumerate(jumps)]
    assert cuts_of(shaken) == [2.0]


def test_grain_is_no_cut() -> None:
    generator = np.random.default_rng(0)
    frames = still(1, 2.0) + still(2, 2.0)
    grainy = [frame + generator.normal(0, 3, frame.shape).astype(np.float32) for frame in frames]
    assert cuts_of(grainy) == [2.0]


@pytest.mark.parametrize("num_frames", [1, 2, 4])
def test_a_flash_is_no_cut(num_frames: int) -> None:
    white = [np.full_like(thumb(1), 250.0)] * num_frames
    assert cuts_of(still(1, 2.0) + white + still(1, 2.0) + still(2, 2.0)) == [
        4.0 + num_frames / RATE
    ]


def test_flickering_light_is_no_cut() -> None:
    light = 1 - 0.15 * (1 + np.sin(2 * np.pi * 9 * np.arange(100) / RATE))
    neutral = np.array([0, 128, 128], dtype=np.float32)[:, None, None]
    frames = still(1, 2.0) + still(2, 2.0)
    lit = [
        (neutral + (frame - neutral) * level).astype(np.float32)
        for frame, level in zip(frames, light, strict=True)
    ]
    assert cuts_of(lit) == [2.0]


@pytest.mark.parametrize("seconds", [0.4, 0.6, 1.0])
def test_a_dissolve_is_found_about_its_middle(seconds: float) -> None:
    num_frames = round(seconds * RATE)
    shares = (np.arange(num_frames) + 0.5) / num_frames
    blend = [((1 - s) * thumb(1) + s * thumb(2)).astype(np.float32) for s in shares]
    (cut,) = cuts_of(still(1, 2.0) + blend + still(2, 2.0))
    assert cut == pytest.approx(2.0 + seconds / 2, abs=0.2)


def test_a_fade_through_black_is_one_cut_when_the_picture_comes_back() -> None:
    levels = np.linspace(1, 0, 10)
    neutral = np.array([0, 128, 128], dtype=np.float32)[:, None, None]

    def dimmed(number: int, level: float) -> Thumbs:
        return (neutral + (thumb(number) - neutral) * level).astype(np.float32)

    fade = [dimmed(1, level) for level in levels] + [dimmed(2, level) for level in levels[::-1]]
    (cut,) = cuts_of(still(1, 2.0) + fade + still(2, 2.0))
    assert cut == pytest.approx(2.0 + 10 / RATE, abs=0.2)


def test_slides_shown_for_seconds_each_are_told_apart() -> None:
    frames = [thumb(1), thumb(2), thumb(2), thumb(3)]
    assert cuts_of(frames, [0.0, 3.0, 6.0, 9.5]) == [3.0, 9.5]


def test_what_changes_faster_than_a_shot_lasts_is_one_change() -> None:
    frames = still(1, 2.0) + still(2, 0.16) + still(3, 2.0)
    assert len(cuts_of(frames)) == 1


@pytest.mark.parametrize("edge_seconds", [2.9, 3.0, 3.1, 4.4, 6.1])
def test_cuts_do_not_depend_on_where_a_video_is_divided(edge_seconds: float) -> None:
    shares = (np.arange(15) + 0.5) / 15
    blend = [((1 - s) * thumb(3) + s * thumb(4)).astype(np.float32) for s in shares]
    moving = [thumb(2, right=0.3 * n) for n in range(50)]
    frames = still(1, 3.0) + moving + still(3, 2.0) + blend + still(4, 3.0)
    times = np.arange(len(frames)) / RATE

    def cuts_between(start: float, stop: float) -> list[float]:
        near = (times >= start - CONTEXT_SECONDS) & (times < stop + CONTEXT_SECONDS)
        found = find_cuts(times[near], np.stack(frames)[near])
        return [float(t) for t in times[near][found] if start <= t < stop]

    whole = cuts_between(0.0, times[-1] + 1)
    assert len(whole) == 3
    assert cuts_between(0.0, edge_seconds) + cuts_between(edge_seconds, 99.0) == whole


def test_black_and_white_are_blank_and_other_colours_are_not() -> None:
    levels = [5.0, 250.0, 120.0]
    thumbs = np.stack([np.full_like(thumb(1), level) for level in levels] + [thumb(1)])
    assert is_blank(thumbs).tolist() == [True, True, False, False]


@pytest.mark.parametrize(
    ("start", "stop", "longest", "expected"),
    [
        (0.0, 4.0, 10.0, [(0.0, 4.0)]),
        (2.0, 12.0, 10.0, [(2.0, 12.0)]),
        (0.0, 12.0, 10.0, [(0.0, 6.0), (6.0, 12.0)]),
        (10.0, 40.0, 10.0, [(10.0, 20.0), (20.0, 30.0), (30.0, 40.0)]),
    ],
)
def test_long_shots_are_cut_into_equal_parts(
    start: float, stop: float, longest: float, expected: list[tuple[float, float]]
) -> None:
    assert part_ranges(start, stop, longest) == expected
