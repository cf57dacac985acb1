from __future__ import annotations

import numpy as np
import pytest

from encoders.media.content import Sound, Word
from encoders.speech.evidence import is_believable, unheard_rest, voiced_words
from encoders.speech.recognizer import RecordingLanguage, SpeechWindow
from encoders.speech.whisper_network import Hearing


def hearing(text: str, no_speech: float, log_probability: float) -> Hearing:
    return Hearing(text, (), no_speech, log_probability)


@pytest.mark.parametrize(
    ("heard", "believed"),
    [
        # As measured: spoken words, then music, machines and laughter.
        (hearing("Pickin'.", 0.20, -1.37), True),
        (hearing("Blackbird.", 0.08, -0.29), True),
        (hearing("Can I come and play?", 0.13, -0.19), True),
        (hearing("Thank you.", 0.86, -1.28), False),
        (hearing("you", 0.92, -0.86), False),
        (hearing("You", 0.49, -1.89), False),
        (hearing("you", 0.93, -0.49), False),
        (hearing("Blah, blah, blah, blah.", 0.69, -0.67), False),
        (hearing("Woohoo! " * 12, 0.47, -0.38), False),
        # Doubtful speech with certain words.
        (hearing("The road is closed until next summer.", 0.7, -0.2), True),
        (hearing("", 0.1, -0.1), True),
    ],
)
def test_inventions_are_told_from_words(heard: Hearing, believed: bool) -> None:
    assert is_believable(heard) is believed


VOICED = ((1.0, 2.0), (5.0, 6.0))


@pytest.mark.parametrize(
    ("start", "stop", "expected"),
    [
        (1.2, 1.6, (1.2, 1.6)),
        # Where nobody speaks.
        (3.0, 3.5, None),
        (9.0, 9.5, None),
        # Timed from the beginning of the pause before it.
        (2.2, 5.5, (4.6, 5.5)),
        # A soft ending after the voice.
        (1.9, 2.6, (1.9, 2.4)),
        # It touches two stretches and is said in the second.
        (1.8, 5.9, (4.6, 5.9)),
    ],
)
def test_words_are_kept_where_somebody_speaks(
    start: float, stop: float, expected: tuple[float, float] | None
) -> None:
    kept = voiced_words([Word("owl", start, stop, 0.8)], VOICED)
    found = [(each.start_seconds, each.stop_seconds) for each in kept]
    assert found == ([] if expected is None else [pytest.approx(expected)])


def test_words_stay_in_order_and_keep_their_probability() -> None:
    spoken = [Word("an", 1.0, 1.1, 0.9), Word("owl", 1.1, 1.5, 0.4)]
    assert voiced_words(spoken, VOICED) == spoken


def test_without_a_voice_there_are_no_words() -> None:
    assert voiced_words([Word("owl", 1.0, 1.5, 0.9)], ()) == []


def window(*voiced: tuple[float, float]) -> SpeechWindow:
    """Return a window from second 10 to 20."""
    samples = np.arange(160_000, dtype=np.float32)
    return SpeechWindow(Sound(samples, 16_000), 10.0, voiced, RecordingLanguage("en"))


@pytest.mark.parametrize(
    ("voiced", "heard_until", "start", "rest"),
    [
        # After a pause, with what comes just before it.
        (((10.0, 14.0), (16.0, 19.0)), 14.0, 15.6, ((16.0, 19.0),)),
        # In the middle of it.
        (((10.0, 19.0),), 14.0, 14.0, ((14.0, 19.0),)),
        # No further back than the last word.
        (((10.0, 14.0), (14.1, 19.0)), 14.0, 14.0, ((14.1, 19.0),)),
    ],
)
def test_voice_without_words_at_the_end_is_left_to_hear(
    voiced: tuple[tuple[float, float], ...],
    heard_until: float,
    start: float,
    rest: tuple[tuple[float, float], ...],
) -> None:
    found = unheard_rest(window(*voiced), [Word("owl", 10.5, heard_until)])
    assert found is not None
    assert found.start_seconds == pytest.approx(start)
    assert found.voiced == rest
    assert found.sound.samples[0] == round((start - 10) * 16_000)
    assert found.start_seconds + found.sound.duration_seconds == pytest.approx(20.0)


def test_a_sigh_at_the_end_is_not_worth_hearing_again() -> None:
    assert unheard_rest(window((10.0, 14.0), (16.0, 16.9)), [Word("owl", 10.5, 14.0)]) is None
    assert unheard_rest(window((10.0, 14.0)), [Word("owl", 10.5, 14.3)]) is None
