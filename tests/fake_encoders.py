"""Encoders without weights that still mean something: words, colours and pitches in one space.

A text is the bag of its words; a picture is the word for its colour, a sound the word for its
pitch. So ``red`` finds red pictures, and tests of search can say what the right answer is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from encoders.config import EncoderConfig, FeaturesConfig, SentenceConfig, WhisperConfig
from encoders.encoder import EncoderIdentity
from encoders.media.content import Picture, Sound, Utterance
from encoders.space import Vectors, unit_rows
from encoders.speech.recognizer import RecordingLanguage, SpeechWindow

DIM = 64
SAMPLE_RATE_HZ = 8000
COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "grey": (128, 128, 128)}


def word_vector(word: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    seed = int.from_bytes(hashlib.sha256(word.lower().encode()).digest()[:8], "big")
    return np.random.default_rng(seed).normal(size=DIM)


def text_vector(text: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.sum([word_vector(word) for word in text.split()] or [np.ones(DIM)], axis=0)


def colour_of(picture: Picture) -> str:
    mean = picture.pixels.reshape(-1, 3).mean(axis=0)
    return min(COLOURS, key=lambda name: float(np.abs(mean - COLOURS[name]).sum()))


def pitch_of(sound: Sound) -> str:
    spectrum = np.abs(np.fft.rfft(sound.samples))
    peak_hz = spectrum.argmax() * sound.sample_rate_hz / max(1, len(sound.samples))
    return "low" if peak_hz < 800 else "high"


class FakeEncoder:
    def __init__(self, identity: EncoderIdentity) -> None:
        self.identity = identity
        self.batches: list[list[Any]] = []

    def encode(self, batch: Sequence[Any]) -> Vectors:
        self.batches.append(list(batch))
        if not batch:
            return np.zeros((0, DIM), dtype=np.float32)
        return unit_rows(np.stack([self._vector(content) for content in batch]))

    def _vector(self, content: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
        if isinstance(content, str):
            return text_vector(content)
        word = colour_of(content) if isinstance(content, Picture) else pitch_of(content)
        # Features live in a space of their own: the same word, other vectors.
        alike = self.identity.space_id == "words"
        return text_vector(word) if alike else text_vector(f"{self.identity.space_id}-{word}")


class NobodySpeaks:
    """A recogniser, and a cutter, to whom every sound is noise."""

    recognizer_id = "fake-ears"

    def __init__(self) -> None:
        self.recording = RecordingLanguage()

    def open_cutter(self) -> NobodySpeaks:
        return NobodySpeaks()

    def feed(self, sound: Sound) -> list[SpeechWindow]:
        return []

    def finish(self) -> list[SpeechWindow]:
        return []

    def recognize(
        self, windows: Sequence[SpeechWindow], *, max_seconds: float
    ) -> list[list[Utterance]]:
        return [[] for _ in windows]


class FakeLoader:
    """Stands in for `EncoderLoader`."""

    def __init__(self) -> None:
        self.encoders: dict[EncoderConfig, FakeEncoder] = {}

    def identify(self, config: EncoderConfig) -> EncoderIdentity:
        if isinstance(config, SentenceConfig):
            return EncoderIdentity("fake-sentences", "words", DIM, "text")
        audio = config.classifier == "yamnet"
        features = isinstance(config, FeaturesConfig)
        return EncoderIdentity(
            encoder_id=f"fake-{config.classifier}-{'features' if features else 'concepts'}",
            space_id=f"features-{config.classifier}" if features else "words",
            dim=DIM,
            medium="audio" if audio else "image",
            sample_rate_hz=SAMPLE_RATE_HZ if audio else None,
        )

    def identify_recognizer(self, config: WhisperConfig) -> str:
        return NobodySpeaks.recognizer_id

    def open_recognizer(self, config: WhisperConfig) -> NobodySpeaks:
        return NobodySpeaks()

    def open(self, config: EncoderConfig) -> FakeEncoder:
        if config not in self.encoders:
            self.encoders[config] = FakeEncoder(self.identify(config))
        return self.encoders[config]
