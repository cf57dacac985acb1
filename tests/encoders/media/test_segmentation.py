from __future__ import annotations

import itertools

import pytest

from encoders.config import PassageSegments, UtteranceSegments, WholeSegments, WindowSegments
from encoders.media.content import Block, Document, Segment, Utterance, Word
from encoders.media.segmentation import (
    count_words,
    passages,
    segmentation_id,
    utterance_segments,
    window_ranges,
)


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


def plain(*texts: str, records: bool = False) -> Document:
    return Document(tuple(Block(text) for text in texts), blocks_are_records=records)


def cut(document: Document, max_words: int, overlap_words: int = 0) -> list[str | None]:
    return [passage.text for passage in passages(document, max_words, overlap_words)]


def test_short_paragraphs_share_a_passage() -> None:
    document = plain("one two", "three four", "five six seven")
    assert cut(document, 4) == ["one two\nthree four", "five six seven"]


def test_records_never_share_a_passage() -> None:
    document = plain("one", "two", numbered(0, 5), records=True)
    assert cut(document, 4) == ["one", "two", numbered(0, 4), numbered(1, 5)]


def test_a_long_sentence_is_cut_with_overlap_and_the_last_part_aligned_to_its_end() -> None:
    assert cut(plain("short", numbered(0, 22), "end"), 10, 4) == [
        "short",
        numbered(0, 10),
        numbered(6, 16),
        numbered(12, 22),
        "end",
    ]
    assert cut(plain(numbered(0, 23)), 10, 4)[-2:] == [numbered(12, 22), numbered(13, 23)]


def test_a_paragraph_of_exactly_the_limit_stays_whole() -> None:
    assert cut(plain(numbered(0, 10)), 10, 4) == [numbered(0, 10)]


def test_a_long_paragraph_is_cut_at_sentences_that_neighbours_share() -> None:
    text = "One two three. Four five! Six seven eight nine? Ten eleven."
    assert cut(plain(text), 8, 2) == [
        "One two three. Four five!",
        "Four five! Six seven eight nine? Ten eleven.",
    ]
    assert cut(plain(text), 6, 0) == [
        "One two three. Four five!",
        "Six seven eight nine? Ten eleven.",
    ]


def test_a_passage_keeps_the_headings_it_stands_under_and_never_crosses_one() -> None:
    document = Document(
        (
            Block("Guide", 1),
            Block("Welcome here."),
            Block("Install", 2),
            Block("Take this."),
            Block("And that."),
            Block("Use", 2),
            Block("Now go."),
        )
    )
    assert cut(document, 40) == [
        "Guide\nWelcome here.",
        "Guide > Install\nTake this.\nAnd that.",
        "Guide > Use\nNow go.",
    ]


def test_a_heading_is_a_passage_of_its_own_only_when_nothing_stands_under_it() -> None:
    document = Document(
        (Block("Guide", 1), Block("Empty", 2), Block("Full", 2), Block("Words."), Block("Last", 2))
    )
    assert cut(document, 40) == ["Guide > Empty", "Guide > Full\nWords.", "Guide > Last"]


def test_headings_take_at_most_a_quarter_of_a_passage() -> None:
    document = Document(
        (Block(numbered(0, 4), 1), Block(numbered(4, 8), 2), Block(numbered(8, 30)))
    )
    found = cut(document, 20)
    assert all(text and text.startswith(numbered(4, 8) + "\n") for text in found)
    assert all(text and count_words(text) <= 20 for text in found)


def test_captions_are_packed_until_a_pause_and_keep_their_times() -> None:
    document = Document(
        (
            Block("one two", 0, 1.0, 2.0),
            Block("three four", 0, 2.5, 4.0),
            Block("five", 0, 9.0, 10.0),
            Block("six seven", 0, 10.0, 11.0),
            Block("eight nine", 0, 11.0, 12.0),
        )
    )
    assert passages(document, 4, 0) == [
        Segment(1.0, 4.0, "one two three four"),
        Segment(9.0, 11.0, "five six seven"),
        Segment(11.0, 12.0, "eight nine"),
    ]


def test_captions_are_packed_up_to_the_end_of_a_sentence_when_one_ends() -> None:
    texts = ("one", "two. Three", "four.", "five", "six", "seven", "eight", "nine")
    document = Document(tuple(Block(text, 0, n, n + 1) for n, text in enumerate(texts)))
    assert passages(document, 6, 0) == [
        Segment(0, 3, "one two. Three four."),
        Segment(3, 8, "five six seven eight nine"),
    ]
    assert passages(document, 3, 0) == [
        Segment(0, 2, "one two. Three"),
        Segment(2, 3, "four."),
        Segment(3, 6, "five six seven"),
        Segment(6, 8, "eight nine"),
    ]


def test_a_long_heading_is_not_read_again_for_each_heading_under_it() -> None:
    parts = [block for _ in range(3000) for block in (Block("Part", 2), Block("words"))]
    found = cut(Document((Block("long " * 200_000, 1), *parts)), 120, 20)
    assert found == ["Part\nwords"] * 3000


def test_text_without_spaces_is_cut_and_keeps_its_spelling() -> None:
    text = "灯台守は夕暮れに船を数える。ある晩、鯨が汽笛に答えた。"
    parts = cut(plain(text), 10)
    assert len(parts) > 1
    assert all(part and part in text and count_words(part) <= 10 for part in parts)
    assert [count_words(part or "") for part in cut(plain("x" * 1000), 10)] == [10] * 3


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
