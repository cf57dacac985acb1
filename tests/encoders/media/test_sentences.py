from __future__ import annotations

import pytest

from encoders.media.sentences import ends_sentence, sentence_spans


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        (
            "Dr. Smith met J. R. Tolkien. So did I. Yes.",
            ["Dr. Smith met J. R. Tolkien.", "So did I.", "Yes."],
        ),
        (
            "See fig. 3 and No. 7. He said no. Then he left.",
            ["See fig. 3 and No. 7.", "He said no.", "Then he left."],
        ),
        ("It costs 3.50 today. Or 4.", ["It costs 3.50 today.", "Or 4."]),
        ("He said “no.” Then he left.", ["He said “no.”", "Then he left."]),
        (
            "Fruit, e.g. apples, at 3 p.m. sharp. Yes.",
            ["Fruit, e.g. apples, at 3 p.m. sharp.", "Yes."],
        ),
        ("Wait… what? No...", ["Wait… what?", "No..."]),
        ("雨が降る。鯨が来た！", ["雨が降る。", "鯨が来た！"]),  # noqa: RUF001
        ("no stop at all", ["no stop at all"]),
        ("  ", []),
        ("", []),
    ],
)
def test_sentences_end_where_a_reader_would_say(text: str, sentences: list[str]) -> None:
    assert [text[start:stop] for start, stop in sentence_spans(text)] == sentences


@pytest.mark.parametrize(
    ("text", "ends"),
    [("Done.", True), ("Done!” ", True), ("and then", False), ("met Dr.", False), ("", False)],
)
def test_the_end_of_a_sentence_is_seen_at_the_end_of_a_text(text: str, ends: bool) -> None:
    assert ends_sentence(text) is ends


@pytest.mark.parametrize("text", ["a.", ".", "!", ".)", "\u2026 x", "Dr. "])
def test_the_time_grows_with_the_text_and_not_with_its_square(text: str) -> None:
    spans = sentence_spans(text * 200_000 + "a")
    assert spans[-1][1] == 200_000 * len(text) + 1
