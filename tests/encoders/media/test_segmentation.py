from __future__ import annotations

import itertools

import pytest

from encoders.config import PassageSegments, WholeSegments, WindowSegments
from encoders.media.content import Document
from encoders.media.segmentation import count_words, passages, segmentation_id, window_ranges


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


def numbered(first: int, stop: int) -> str:
    return " ".join(f"w{number}" for number in range(first, stop))


def test_short_paragraphs_share_a_passage() -> None:
    document = Document(("one two", "three four", "five six seven"))
    assert passages(document, 4, 0) == ["one two\nthree four", "five six seven"]


def test_records_never_share_a_passage() -> None:
    document = Document(("one", "two", numbered(0, 5)), blocks_are_records=True)
    assert passages(document, 4, 0) == ["one", "two", numbered(0, 4), numbered(1, 5)]


def test_a_long_paragraph_is_cut_with_overlap_and_the_last_aligned_to_its_end() -> None:
    cut = passages(Document(("short", numbered(0, 22), "end")), 10, 4)
    assert cut == ["short", numbered(0, 10), numbered(6, 16), numbered(12, 22), "end"]
    assert passages(Document((numbered(0, 23),)), 10, 4)[-2:] == [
        numbered(12, 22),
        numbered(13, 23),
    ]


def test_a_paragraph_of_exactly_the_limit_stays_whole() -> None:
    assert passages(Document((numbered(0, 10),)), 10, 4) == [numbered(0, 10)]


def test_text_without_spaces_is_cut_and_keeps_its_spelling() -> None:
    text = "灯台守は夕暮れに船を数える。ある晩、鯨が汽笛に答えた。"
    cut = passages(Document((text,)), 10, 0)
    assert len(cut) > 1
    assert all(part in text and count_words(part) <= 10 for part in cut)
    assert [count_words(part) for part in passages(Document(("x" * 1000,)), 10, 0)] == [10] * 3


def test_nothing_gives_no_passages() -> None:
    assert passages(Document(()), 10, 2) == []


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
