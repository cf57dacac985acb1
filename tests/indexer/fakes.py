"""Encoders without weights: a content's vector is a digest of it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from encoders.config import (
    ConceptsConfig,
    EncoderConfig,
    FeaturesConfig,
    WhisperConfig,
    config_digest,
)
from encoders.encoder import EncoderIdentity
from encoders.media.content import Picture, Sound, Utterance
from encoders.space import Vectors, unit_rows
from encoders.speech.recognizer import RecordingLanguage, SpeechWindow

DIM = 16


def content_bytes(content: Any) -> bytes:
    if isinstance(content, Picture):
        return content.pixels.tobytes()
    if isinstance(content, Sound):
        return content.samples.tobytes()
    return content.encode()


class FakeEncoder:
    def __init__(self, identity: EncoderIdentity, loader: FakeLoader) -> None:
        self.identity = identity
        self._loader = loader

    def encode(self, batch: Sequence[Any]) -> Vectors:
        self._loader.calls[self.identity.encoder_id] += 1
        rows = []
        for content in batch:
            data = content_bytes(content)
            if self._loader.poison is not None and self._loader.poison in data:
                if self._loader.poison_gives is None:
                    raise RuntimeError("the model does not like this one")
                rows.append(np.full(DIM, self._loader.poison_gives))
                continue
            seed = int.from_bytes(hashlib.sha256(data).digest()[:8], "little")
            rows.append(np.random.default_rng(seed).standard_normal(DIM))
        return unit_rows(np.array(rows, dtype=np.float32).reshape(-1, DIM))


class FakeCutter:
    """Takes every stretch that is not silent for one window of speech, one stretch late."""

    def __init__(self) -> None:
        self.recording = RecordingLanguage()
        self._seconds = 0.0
        self._held: list[SpeechWindow] = []

    def feed(self, sound: Sound) -> list[SpeechWindow]:
        complete, start = self._held, self._seconds
        self._seconds += sound.duration_seconds
        voiced = ((start, self._seconds),)
        window = SpeechWindow(sound, start, voiced, self.recording)
        self._held = [window] if np.abs(sound.samples).max() > 0.01 else []
        return complete

    def finish(self) -> list[SpeechWindow]:
        return self._held


class FakeRecognizer:
    """Hears "words from S" in a window that starts at S; raises where that is ``deaf_at``."""

    def __init__(self, loader: FakeLoader) -> None:
        self._loader = loader
        self.recognizer_id = f"fake-ears-v{loader.version}"

    def open_cutter(self) -> FakeCutter:
        return FakeCutter()

    def recognize(
        self, windows: Sequence[SpeechWindow], *, max_seconds: float
    ) -> list[list[Utterance]]:
        self._loader.calls[self.recognizer_id] += 1
        if any(window.start_seconds == self._loader.deaf_at for window in windows):
            raise RuntimeError("never heard of it")
        for window in windows:
            window.recording.language = window.recording.language or "en"
        return [
            [Utterance(f"words from {each.start_seconds:g}.", *each.voiced[0])] for each in windows
        ]


class FakeLoader:
    """Stands in for `EncoderLoader`; ``version`` changes every encoder id."""

    def __init__(
        self,
        *,
        version: int = 1,
        poison: bytes | None = None,
        poison_gives: float | None = None,
        deaf_at: float | None = None,
    ) -> None:
        self.version = version
        self.poison = poison
        self.poison_gives = poison_gives
        self.deaf_at = deaf_at
        self.calls: Counter[str] = Counter()

    def identify(self, config: EncoderConfig) -> EncoderIdentity:
        encoder_id = f"{config_digest(config)}-v{self.version}"
        if isinstance(config, ConceptsConfig | FeaturesConfig):
            audio = config.classifier == "yamnet"
            space = "text" if isinstance(config, ConceptsConfig) else f"{config.classifier}-space"
            return EncoderIdentity(
                encoder_id,
                f"{space}-v{self.version}",
                DIM,
                "audio" if audio else "image",
                16_000 if audio else None,
            )
        return EncoderIdentity(encoder_id, f"text-v{self.version}", DIM, "text")

    def open(self, config: EncoderConfig) -> FakeEncoder:
        return FakeEncoder(self.identify(config), self)

    def identify_recognizer(self, config: WhisperConfig) -> str:
        return f"{config_digest(config)}-v{self.version}"

    def open_recognizer(self, config: WhisperConfig) -> FakeRecognizer:
        return FakeRecognizer(self)
