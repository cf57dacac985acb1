from __future__ import annotations

import itertools

import pytest

from encoders.config import PassageSegments, UtteranceSegments, WholeSegments, WindowSegments
from encoders.media.content import Segment, Utterance, Word
from encoders.media.segmentation import segmentation_id, utterance_segments, window_ranges


@pytest.mark.parametrize(
    ("duration_seconds", "expected"),
    [
        (0.0, []),
        (-1.0, []),
        (0.001, [(0, 0.001)]),
        (3.0, [(0, 3)]),
        (10.0, [(0, 10)]),
        (10.5, [(0, 10), (0.5, 10.5)]),
        (15.0, [(0, 10), (5, 15)]),
        (18.0, [(0, 10), (5, 15), (8, 18)]),
        (20.0, [(0, 10), (5, 15), (10, 20)]),
        (20.0 + 1e-9, [(0, 10), (5, 15), (10, 20)]),
    ],
)
def test_windows_of_ten_seconds_every_five(
    duration_seconds: float, expected: list[tuple[float, float]]
) -> None:
    ranges = window_ranges(duration_seconds, 10.0, 5.0)
    assert len(ranges) == len(expected)
    assert all(found == pytest.approx(range) for found, range in zip(ranges, expected, strict=True))


@pytest.mark.parametrize("duration_seconds", [0.3, 9.99, 31.4, 605.7])
@pytest.mark.parametrize(("length", "hop"), [(10.0, 5.0), (10.0, 10.0), (0.96, 0.1), (5.0, 0.7)])
def test_windows_cover_all_of_a_sound_and_nothing_else(
    duration_seconds: float, length: float, hop: float
) -> None:
    ranges = window_ranges(duration_seconds, length, hop)
    assert ranges[0][0] == 0
    assert ranges[-1][1] == pytest.approx(duration_seconds)
    assert all(
        stop - start == pytest.approx(min(length, duration_seconds)) for start, stop in ranges
    )
    assert all(following[0] <= previous[1] for previous, following in itertools.pairwise(ranges))


def test_segmentation_id_tells_every_setting_apart() -> None:
    ids = [
        segmentation_id(WholeSegments()),
        segmentation_id(WholeSegments(), fields=("title",)),
        segmentation_id(WholeSegments(), fields=("title", "tags")),
        segmentation_id(WindowSegments(length_seconds=10, hop_seconds=5)),
        segmentation_id(WindowSegments(length_seconds=10, hop_seconds=10)),
        segmentation_id(PassageSegments(max_words=120, overlap_words=20)),
    ]
    assert len(set(ids)) == len(ids)
    assert segmentation_id(WholeSegments()) == segmentation_id(WholeSegments(), fields=())


def test_speech_is_cut_anew_when_another_recogniser_hears_it() -> None:
    heard = {segmentation_id(UtteranceSegments(), recognizer_id=name) for name in ("a", "b")}
    assert len({*heard, segmentation_id(UtteranceSegments())}) == 3


def said(text: str, start: float, stop: float, *words: Word) -> Utterance:
    return Utterance(text, start, stop, words)


def test_captions_of_one_sentence_are_searched_as_one() -> None:
    found = utterance_segments(
        [
            said("We left", 0.0, 1.0),
            said("in the rain.", 1.2, 2.0),
            said("And then", 2.1, 3.0),
            said("after a pause", 4.0, 5.0),
            said("the end", 5.0, 6.0),
        ],
        30.0,
    )
    assert found == [
        Segment(0.0, 2.0, "We left in the rain."),
        Segment(2.1, 3.0, "And then"),
        Segment(4.0, 6.0, "after a pause the end"),
    ]


def test_captions_are_joined_only_up_to_the_longest_segment() -> None:
    found = utterance_segments([said(str(n), 4.0 * n, 4.0 * n + 4) for n in range(5)], 10.0)
    assert [(each.start_seconds, each.stop_seconds) for each in found] == [
        (0, 8),
        (8, 16),
        (16, 20),
    ]


def test_a_long_utterance_is_cut_at_the_times_of_its_words() -> None:
    words = [Word(f"w{n}", 3.0 * n, 3.0 * n + 2) for n in range(4)]
    found = utterance_segments([said("w0 w1 w2 w3", 0.0, 11.0, *words)], 6.0)
    assert found == [Segment(0.0, 5.0, "w0 w1"), Segment(6.0, 11.0, "w2 w3")]


def test_a_long_utterance_without_times_of_words_is_cut_by_their_length() -> None:
    found = utterance_segments([said("aaaa bbbb cccc dddd", 0.0, 40.0)], 20.0)
    assert found == [Segment(0.0, 20.0, "aaaa bbbb"), Segment(20.0, 40.0, "cccc dddd")]


def test_an_utterance_without_spaces_is_cut_and_keeps_its_spelling() -> None:
    found = utterance_segments([said("雨が降る。鯨が来た。", 0.0, 40.0)], 20.0)
    assert found == [Segment(0.0, 20.0, "雨が降る。"), Segment(20.0, 40.0, "鯨が来た。")]
    words = [Word(text, 10.0 * n, 10.0 * n + 10) for n, text in enumerate(("雨が", "降", "る"))]
    found = utterance_segments([said("雨が降る", 0.0, 30.0, *words)], 20.0)
    assert [each.text for each in found] == ["雨が降", "る"]
