"""Recordings for the demo: real sounds and the captions that people read aloud, one after another.

A recording names animals and lets them be heard, so that words find the moment at which an animal
is named, and the moment at which it is heard.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 22_050
MAX_SOUND_SECONDS = 6.0
PAUSE_SECONDS = 0.8
LOUDNESS = 0.1
"""Root mean square that every part is brought to."""

RECORDINGS: Mapping[str, tuple[str, ...]] = {
    "farm-walk": ("animals/mammals/bovines/cow", "animals/mammals/pig", "animals/birds/hen",
                  "animals/mammals/equines/horse", "animals/mammals/equines/donkey",
                  "animals/birds/duck", "animals/mammals/bovines/goat"),
    "zoo-visit": ("animals/mammals/elephant", "animals/mammals/cats/lion",
                  "animals/mammals/apes/gorilla", "animals/mammals/giraffe",
                  "animals/mammals/equines/zebra", "animals/mammals/bears/bear",
                  "animals/mammals/camel/camel"),
    "by-the-sea": ("animals/birds/seagull", "animals/mammals/aquatic/dolphin",
                   "animals/mammals/aquatic/whale", "animals/mammals/aquatic/otter",
                   "animals/birds/penguin"),
    "in-the-woods": ("animals/birds/owl", "animals/birds/cuckoo", "animals/mammals/dogs/fox",
                     "animals/mammals/rodents/rabbit", "animals/mammals/deer/deer",
                     "animals/amphibians/frog", "animals/insects/bee"),
}  # fmt: skip
"""For each recording the stamps that it names, by their place in the package."""


def write_recordings(stamps: Path, folder: Path) -> list[Path]:
    """Write the recordings as FLAC and return their paths.

    Args:
        stamps: the folder of Tux Paint's stamps.
        folder: made when it is not there.
    """
    import soundfile

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, subjects in RECORDINGS.items():
        path = folder / f"{name}.flac"
        if not path.exists():
            parts = [part for subject in subjects for part in _parts(stamps / subject)]
            soundfile.write(path, joined(parts), SAMPLE_RATE_HZ, subtype="PCM_16")
        written.append(path)
    return written


def joined(parts: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return sounds one after the other with a pause after each."""
    pause = np.zeros(round(PAUSE_SECONDS * SAMPLE_RATE_HZ), dtype=np.float32)
    return np.concatenate([each for part in parts for each in (part, pause)])


def read_sound(path: Path) -> NDArray[np.float32]:
    """Return at most `MAX_SOUND_SECONDS` of a sound, mono, at the common rate and loudness."""
    import soundfile
    import soxr

    samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)[: round(MAX_SOUND_SECONDS * rate_hz)]
    resampled = soxr.resample(mono, rate_hz, SAMPLE_RATE_HZ)
    loudness = float(np.sqrt(np.mean(resampled**2))) or 1.0
    louder = np.clip(resampled * (LOUDNESS / loudness), -1.0, 1.0)
    return np.asarray(louder, dtype=np.float32)


def _parts(subject: Path) -> list[NDArray[np.float32]]:
    """Return the spoken caption of a stamp and then, where there is one, its sound."""
    spoken = read_sound(subject.with_name(f"{subject.name}_desc.ogg"))
    heard = next(
        (path for suffix in (".ogg", ".wav") if (path := subject.with_suffix(suffix)).exists()),
        None,
    )
    return [spoken] if heard is None else [spoken, read_sound(heard)]
