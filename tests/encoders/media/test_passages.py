from __future__ import annotations

from encoders.media.content import Block, Document, Segment
from encoders.media.passages import passages
from encoders.media.words import count_words


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
