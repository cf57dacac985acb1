from __future__ import annotations

import pytest

from encoders.media.content import Utterance, Word
from encoders.speech.utterances import utterances


def words(text: str, start_seconds: float = 0.0, word_seconds: float = 0.3) -> list[Word]:
    """Return words that follow one another; ``|`` is a pause of two seconds, ``/`` of 0.4."""
    pauses = {"|": 2.0, "/": 0.4}
    found: list[Word] = []
    at = start_seconds
    for part in text.split():
        if part in pauses:
            at += pauses[part]
        else:
            found.append(Word(part, at, at + word_seconds, 0.9))
            at += word_seconds
    return found


def texts(found: list[Utterance]) -> list[str]:
    return [each.text for each in found]


@pytest.mark.parametrize(
    ("spoken", "expected"),
    [
        ("", []),
        ("Hello.", ["Hello."]),
        ("We went to the sea. It was cold there!", ["We went to the sea.", "It was cold there!"]),
        # Too short to stand alone.
        ("Yes. We went to the sea.", ["Yes. We went to the sea."]),
        ("He spoke with old Dr. Brown.", ["He spoke with old Dr. Brown."]),
        ("we went to the | sea and swam", ["we went to the", "sea and swam"]),
        ("we went to / the sea", ["we went to the sea"]),
        ('He said: "Come to me now." Then he left us.',
         ['He said: "Come to me now."', "Then he left us."]),
    ],
)  # fmt: skip
def test_utterances_end_with_sentences_and_long_pauses(spoken: str, expected: list[str]) -> None:
    assert texts(utterances(words(spoken), "en", max_seconds=30)) == expected


def test_an_utterance_lasts_from_its_first_word_to_its_last() -> None:
    spoken = words("We went to the sea.", start_seconds=5.0)
    (found,) = utterances(spoken, "en", max_seconds=30)
    assert (found.start_seconds, found.stop_seconds) == (5.0, pytest.approx(6.5))
    assert found.words == tuple(spoken)


@pytest.mark.parametrize(
    ("spoken", "expected"),
    [
        # The end of a clause before a pause, a pause before the mere middle.
        ("one two three, four / five six seven eight",
         ["one two three,", "four five six seven eight"]),
        ("one two three four five / six seven eight",
         ["one two three four five", "six seven eight"]),
    ],
)  # fmt: skip
def test_a_long_utterance_is_cut_where_it_hurts_least(spoken: str, expected: list[str]) -> None:
    assert texts(utterances(words(spoken), "en", max_seconds=2.0)) == expected


@pytest.mark.parametrize("max_seconds", [1.0, 2.5, 10.0])
def test_no_utterance_is_longer_than_allowed(max_seconds: float) -> None:
    spoken = [*words("on and on and on " * 20), Word("long", 31.0, 61.0, 0.5)]
    found = utterances(spoken, "en", max_seconds=max_seconds)
    assert all(each.stop_seconds - each.start_seconds <= max_seconds for each in found)
    assert " ".join(texts(found)) == " ".join(word.text for word in spoken)


def test_languages_without_spaces_are_written_without() -> None:
    spoken = words("我们 去 海边 了。 那里 很 冷 吗?")
    assert texts(utterances(spoken, "zh", max_seconds=30)) == ["我们去海边了。", "那里很冷吗?"]
