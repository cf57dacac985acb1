"""What was really said: arithmetic on what the network heard and where there is a voice.

Over music and noise Whisper invents words ("Thank you.", "you"). The bounds were measured on 66
single words that somebody says, the hardest speech there is, and on 279 sounds and loops, in 27 of
which the voice detector hears something: what is still believed are people who sing, laugh or
scream.
"""

from __future__ import annotations

from collections.abc import Sequence

from encoders.media.content import Sound, Word
from encoders.speech.recognizer import SAMPLE_RATE_HZ, SpeechWindow
from encoders.speech.whisper_network import Hearing

NO_SPEECH_PROBABILITY = 0.6
"""From here on a hearing is believed only where its words are sure."""

SURE_LOG_PROBABILITY = -0.3
"""Over silence Whisper hears "you" with -0.49."""

DOUBTFUL_LOG_PROBABILITY = -1.5
"""Below, nothing is believed."""

VOICE_MARGIN_SECONDS = 0.4
"""Words are timed no better than this."""

MIN_UNHEARD_SECONDS = 1.0
"""Whisper at times falls silent in the middle of a window. More voice than this after its last word
is heard again.
"""


def evidence_parameters() -> dict[str, object]:
    """Return the JSON-ready bounds that decide which words are believed."""
    return {
        "version": 1,
        "no_speech_probability": NO_SPEECH_PROBABILITY,
        "log_probabilities": [SURE_LOG_PROBABILITY, DOUBTFUL_LOG_PROBABILITY],
        "voice_margin_seconds": VOICE_MARGIN_SECONDS,
        "min_unheard_seconds": MIN_UNHEARD_SECONDS,
    }


def is_believable(hearing: Hearing) -> bool:
    """Tell whether words were said at all."""
    if hearing.goes_in_circles or hearing.mean_log_probability < DOUBTFUL_LOG_PROBABILITY:
        return False
    return (
        hearing.no_speech_probability < NO_SPEECH_PROBABILITY
        or hearing.mean_log_probability > SURE_LOG_PROBABILITY
    )


def voiced_words(words: Sequence[Word], voiced: Sequence[tuple[float, float]]) -> list[Word]:
    """Return the words that fall where somebody speaks, cut down to it.

    A word after a pause is often timed from the pause's beginning; it starts when the voice does.

    Args:
        words: in order of time.
        voiced: ``(start_seconds, stop_seconds)`` in order, on the same clock.
    """
    kept = []
    for word in words:
        start, stop = word.start_seconds, word.stop_seconds
        met = [
            (max(start, first - VOICE_MARGIN_SECONDS), min(stop, last + VOICE_MARGIN_SECONDS))
            for first, last in voiced
        ]
        inside = [(first, last) for first, last in met if first <= last]
        if inside:
            # Of two stretches of voice that a word touches, the longer part is the word.
            first, last = max(inside, key=lambda part: part[1] - part[0])
            kept.append(Word(word.text, first, last, word.probability))
    return kept


def unheard_rest(window: SpeechWindow, words: Sequence[Word]) -> SpeechWindow | None:
    """Return the end of a window in which somebody speaks without a word being heard, if any.

    Args:
        window: that was heard.
        words: that were heard in it, on the recording's clock; not empty.
    """
    heard_until = words[-1].stop_seconds
    voiced = tuple((max(start, heard_until), stop) for start, stop in window.voiced)
    rest = tuple((start, stop) for start, stop in voiced if start < stop)
    if sum(stop - start for start, stop in rest) < MIN_UNHEARD_SECONDS:
        return None
    begin = max(heard_until, rest[0][0] - VOICE_MARGIN_SECONDS)
    first_sample = round((begin - window.start_seconds) * SAMPLE_RATE_HZ)
    sound = Sound(window.sound.samples[first_sample:], SAMPLE_RATE_HZ)
    return SpeechWindow(sound, begin, rest, window.recording)
