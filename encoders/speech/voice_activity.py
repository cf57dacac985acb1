"""Where somebody speaks, and where speech is cut into windows: arithmetic on probabilities.

A frame is 32 ms of sound with the probability that there is speech in it. Nothing here depends on
how many frames are known at a time: a window is only cut once the frames that decide about it are.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

SAMPLES_PER_FRAME = 512
"""What Silero's network looks at, at 16 kHz."""

FRAMES_PER_SECOND = 16_000 / SAMPLES_PER_FRAME

START_PROBABILITY = 0.5
"""Speech begins with a frame at least as probable."""

STOP_PROBABILITY = 0.35
"""Speech is over when `MIN_PAUSE_FRAMES` in a row are less probable."""

MIN_PAUSE_FRAMES = 4
MIN_SPEECH_FRAMES = 5
"""Anything shorter is a click, not a word."""

FULL_PAUSE_FRAMES = 20
"""0.6 s: a sentence has ended."""

MAX_PAUSE_FRAMES = round(3 * FRAMES_PER_SECOND)
"""A longer pause ends a window; shorter ones stay in it, so that windows are well filled."""

PADDING_FRAMES = 13
"""0.4 s kept before and after a window's speech where the pause is long enough: the detector misses
soft beginnings.
"""

MAX_WINDOW_FRAMES = int(30 * FRAMES_PER_SECOND)
"""Whisper hears 30 s at a time."""

MAX_SPEECH_FRAMES = MAX_WINDOW_FRAMES - 2 * PADDING_FRAMES

# Beyond the limit, until it is known whether what is there is speech, a click or a long pause.
_LOOKAHEAD_FRAMES = MIN_PAUSE_FRAMES + MIN_SPEECH_FRAMES + 2 * PADDING_FRAMES

FrameRange: TypeAlias = tuple[int, int]
"""Half-open."""


def cutting_parameters() -> dict[str, object]:
    """Return the JSON-ready parameters that decide where windows are cut."""
    return {
        "version": 1,
        "probabilities": [START_PROBABILITY, STOP_PROBABILITY],
        "min_frames": [MIN_PAUSE_FRAMES, MIN_SPEECH_FRAMES, FULL_PAUSE_FRAMES],
        "max_frames": [MAX_PAUSE_FRAMES, MAX_WINDOW_FRAMES],
        "padding_frames": PADDING_FRAMES,
    }


def voiced_ranges(probabilities: NDArray[np.float32], *, is_over: bool) -> list[FrameRange]:
    """Return where somebody speaks.

    Args:
        probabilities: ``(num_frames,)``.
        is_over: nothing follows. Otherwise the last range may go on, and its length does not count.
    """
    ranges: list[FrameRange] = []
    start: int | None = None
    last_voiced = 0
    for frame, probability in enumerate(probabilities.tolist()):
        if probability >= START_PROBABILITY and start is None:
            start = frame
        if probability >= STOP_PROBABILITY:
            last_voiced = frame
        elif start is not None and frame - last_voiced >= MIN_PAUSE_FRAMES:
            ranges += _long_enough(start, last_voiced + 1)
            start = None
    if start is not None:
        ranges += _long_enough(start, last_voiced + 1) if is_over else [(start, len(probabilities))]
    return ranges


def first_window(
    probabilities: NDArray[np.float32], *, is_over: bool
) -> tuple[FrameRange, list[FrameRange]] | None:
    """Return the first window of speech and the voiced ranges in it, if that can be known yet.

    ::

        speech     ----- ---  --------      -- ---- - -------  ----------------------
        windows   [                   ]    [                 ][
                   pauses stay inside  long pause             the longest pause of the second half,
                                                              since the speech goes on beyond 30 s

    Args:
        probabilities: ``(num_frames,)``, beginning after the window before.
        is_over: nothing follows.

    Returns:
        The window's frames, padding included, and where in it somebody speaks; ``None`` where
        there is no speech, or where frames that are not there yet decide.
    """
    ranges = voiced_ranges(probabilities, is_over=is_over)
    if not ranges:
        return None
    num_frames = len(probabilities)
    limit = ranges[0][0] + MAX_SPEECH_FRAMES
    inside = [(start, min(stop, limit)) for start, stop in ranges if start < limit]
    num_taken = _num_before_long_pause(inside)
    if num_taken == len(inside) and not is_over:
        ends_in_long_pause = num_frames - inside[-1][1] >= MAX_PAUSE_FRAMES
        if not ends_in_long_pause and num_frames < limit + _LOOKAHEAD_FRAMES:
            return None
    taken = inside[:num_taken]
    goes_on = num_taken == len(inside) and ranges[num_taken - 1][1] > limit
    if goes_on:
        taken = _cut_before_limit(inside, probabilities)
    start, stop = taken[0][0], taken[-1][1]
    following = next((max(stop, start) for start, after in ranges if after > stop), num_frames)
    # Half of a short pause goes to each window, so that no sound is in two of them.
    padding = min(PADDING_FRAMES, (following - stop + 1) // 2)
    return (max(0, start - PADDING_FRAMES), stop + padding), taken


def frames_to_keep(probabilities: NDArray[np.float32], *, is_over: bool) -> int:
    """Return how many of the last frames the next window can still need."""
    ranges = voiced_ranges(probabilities, is_over=is_over)
    first = ranges[0][0] if ranges else len(probabilities)
    return len(probabilities) - max(0, first - PADDING_FRAMES)


def _long_enough(start: int, stop: int) -> list[FrameRange]:
    return [(start, stop)] if stop - start >= MIN_SPEECH_FRAMES else []


def _num_before_long_pause(ranges: Sequence[FrameRange]) -> int:
    for number, (before, after) in enumerate(pairwise(ranges), start=1):
        if after[0] - before[1] >= MAX_PAUSE_FRAMES:
            return number
    return len(ranges)


def _cut_before_limit(
    ranges: list[FrameRange], probabilities: NDArray[np.float32]
) -> list[FrameRange]:
    """Return the ranges before the longest pause of the window's second half.

    Pauses of `FULL_PAUSE_FRAMES` and more are equally good; then the last one fills the window
    best.
    """
    limit = ranges[-1][1]
    half = ranges[0][0] + (limit - ranges[0][0]) // 2
    pauses = [
        (min(after[0] - before[1], FULL_PAUSE_FRAMES), number)
        for number, (before, after) in enumerate(pairwise(ranges), start=1)
        if before[1] >= half
    ]
    if pauses:
        _, number = max(pauses)
        return ranges[:number]
    # Nobody pauses for breath: where speech is least certain there may be a gap between words.
    cut = half + int(np.argmin(probabilities[half:limit]))
    return [(start, min(stop, cut)) for start, stop in ranges if start < cut]
