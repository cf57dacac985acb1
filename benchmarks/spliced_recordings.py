"""Recordings whose words and times are known: spoken sentences between music and noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmarks.captioned_media import SOUND_SUFFIXES
from benchmarks.corpora import scratch_folder
from benchmarks.debian_packages import package_folder
from benchmarks.spoken_sentences import SAMPLE_RATE_HZ, SENTENCES, VOICES, read_sound, speak

SENTENCES_PER_GROUP = 3
BREAK_SECONDS = (0.3, 0.9)
"""Between the sentences of a group, as a speaker breathes."""

FILLER_SECONDS = (8.0, 25.0)
"""Of one piece of music or noise."""

GAP_SECONDS = (0.0, 1.0)
"""Of silence between speech and what is around it."""

SPEECH_LOUDNESS = 0.08
FILLER_LOUDNESS = (0.02, 0.12)
"""Root mean squares."""

WORDLESS_FOLDERS = (
    "Animal", "Effects", "Electronic", "Instruments", "Music Loops", "Percussion",
)  # fmt: skip
"""Of Scratch's sounds: those in which nobody says or sings anything."""


Samples: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SpokenSentence:
    """A sentence and when it is said in a recording."""

    text: str
    start_seconds: float
    stop_seconds: float


@dataclass(frozen=True, slots=True)
class SplicedRecording:
    """A recording and what is said in it."""

    path: Path
    duration_seconds: float
    sentences: tuple[SpokenSentence, ...]


class Fillers:
    """Pieces of music and noise in which nobody speaks, drawn one after another.

    Args:
        paths: sounds to draw from.
        generator: draws.
    """

    def __init__(self, paths: Sequence[Path], generator: np.random.Generator) -> None:
        self._paths = paths
        self._generator = generator

    def draw(self) -> Samples:
        """Return a piece of a few seconds: a sound again and again, or noise, one time in five."""
        seconds = self._generator.uniform(*FILLER_SECONDS)
        num_samples = round(seconds * SAMPLE_RATE_HZ)
        if self._generator.random() < 0.2:
            piece = self._generator.normal(size=num_samples).astype(np.float32)
        else:
            path = self._paths[int(self._generator.integers(len(self._paths)))]
            piece = np.resize(read_sound(path), num_samples)
        return with_loudness(piece, self._generator.uniform(*FILLER_LOUDNESS))


def wordless_sounds() -> list[Path]:
    """Return Sonic Pi's samples and those of Scratch's sounds in which nobody speaks.

    Raises:
        PackageUnavailable: they cannot be had on this machine.
    """
    samples = sorted(package_folder("sonic-pi-samples").rglob("*.flac"))
    sounds = scratch_folder() / "Sounds"
    effects = [
        path
        for name in WORDLESS_FOLDERS
        for path in sorted((sounds / name).iterdir())
        if path.suffix.lower() in SOUND_SUFFIXES
    ]
    return samples + effects


def write_recordings(
    folder: Path, num_recordings: int, minutes: float, *, seed: int
) -> list[SplicedRecording]:
    """Write recordings that share out all `SENTENCES`, and return what is said in them when.

    Args:
        folder: where to; exists.
        num_recordings: how many.
        minutes: of the longest one; the shortest has a quarter.
        seed: of everything that is drawn.
    """
    generator = np.random.default_rng(seed)
    fillers = Fillers(wordless_sounds(), generator)
    shares = np.array_split(generator.permutation(len(SENTENCES)), num_recordings)
    lengths_seconds = np.linspace(minutes / 4, minutes, num_recordings) * 60
    written = []
    for number, (share, seconds) in enumerate(zip(shares, lengths_seconds, strict=True)):
        groups = [
            _spoken_group(share[start : start + SENTENCES_PER_GROUP], generator)
            for start in range(0, len(share), SENTENCES_PER_GROUP)
        ]
        samples, sentences = splice(groups, float(seconds), fillers, generator)
        path = folder / f"recording-{number}.flac"
        write_sound(path, samples)
        written.append(SplicedRecording(path, len(samples) / SAMPLE_RATE_HZ, tuple(sentences)))
    return written


def write_wordless(folder: Path, minutes: float, *, seed: int) -> SplicedRecording:
    """Write a recording of music and noise only, and return it."""
    generator = np.random.default_rng(seed)
    samples, _ = splice([], minutes * 60, Fillers(wordless_sounds(), generator), generator)
    path = folder / "wordless.flac"
    write_sound(path, samples)
    return SplicedRecording(path, len(samples) / SAMPLE_RATE_HZ, ())


def splice(
    groups: Sequence[Sequence[tuple[str, Samples]]],
    seconds: float,
    fillers: Fillers,
    generator: np.random.Generator,
) -> tuple[Samples, list[SpokenSentence]]:
    """Return a recording in which groups of sentences are spread between music and noise.

    Args:
        groups: texts and what they sound like; those of a group follow one another.
        seconds: at least as long; what is said comes on top of it.
        fillers: gives music and noise.
        generator: draws pauses.

    Returns:
        The recording at 16 kHz, and its sentences in order.
    """
    recording = _Recording()
    share_seconds = seconds / (len(groups) + 1)
    for number in range(len(groups) + 1):
        filled = 0.0
        while filled < share_seconds:
            piece = fillers.draw()
            recording.add(piece)
            filled += len(piece) / SAMPLE_RATE_HZ
        if number == len(groups):
            break
        recording.add(_silence(generator.uniform(*GAP_SECONDS)))
        for text, samples in groups[number]:
            recording.add(samples, text)
            recording.add(_silence(generator.uniform(*BREAK_SECONDS)))
    return np.concatenate(recording.parts), recording.sentences


class _Recording:
    """Parts that follow one another, and the times of those that have a text."""

    def __init__(self) -> None:
        self.parts: list[Samples] = []
        self.sentences: list[SpokenSentence] = []
        self._num_samples = 0

    def add(self, samples: Samples, text: str | None = None) -> None:
        start = self._num_samples / SAMPLE_RATE_HZ
        self.parts.append(samples)
        self._num_samples += len(samples)
        if text is not None:
            stop = self._num_samples / SAMPLE_RATE_HZ
            self.sentences.append(SpokenSentence(text, start, stop))


def with_loudness(samples: Samples, loudness: float) -> Samples:
    """Return ``samples`` with a root mean square of ``loudness``, cut off at full scale."""
    present = float(np.sqrt(np.mean(samples**2))) or 1.0
    louder = np.clip(samples * (loudness / present), -1.0, 1.0)
    return np.asarray(louder, dtype=np.float32)


def write_sound(path: Path, samples: Samples) -> None:
    """Write 16-bit samples at 16 kHz in the format that the name says."""
    import soundfile

    soundfile.write(path, samples, SAMPLE_RATE_HZ, subtype="PCM_16")


def _spoken_group(
    numbers: NDArray[np.int64], generator: np.random.Generator
) -> list[tuple[str, Samples]]:
    """Return sentences as one voice says them."""
    voice = VOICES[int(generator.integers(len(VOICES)))]
    texts = [SENTENCES[number] for number in numbers]
    return [(text, with_loudness(speak(text, voice), SPEECH_LOUDNESS)) for text in texts]


def _silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * SAMPLE_RATE_HZ), dtype=np.float32)
