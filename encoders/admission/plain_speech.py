"""A plain voice that says a few English sentences, computed on the spot.

The sentences are made of voiced sounds alone, vowels and the likes of w, y and r. A voice that only
hums through moving resonances can say those, and a recogniser of speech understands them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import ascii_lowercase, digits

import numpy as np
from numpy.typing import NDArray

from encoders.media.content import Sound

SAMPLE_RATE_HZ = 16_000

# The three lowest resonances of the mouth in Hz, near those of Peterson and Barney (1952) for
# vowels, and how loud the voice is.
_SOUNDS: Mapping[str, tuple[float, float, float, float]] = {
    "w": (300, 650, 2200, 0.6),
    "ee": (280, 2250, 2950, 1),
    "r": (330, 1150, 1500, 0.8),
    "er": (480, 1350, 1650, 1),
    "ah": (730, 1150, 2440, 1),
    "eh": (530, 1840, 2480, 1),
    "ey": (480, 2000, 2600, 1),
    "iy": (300, 2250, 2900, 1),
    "y": (270, 2300, 3000, 0.7),
    "uh": (550, 1200, 2400, 0.8),
    "oh": (520, 950, 2400, 1),
    "ow": (350, 800, 2300, 0.7),
    "oo": (300, 870, 2240, 1),
    "l": (330, 950, 2700, 0.6),
    "g": (250, 1700, 2200, 0.15),
    "ga": (300, 1500, 2300, 0.5),
}
_BANDWIDTHS_HZ = (70, 90, 140, 200, 250)
_HIGH_RESONANCES_HZ = (3500, 4500)
MAX_FREQUENCY_HZ = 5000

SENTENCES: Mapping[str, str] = {
    "We were away a year ago.": (
        "w80 ee120 w80 er150 uh80 w80 ey100 iy120 uh80 y80 ee100 er150 uh80 g50 ga20 oh140 ow160"
    ),
    "Why are you away?": "w100 ah120 iy100 ah120 r100 y80 oo140 uh80 w80 ey120 iy150",
    "You are a royal lawyer.": (
        "y80 oo130 ah130 r90 uh70 r90 oh120 iy100 uh60 l90 l90 oh120 iy100 er200"
    ),
    "Are you well?": "ah140 r100 y80 oo140 w90 eh140 l160",
}
"""What is said, and the sounds with their milliseconds. Whisper base hears every word, whether the
voice is that of a man or of a woman.
"""

PAUSE_SECONDS = 2.0
"""Shorter ones at times make Whisper base fall silent after a sentence."""


def spoken(sentences: Sequence[str], pitches_hz: Sequence[float]) -> Sound:
    """Return voices that say sentences, with a pause around each.

    Args:
        sentences: of `SENTENCES`.
        pitches_hz: of the voice that says each; it rises a little and falls towards the end.

    Returns:
        Sound at 16 kHz, loudest sample 0.5.
    """
    pause = np.zeros(round(PAUSE_SECONDS * SAMPLE_RATE_HZ))
    parts = [pause]
    for sentence, pitch_hz in zip(sentences, pitches_hz, strict=True):
        parts += [_said(SENTENCES[sentence].split(), pitch_hz), pause]
    return Sound(np.concatenate(parts).astype(np.float32), SAMPLE_RATE_HZ)


def _said(sounds: Sequence[str], pitch_hz: float) -> NDArray[np.float64]:
    names = [sound.rstrip(digits) for sound in sounds]
    seconds = np.array([int(sound.lstrip(ascii_lowercase)) for sound in sounds]) / 1000
    ends = np.cumsum(seconds)
    times = np.arange(round(ends[-1] * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    # The mouth rests in the middle third of each sound and moves between them.
    rests = np.stack([ends - 0.65 * seconds, ends - 0.35 * seconds], axis=1).ravel()
    targets = np.repeat(np.array([_SOUNDS[name] for name in names]), 2, axis=0)
    f1, f2, f3, loudness = (np.interp(times, rests, column) for column in targets.T)
    progress = times / ends[-1]
    pitch = pitch_hz * np.interp(progress, [0, 0.3, 1], [1.05, 1.15, 0.8])
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE_HZ
    resonances = (f1, f2, f3, *_HIGH_RESONANCES_HZ)
    voice = np.zeros(len(times))
    for harmonic in range(1, int(MAX_FREQUENCY_HZ / pitch.max())):
        gain = np.ones(len(times))
        for resonance, bandwidth in zip(resonances, _BANDWIDTHS_HZ, strict=True):
            gain *= _gain(harmonic * pitch, resonance, bandwidth)
        # The voice itself loses 12 dB an octave, of which the lips give back 6.
        voice += np.sin(harmonic * phase) * gain / harmonic
    voice *= loudness * np.minimum(1, np.minimum(times, ends[-1] - times) / 0.02)
    return np.asarray(0.5 * voice / np.abs(voice).max())


def _gain(
    frequencies_hz: NDArray[np.float64],
    resonance_hz: NDArray[np.float64] | float,
    bandwidth_hz: float,
) -> NDArray[np.float64]:
    """Return how much a resonance passes of each frequency, 1 for the lowest ones."""
    ratio = frequencies_hz / resonance_hz
    return 1 / np.sqrt((1 - ratio**2) ** 2 + (ratio * bandwidth_hz / resonance_hz) ** 2)
