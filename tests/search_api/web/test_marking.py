"""Words of a question in found text."""

import time

import pytest

from search_api.web.marking import excerpt, marked, question_words


def shown(text: str, question: str) -> str:
    runs = marked(text, question_words(question))
    return "".join(f"[{run.text}]" if run.is_marked else run.text for run in runs)


@pytest.mark.parametrize(
    ("text", "question", "expected"),
    [
        ("The red fox", "red", "The [red] fox"),
        ("The RED fox, red!", "Red", "The [RED] fox, [red]!"),
        ("Lighthouses light houses", "lighthouse", "[Lighthouses] light houses"),
        ("walked and walking", "walk", "[walked] and [walking]"),
        ("redaction", "red", "redaction"),
        ("walk", "walking", "[walk]"),
        ("walk wal walks", "walkable", "walk wal walks"),
        ("the cat", "the a of", "the cat"),
        ("Straße und STRASSE", "strasse", "[Straße] und [STRASSE]"),
        ("don\u2019t stop", "stop", "don\u2019t [stop]"),
        ("", "red", ""),
        ("nothing", "", "nothing"),
    ],
)
def test_forms_of_the_words_are_marked(text: str, question: str, expected: str) -> None:
    assert shown(text, question) == expected


def test_marking_loses_no_text() -> None:
    text = "  a <b>red</b>\n\tfox & red\u00a0dogs  "
    assert "".join(run.text for run in marked(text, question_words("red fox"))) == text


def test_an_excerpt_shows_the_first_marked_word_with_what_stands_around_it() -> None:
    text = " ".join(f"{number}word" for number in range(200))
    cut = excerpt(text, question_words("100word"), 120)
    assert "100word" in cut
    assert cut.startswith("… ")
    assert cut.endswith(" …")
    assert set(cut.strip("… ").split()) <= set(text.split())
    assert len(cut) <= 124


def test_short_text_is_shown_whole_and_long_words_are_cut() -> None:
    assert excerpt("a  short\ntext", frozenset(), 50) == "a short text"
    assert 50 < len(excerpt("x" * 500, frozenset(), 100)) <= 104


def test_a_long_question_marks_a_long_text_at_once() -> None:
    question = " ".join(f"unlike{number}" for number in range(250))
    started = time.process_time()
    assert len(marked("some other words that follow each other " * 5000, question_words(question)))
    assert time.process_time() - started < 2.0  # comparing all with all takes ten times as long
