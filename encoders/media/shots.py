"""Where a video is cut, from the differences between its frames; arithmetic, no decoding.

A frame is looked at as a thumb: a few hundred pixels of brightness and colour, in which grain has
averaged out. What is decided about an instant depends on `CONTEXT_SECONDS` to either side alone, so
a video may be looked at in stretches.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Thumbs = NDArray[np.float32]
"""``(num_frames, 3, THUMB_HEIGHT_PX, THUMB_WIDTH_PX)``, 0 to 255."""

Times = NDArray[np.float64]
"""``(num_frames,)`` seconds at which each frame is first shown, ascending."""

THUMB_WIDTH_PX, THUMB_HEIGHT_PX = 32, 18

CONTEXT_SECONDS = 1.5
"""Frames to either side of an instant that are looked at to judge it."""

MIN_SHOT_SECONDS = 0.3
"""Shorter shots are not told apart."""

MIN_JUMP = 3.5
"""Mean difference between two frames, of 255, that may be a cut."""

MAX_SHIFT_PX = 2
"""How far, in pixels of a thumb, the camera may move between two frames and be followed."""

MAX_GAIN = 1.6
"""How much brighter light may become from one frame to the next."""

JUMP_OVER_MOTION = 3.0
"""How many times larger than the differences around it a jump must be: otherwise it is motion."""

STILL_SECONDS = 0.4
MIN_SLIDE_JUMP = 12.0
"""A picture that has stood for so long has no motion; another so different is the next slide."""

MOTION_WINDOW_SECONDS = 0.5
MIN_MOTION_FRAMES = 4
"""What counts as around: so long before and after, but at least so many frames."""

MOTION_QUANTILE = 0.8

FLASH_SECONDS = 0.25
RETURN_SHARE = 0.4
"""A jump after which, within the time of a flash, the picture comes back so near is no cut."""

BLEND_HALF_SECONDS = 0.5
MIN_BLEND = 8.0
"""How different the pictures must be between which a dissolve is looked for."""

MAX_BLEND_ERROR = 0.25
"""How far from the mean of both, as a share of their difference, the middle of a dissolve is."""

MAX_BLEND_MOTION = 0.5
"""How much, as a share of that difference, the pictures may change before and after."""

MAX_BLANK_SPREAD = 6.0
MAX_BLACK, MIN_WHITE = 40.0, 215.0
"""A blank frame is black or white: its brightness has no more than this standard deviation, and its
mean is beyond these.
"""

SAME_PICTURE = 4.0
"""Mean difference of two thumbs that show practically the same."""


def find_cuts(times: Times, thumbs: Thumbs) -> list[int]:
    """Return the numbers of the frames with which a new shot begins, ascending.

    Three kinds of change between shots are found: the hard cut (one frame to the next differ much
    more than their neighbours do), the dissolve (between two different pictures one that is their
    mean) and the fade (the picture comes back after a blank frame).
    """
    if len(times) < 2:
        return []
    jumps = _jumps(thumbs)
    jumped = _jumps_beyond_motion(times, jumps)
    hard = [index for index in jumped if not _is_flash(times, thumbs, index)]
    hard = _largest_nearby(times, hard, jumps)
    faded = _apart_from(times, _fade_ends(times, thumbs), jumped)
    blended = _apart_from(times, _blend_centers(times, thumbs), [*jumped, *faded])
    return sorted([*hard, *faded, *blended])


def difference(one: Thumbs, other: Thumbs) -> NDArray[np.float32]:
    """Return the mean absolute difference of thumbs, over their last three axes, of 255."""
    result: NDArray[np.float32] = np.abs(one - other).mean(axis=(-3, -2, -1), dtype=np.float32)
    return result


def is_blank(thumbs: Thumbs) -> NDArray[np.bool_]:
    """Return, for each thumb, whether nothing can be seen on it: black or white all over."""
    brightness = thumbs[:, 0]
    mean = brightness.mean(axis=(1, 2))
    is_even = brightness.std(axis=(1, 2)) < MAX_BLANK_SPREAD
    result: NDArray[np.bool_] = is_even & ((mean < MAX_BLACK) | (mean > MIN_WHITE))
    return result


def _jumps(thumbs: Thumbs) -> NDArray[np.float32]:
    """Return how much each frame differs from the one before; 0 for the first.

    A shaking camera and a flickering light change every pixel and are no cut: of the differences
    after small shifts, with the brightness made equal, the smallest counts.
    """
    jumps = np.zeros(len(thumbs), dtype=np.float32)
    jumps[1:] = difference(thumbs[1:], thumbs[:-1])
    large = np.flatnonzero(jumps > MIN_JUMP)
    if not len(large):
        return jumps
    now, before = thumbs[large], _as_bright(thumbs[large - 1], thumbs[large])
    reach = MAX_SHIFT_PX
    height, width = thumbs.shape[-2] - 2 * reach, thumbs.shape[-1] - 2 * reach
    center = now[..., reach : reach + height, reach : reach + width]
    for down in range(2 * reach + 1):
        for across in range(2 * reach + 1):
            shifted = before[..., down : down + height, across : across + width]
            jumps[large] = np.minimum(jumps[large], difference(center, shifted))
    return jumps


def _as_bright(thumbs: Thumbs, wanted: Thumbs) -> Thumbs:
    """Return thumbs with the mean brightness of others, as far as light alone could change it."""
    gain = (wanted[:, 0].mean(axis=(1, 2)) + 1) / (thumbs[:, 0].mean(axis=(1, 2)) + 1)
    gain = np.clip(gain, 1 / MAX_GAIN, MAX_GAIN)[:, np.newaxis, np.newaxis, np.newaxis]
    neutral = np.array([0.0, 128.0, 128.0], dtype=np.float32)[:, np.newaxis, np.newaxis]
    return np.asarray(neutral + (thumbs - neutral) * gain, dtype=np.float32)


def part_ranges(
    start_seconds: float, stop_seconds: float, max_seconds: float
) -> list[tuple[float, float]]:
    """Return equal parts of a shot, none longer than ``max_seconds``."""
    num_parts = max(1, math.ceil((stop_seconds - start_seconds) / max_seconds - 1e-9))
    edges = np.linspace(start_seconds, stop_seconds, num_parts + 1).tolist()
    return list(pairwise(edges))


def _jumps_beyond_motion(times: Times, jumps: NDArray[np.float32]) -> list[int]:
    """Return the frames that differ from the one before much more than frames around do."""
    found = []
    for index in np.flatnonzero(jumps > MIN_JUMP).tolist():
        first = np.searchsorted(times, times[index] - MOTION_WINDOW_SECONDS)
        stop = np.searchsorted(times, times[index] + MOTION_WINDOW_SECONDS, side="right")
        first = max(1, min(int(first), index - MIN_MOTION_FRAMES))
        stop = min(len(times), max(int(stop), index + MIN_MOTION_FRAMES + 1))
        around = np.concatenate([jumps[first:index], jumps[index + 1 : stop]])
        motion = float(np.quantile(around, MOTION_QUANTILE)) if len(around) else 0.0
        stood_seconds = times[index] - times[index - 1]
        is_slide = stood_seconds >= STILL_SECONDS and jumps[index] > MIN_SLIDE_JUMP
        if is_slide or jumps[index] > JUMP_OVER_MOTION * motion:
            found.append(index)
    return found


def _is_flash(times: Times, thumbs: Thumbs, index: int) -> bool:
    """Tell whether the picture before a jump comes back soon after, or the one after was there."""
    before = np.searchsorted(times, times[index] - FLASH_SECONDS)
    after = np.searchsorted(times, times[index] + FLASH_SECONDS, side="right")
    comes_back = difference(thumbs[index + 1 : after], thumbs[index - 1])
    was_there = difference(thumbs[before : index - 1], thumbs[index])
    nearest = min([*comes_back.tolist(), *was_there.tolist()], default=math.inf)
    return nearest < RETURN_SHARE * float(difference(thumbs[index], thumbs[index - 1]))


def _largest_nearby(times: Times, found: Sequence[int], jumps: NDArray[np.float32]) -> list[int]:
    """Return the jumps that no larger one is near to; of equal ones the earlier."""
    return [
        index
        for index in found
        if not any(
            abs(times[other] - times[index]) < MIN_SHOT_SECONDS
            and (jumps[other], -other) > (jumps[index], -index)
            for other in found
        )
    ]


def _fade_ends(times: Times, thumbs: Thumbs) -> list[int]:
    """Return the first frames after blank ones."""
    blank = is_blank(thumbs)
    ends = np.flatnonzero(blank[:-1] & ~blank[1:]) + 1
    return [int(index) for index in ends if times[index] - times[0] >= MIN_SHOT_SECONDS]


def _blend_centers(times: Times, thumbs: Thumbs) -> list[int]:
    """Return the frames in the middle of dissolves."""
    half = BLEND_HALF_SECONDS
    inside = np.flatnonzero((times - 2 * half >= times[0]) & (times + 2 * half <= times[-1]))
    if not len(inside):
        return []
    # The frames shown so long before and after each one.
    farther, before, after, later = (
        thumbs[np.searchsorted(times, times[inside] + shift, side="right") - 1]
        for shift in (-2 * half, -half, half, 2 * half)
    )
    change = difference(before, after)
    error = difference(thumbs[inside], np.asarray((before + after) / 2, dtype=np.float32))
    motion = np.maximum(difference(farther, before), difference(after, later))
    is_blend = (
        (change > MIN_BLEND)
        & (error < MAX_BLEND_ERROR * change)
        & (motion < MAX_BLEND_MOTION * change)
        & ~is_blank(before)
        & ~is_blank(after)
    )
    scores = np.zeros(len(times), dtype=np.float32)
    scores[inside] = np.where(is_blend, change - 2 * error, 0.0)
    return _largest_nearby(times, np.flatnonzero(scores).tolist(), scores)


def _apart_from(times: Times, found: Sequence[int], taken: Sequence[int]) -> list[int]:
    """Return the frames that are no continuation of a change already found."""
    return [
        index
        for index in found
        if all(abs(times[index] - times[other]) >= BLEND_HALF_SECONDS for other in taken)
    ]
