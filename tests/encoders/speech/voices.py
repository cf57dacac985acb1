"""A voice made of arithmetic: it says vowels, which is enough to be taken for speech."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16_000
FORMANTS_HZ = ((730, 1090, 2440), (270, 2290, 3010), (570, 840, 2410), (300, 870, 2240))
"""Of ah, ee, aw and oo (Peterson and Barney 1952)."""


def vowels(*, seconds: float = 1.0, pitch_hz: float = 120.0) -> NDArray[np.float32]:
    """Return a man who says "ah ee aw oo", a vowel every quarter of a second.

    Args:
        seconds: length.
        pitch_hz: of the voice, at the beginning; it falls by a fifth.
    """
    times = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    pitch = pitch_hz * (1 - 0.2 * times / max(seconds, 1e-9)) + 3 * np.sin(2 * np.pi * 5 * times)
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE_HZ
    vowel = (times * 4).astype(int) % len(FORMANTS_HZ)
    formants = np.array(FORMANTS_HZ)[vowel]
    sound = np.zeros(len(times))
    for harmonic in range(1, 30):
        distance = (harmonic * pitch[:, np.newaxis] - formants) / 90
        sound += np.sin(harmonic * phase) * (1 / (1 + distance**2)).sum(axis=1) / harmonic**0.5
    syllables = np.sin(np.pi * (times * 4 % 1)) ** 0.5
    loud = sound * syllables
    return np.asarray(0.3 * loud / max(np.abs(loud).max(), 1e-9), dtype=np.float32)
