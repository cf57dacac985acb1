"""The encoder process's models, as the pipeline of ingest knows models.

The pipeline runs in a thread of an API worker and decodes there; only what models do goes over the
socket, a few contents at a time, so that questions come in between.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from encoders.config import EncoderConfig, WhisperConfig
from encoders.encoder import EncoderIdentity
from encoders.media.content import Utterance
from encoders.serving.errors import DeadlineExceeded, EncoderFailed
from encoders.serving.item_messages import (
    pack_array,
    pack_content,
    pack_windows,
    unpack_array,
)
from encoders.serving.messages import (
    EncodeContents,
    FindVoice,
    HearWindows,
    ItemMessage,
    Reply,
)
from encoders.space import Vectors
from encoders.speech.recognizer import RecordingLanguage, SpeechWindow
from encoders.speech.speech_cutter import VoiceCutter
from encoders.speech.voice_detector import VoiceDetector

CONTENTS_PER_MESSAGE = 4
"""Also how many a question may have to wait for: about 0.2 s of one core."""

WINDOWS_PER_MESSAGE = 4

Ask: TypeAlias = Callable[[Callable[[int, float], ItemMessage], float], Reply]
"""Sends the message made from an id and a time limit, and waits for the reply in this thread."""


@dataclass(frozen=True, slots=True)
class ItemFacts:
    """What is known of a collection's models without loading any."""

    identities: Mapping[EncoderConfig, EncoderIdentity]

    recognizer_ids: Mapping[str, str]
    """By channel."""

    languages: Mapping[WhisperConfig, str | None]
    """What each recogniser is told that everybody speaks."""


class RemoteModels:
    """A `ModelOpener` for one write.

    Args:
        facts: of the collection.
        ask: reaches the encoder process.
        timeout_seconds: for everything that the write needs together.
    """

    def __init__(self, facts: ItemFacts, ask: Ask, timeout_seconds: float) -> None:
        self._facts = facts
        self._ask = ask
        self._timeout_seconds = timeout_seconds
        self._deadline = time.monotonic() + timeout_seconds

    def open(self, config: EncoderConfig) -> RemoteEncoder:
        """Return the encoder of a channel's configuration."""
        return RemoteEncoder(config, self._facts.identities[config], self.reply)

    def open_recognizer(self, config: WhisperConfig) -> RemoteRecognizer:
        """Return the recogniser of a channel's configuration."""
        return RemoteRecognizer(config, self._facts.languages[config], self.reply)

    def reply(self, make: Callable[[int, float], ItemMessage]) -> Reply:
        """Return the answer to a message, within what is left of the time."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise DeadlineExceeded(
                f"the item was not encoded within {self._timeout_seconds:g} s",
                seconds=self._timeout_seconds,
            )
        return self._ask(make, left)


_Reply: TypeAlias = Callable[[Callable[[int, float], ItemMessage]], Reply]


class RemoteEncoder:
    """An `Encoder` of the encoder process."""

    def __init__(self, config: EncoderConfig, identity: EncoderIdentity, reply: _Reply) -> None:
        self.identity = identity
        self._config = config
        self._reply = reply

    def encode(self, batch: Sequence[Any]) -> Vectors:
        """See `Encoder.encode`."""
        parts = [np.empty((0, self.identity.dim), np.float32)]
        for first in range(0, len(batch), CONTENTS_PER_MESSAGE):
            contents = [pack_content(one) for one in batch[first : first + CONTENTS_PER_MESSAGE]]
            reply = _of_content(
                self._reply,
                lambda number, seconds, contents=contents: EncodeContents(
                    id=number, timeout_seconds=seconds, encoder=self._config, contents=contents
                ),
            )
            (found,) = reply.vectors
            parts.append(np.frombuffer(found.rows, dtype="<f4").reshape(-1, found.dim))
        return np.concatenate(parts).astype(np.float32)


class RemoteRecognizer:
    """A `SpeechRecognizer` of the encoder process; recordings are cut here, by its network."""

    def __init__(self, config: WhisperConfig, language: str | None, reply: _Reply) -> None:
        self.recognizer_id = config.weights
        self._config = config
        self._language = language
        self._reply = reply

    def open_cutter(self) -> VoiceCutter:
        """See `SpeechRecognizer.open_cutter`."""
        return VoiceCutter(
            VoiceDetector(_RemoteVoice(self._reply)), RecordingLanguage(self._language)
        )

    def recognize(
        self, windows: Sequence[SpeechWindow], *, max_seconds: float
    ) -> list[list[Utterance]]:
        """See `SpeechRecognizer.recognize`."""
        heard: list[list[Utterance]] = []
        for first in range(0, len(windows), WINDOWS_PER_MESSAGE):
            packed, recordings = pack_windows(windows[first : first + WINDOWS_PER_MESSAGE])
            states = [recording.state() for recording in recordings]
            reply = _of_content(
                self._reply,
                lambda number, seconds, packed=packed, states=states: HearWindows(
                    id=number,
                    timeout_seconds=seconds,
                    recognizer=self._config,
                    windows=packed,
                    recordings=states,
                    max_seconds=max_seconds,
                ),
            )
            heard += reply.utterances
            for recording, state in zip(recordings, reply.recordings, strict=True):
                recording.restore(state)
        return heard


class _RemoteVoice:
    """A `VoiceNetwork` of the encoder process. It remembers nothing, so the state goes along."""

    def __init__(self, reply: _Reply) -> None:
        self._reply = reply

    def run(
        self, outputs: Sequence[str] | None, inputs: Mapping[str, NDArray[np.generic]]
    ) -> list[NDArray[Any]]:
        packed = {name: pack_array(array) for name, array in inputs.items()}
        reply = self._reply(
            lambda number, seconds: FindVoice(id=number, timeout_seconds=seconds, inputs=packed)
        )
        return [unpack_array(array) for array in reply.arrays]


def _of_content(reply: _Reply, make: Callable[..., ItemMessage]) -> Reply:
    """Return a reply; what a model raised about contents is that content's fault, as in ingest."""
    try:
        return reply(make)
    except EncoderFailed as error:
        raise RuntimeError(error.message) from error
