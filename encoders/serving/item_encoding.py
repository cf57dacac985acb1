"""Encoding what is stored, in the process whose first duty is to answer questions.

Encoders run in the model thread, after every question that waits. Speech is heard in a thread of
its own, one batch at a time: a window takes seconds, which no question could wait for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TypeAlias, TypeVar

from encoders.config import WhisperConfig
from encoders.errors import ConfigError
from encoders.onnx_session import OnnxNetwork
from encoders.serving.errors import DeadlineExceeded, Overloaded
from encoders.serving.item_messages import (
    pack_array,
    unpack_array,
    unpack_content,
    unpack_windows,
)
from encoders.serving.messages import (
    EncodeContents,
    EncodedVectors,
    FindVoice,
    HearWindows,
    ItemMessage,
    Reply,
)
from encoders.serving.micro_batcher import MicroBatcher
from encoders.speech.recognizer import SpeechRecognizer
from encoders.speech.voice_detector import open_network

OpenRecognizer: TypeAlias = Callable[[WhisperConfig], SpeechRecognizer]
_T = TypeVar("_T")

MAX_WAITING_SPEECH = 8
"""Batches of speech that may wait; more are refused."""


class ItemEncoding:
    """Answers messages about contents of items.

    Args:
        batcher: runs encoders.
        open_recognizer: opens recognisers, in a thread; ``None``: there are none here.
    """

    def __init__(self, batcher: MicroBatcher, open_recognizer: OpenRecognizer | None) -> None:
        self._batcher = batcher
        self._open_recognizer = open_recognizer
        # A thread cannot be interrupted, and the next must not begin beside it.
        self._ears = ThreadPoolExecutor(1, thread_name_prefix="ears")
        self._num_waiting = 0

    def close(self) -> None:
        """Drop what waits; what is heard now ends by itself."""
        self._ears.shutdown(wait=False, cancel_futures=True)

    async def reply(self, message: ItemMessage, deadline: float | None) -> Reply:
        """Return the answer to ``message``.

        Args:
            message: what is to be encoded or heard.
            deadline: on `time.monotonic`'s clock.

        Raises:
            Overloaded: too much waits already.
            DeadlineExceeded: its turn came too late.
        """
        if isinstance(message, EncodeContents):
            return await self._encoded(message, deadline)
        if isinstance(message, FindVoice):
            return await self._in_turn(lambda: self._voice(message), deadline)
        return await self._in_turn(lambda: self._heard(message), deadline)

    async def _encoded(self, message: EncodeContents, deadline: float | None) -> Reply:
        contents = [unpack_content(packed) for packed in message.contents]
        vectors = await self._batcher.encode(
            message.encoder, contents, deadline=deadline, to_store=True
        )
        packed = EncodedVectors(
            channels=[], space_id="", dim=vectors.shape[1], rows=vectors.astype("<f4").tobytes()
        )
        return Reply(id=message.id, vectors=[packed])

    async def _in_turn(self, work: Callable[[], _T], deadline: float | None) -> _T:
        if self._num_waiting >= MAX_WAITING_SPEECH:
            raise Overloaded(
                f"{self._num_waiting} stretches of speech wait already; try again soon",
                waiting=self._num_waiting,
            )

        def timely() -> _T:
            if deadline is not None and time.monotonic() > deadline:
                raise DeadlineExceeded("the deadline passed before anybody listened")
            return work()

        self._num_waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._ears, timely)
        finally:
            self._num_waiting -= 1

    def _voice(self, message: FindVoice) -> Reply:
        inputs = {name: unpack_array(packed) for name, packed in message.inputs.items()}
        found = self._voice_network.run(None, inputs)
        return Reply(id=message.id, arrays=[pack_array(array) for array in found])

    @cached_property
    def _voice_network(self) -> OnnxNetwork:
        return open_network()

    def _heard(self, message: HearWindows) -> Reply:
        if self._open_recognizer is None:
            raise ConfigError("this process hears no speech")
        recognizer = self._open_recognizer(message.recognizer)
        windows, recordings = unpack_windows(message.windows, message.recordings)
        found = recognizer.recognize(windows, max_seconds=message.max_seconds)
        return Reply(
            id=message.id,
            utterances=found,
            recordings=[recording.state() for recording in recordings],
        )
