from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from encoders.speech.voice_activity import (
    FRAMES_PER_SECOND,
    MAX_PAUSE_FRAMES,
    MAX_SPEECH_FRAMES,
    MAX_WINDOW_FRAMES,
    MIN_SPEECH_FRAMES,
    PADDING_FRAMES,
    START_PROBABILITY,
    FrameRange,
    first_window,
    frames_to_keep,
    voiced_ranges,
)

Probabilities = NDArray[np.float32]
Window = tuple[FrameRange, list[FrameRange]]


def frames(*runs: tuple[float, int]) -> Probabilities:
    """Return probabilities, each repeated for a number of frames."""
    return np.concatenate([np.full(count, value, dtype=np.float32) for value, count in runs])


def cut(
    probabilities: Probabilities, steps: list[int]
) -> list[tuple[FrameRange, list[FrameRange]]]:
    """Return all windows of a recording that becomes known in ``steps`` of so many frames."""
    windows = []
    base, held = 0, probabilities[:0]
    for is_over, part in [
        *((False, part) for part in np.split(probabilities, np.cumsum(steps))),
        (True, probabilities[:0]),
    ]:
        held = np.concatenate([held, part])
        while (found := first_window(held, is_over=is_over)) is not None:
            (start, stop), voiced = found
            shifted = [(base + first, base + last) for first, last in voiced]
            windows.append(((base + start, base + stop), shifted))
            base, held = base + stop, held[stop:]
        dropped = len(held) - frames_to_keep(held, is_over=is_over)
        base, held = base + dropped, held[dropped:]
    return windows


@pytest.mark.parametrize(
    ("probabilities", "ranges"),
    [
        (frames((0.1, 50)), []),
        (frames((0.1, 10), (0.9, 20), (0.1, 10)), [(10, 30)]),
        # A dip that stays above the lower threshold, and one that is too short for a pause.
        (frames((0.9, 10), (0.4, 10), (0.9, 10), (0.1, 10)), [(0, 30)]),
        (frames((0.9, 10), (0.1, 3), (0.9, 10), (0.1, 10)), [(0, 23)]),
        (frames((0.9, 10), (0.1, 4), (0.9, 10), (0.1, 10)), [(0, 10), (14, 24)]),
        # Never sure enough to begin.
        (frames((0.45, 50)), []),
        # A click.
        (frames((0.1, 10), (0.9, 4), (0.1, 10)), []),
    ],
)
def test_voice_begins_when_it_is_likely_and_ends_in_a_pause(
    probabilities: Probabilities, ranges: list[FrameRange]
) -> None:
    assert voiced_ranges(probabilities, is_over=True) == ranges
    assert voiced_ranges(probabilities, is_over=False) == ranges


def test_voice_at_the_end_goes_on_until_the_recording_is_over() -> None:
    probabilities = frames((0.1, 10), (0.9, 3))
    assert voiced_ranges(probabilities, is_over=False) == [(10, 13)]
    assert voiced_ranges(probabilities, is_over=True) == []


def test_short_pauses_stay_inside_a_window_and_long_ones_end_it() -> None:
    short, long = (0.1, 40), (0.1, MAX_PAUSE_FRAMES)
    probabilities = frames((0.1, 20), (0.9, 30), short, (0.9, 30), long, (0.9, 30), (0.1, 50))
    first, second = cut(probabilities, [])
    assert first == ((20 - PADDING_FRAMES, 120 + PADDING_FRAMES), [(20, 50), (90, 120)])
    start = 120 + MAX_PAUSE_FRAMES
    assert second == ((start - PADDING_FRAMES, start + 30 + PADDING_FRAMES), [(start, start + 30)])


def test_speech_beyond_a_window_is_cut_at_the_last_full_pause() -> None:
    second = round(FRAMES_PER_SECOND)
    probabilities = frames(
        (0.9, 20 * second), (0.1, 25), (0.9, 4 * second), (0.1, 22), (0.9, 2 * second),
        (0.1, 6), (0.9, 20 * second), (0.1, 100),
    )  # fmt: skip
    windows = cut(probabilities, [])
    assert [len(voiced) for _, voiced in windows] == [2, 2]
    assert windows[0][1][-1][1] == 24 * second + 25


def test_speech_without_any_pause_is_cut_where_it_is_least_likely() -> None:
    probabilities = frames((0.9, 2000), (0.1, 100))
    probabilities[700] = 0.6
    probabilities[100] = 0.5
    windows = cut(probabilities, [])
    assert windows[0] == ((0, 700), [(0, 700)])
    assert [voiced[-1][1] for _, voiced in windows][-1] == 2000


def test_neighbouring_windows_share_a_short_pause() -> None:
    probabilities = frames((0.9, 600), (0.1, 6), (0.9, 600), (0.1, 100))
    first, second = cut(probabilities, [])
    assert first[0] == (0, 603)
    assert second[0] == (603, 1206 + PADDING_FRAMES)


def test_a_window_is_held_back_until_it_is_known_how_it_ends() -> None:
    speech = frames((0.1, 20), (0.9, 100))
    assert first_window(speech, is_over=False) is None
    assert first_window(np.concatenate([speech, frames((0.1, 60))]), is_over=False) is None
    assert first_window(np.concatenate([speech, frames((0.1, 94))]), is_over=False) is not None
    assert first_window(speech, is_over=True) == ((7, 120), [(20, 120)])


def test_of_silence_nothing_is_kept_but_room_for_a_soft_beginning() -> None:
    assert frames_to_keep(frames((0.1, 1000)), is_over=False) == PADDING_FRAMES
    assert frames_to_keep(frames((0.1, 3)), is_over=False) == 3
    speech = frames((0.1, 100), (0.9, 50))
    assert frames_to_keep(speech, is_over=False) == 50 + PADDING_FRAMES


RUNS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.3, 0.4, 0.6, 1.0]), st.integers(1, 400)), max_size=30
)


@settings(deadline=None, max_examples=60)
@given(RUNS, st.lists(st.integers(0, 700), max_size=10))
def test_windows_do_not_depend_on_how_the_recording_is_handed_over(
    runs: list[tuple[float, int]], steps: list[int]
) -> None:
    probabilities = frames(*runs, (0.0, 1))
    windows = cut(probabilities, steps)
    assert windows == cut(probabilities, [])
    ends = [0]
    for (start, stop), voiced in windows:
        assert ends[-1] <= start <= voiced[0][0]
        assert voiced[-1][1] <= stop <= len(probabilities)
        assert stop - start <= MAX_WINDOW_FRAMES
        assert voiced[-1][1] - voiced[0][0] <= MAX_SPEECH_FRAMES
        ends.append(stop)


@settings(deadline=None, max_examples=60)
@given(RUNS)
def test_nothing_that_is_surely_speech_is_left_out(runs: list[tuple[float, int]]) -> None:
    probabilities = frames(*runs, (0.0, 1))
    windows = cut(probabilities, [])
    missed = np.zeros(len(probabilities), dtype=bool)
    for start, stop in voiced_ranges(probabilities, is_over=True):
        missed[start:stop] = probabilities[start:stop] >= START_PROBABILITY
    for (start, stop), _ in windows:
        missed[start:stop] = False
    # What a cut in the middle of speech leaves over may be as short as a click.
    assert missed.sum() < MIN_SPEECH_FRAMES * max(1, len(windows))
