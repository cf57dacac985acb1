"""One thread that runs the models, and the queue before it.

Questions that arrive while the models are busy wait together and are encoded as one batch, so
throughput rises with load. Words go before files: a short question never waits for a queue of
pictures. Questions go before what is to be stored, which is encoded in small batches of its own. A
full queue refuses at once instead of letting everybody wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from encoders.config import EncoderConfig
from encoders.encoder import Encoder
from encoders.serving.errors import DeadlineExceeded, Overloaded
from encoders.space import Vectors


class BatchLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How questions are gathered into batches."""

    max_contents: int = 32
    """A batch ends when it holds this many contents; the next one starts right after it."""

    max_wait_seconds: float = 0.0
    """How long a question that finds the models idle waits for company. Not at all is best on a
    processor: what arrives while a batch runs makes the next one.
    """

    max_waiting: int = 256
    """Most requests that may wait; more are refused."""

    max_waiting_writes: int = 64
    """Most requests with content to be stored that may wait beside them."""


DEFAULT_LIMITS = BatchLimits()


@dataclass(eq=False, slots=True)
class PendingEncode:
    """Contents that wait for an encoder."""

    encoder: EncoderConfig
    contents: Sequence[Any]
    deadline: float | None
    """On `time.monotonic`'s clock; ``None``: waits as long as it takes."""

    result: asyncio.Future[Vectors]
    loop: asyncio.AbstractEventLoop
    to_store: bool = False

    @property
    def is_text(self) -> bool:
        """Whether the contents are words."""
        return all(isinstance(content, str) for content in self.contents)


class MicroBatcher:
    """Runs encoders in a thread of its own.

    Args:
        open_encoder: gives the encoder of a configuration; called in the model thread only.
        limits: of batches and of the queue.
    """

    def __init__(
        self,
        open_encoder: Callable[[EncoderConfig], Encoder[Any]],
        limits: BatchLimits = DEFAULT_LIMITS,
    ) -> None:
        self._open_encoder = open_encoder
        self._limits = limits
        self._texts: deque[PendingEncode] = deque()
        self._files: deque[PendingEncode] = deque()
        self._writes: deque[PendingEncode] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="models", daemon=True)
        self._thread.start()

    @property
    def num_waiting(self) -> int:
        """Questions in the queue now."""
        return len(self._texts) + len(self._files)

    @property
    def num_waiting_writes(self) -> int:
        """Requests with content to be stored in the queue now."""
        return len(self._writes)

    async def encode(
        self,
        encoder: EncoderConfig,
        contents: Sequence[Any],
        *,
        deadline: float | None = None,
        to_store: bool = False,
    ) -> Vectors:
        """Return one unit row per content.

        Args:
            encoder: what to encode with.
            contents: of its medium.
            deadline: on `time.monotonic`'s clock.
            to_store: the contents are no question: whatever asks goes first, and they are not
                joined with others, so that a question waits for a few contents at most.

        Raises:
            Overloaded: too many requests wait already.
            DeadlineExceeded: ``deadline`` passed before its turn came.
        """
        loop = asyncio.get_running_loop()
        pending = PendingEncode(encoder, contents, deadline, loop.create_future(), loop, to_store)
        with self._changed:
            waiting = self.num_waiting_writes if to_store else self.num_waiting
            limits = self._limits
            if waiting >= (limits.max_waiting_writes if to_store else limits.max_waiting):
                raise Overloaded(
                    f"{waiting} requests wait for the encoders already; try again soon",
                    waiting=waiting,
                )
            self._queue_of(pending).append(pending)
            self._changed.notify()
        return await pending.result

    def close(self) -> None:
        """End the model thread after the batch it runs; requests that wait are dropped."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _queue_of(self, pending: PendingEncode) -> deque[PendingEncode]:
        if pending.to_store:
            return self._writes
        return self._texts if pending.is_text else self._files

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._closing or self.num_waiting or self.num_waiting_writes
                )
                if self._limits.max_wait_seconds > 0 and self.num_waiting:
                    self._changed.wait_for(
                        lambda: self._closing or self._num_contents() >= self._limits.max_contents,
                        timeout=self._limits.max_wait_seconds,
                    )
                if self._closing:
                    return
                batch = self._next_batch()
            batch = [pending for pending in batch if self._still_wanted(pending)]
            if batch:
                self._encode(batch)

    def _num_contents(self) -> int:
        """Return how much waits in the queue that is served next."""
        return sum(len(pending.contents) for pending in self._texts or self._files)

    def _next_batch(self) -> list[PendingEncode]:
        """Take what can be encoded together with the oldest request."""
        queue = self._texts or self._files
        if not queue:
            return [self._writes.popleft()]
        first = queue.popleft()
        batch, size = [first], len(first.contents)
        others: list[PendingEncode] = []
        while queue and size < self._limits.max_contents:
            pending = queue.popleft()
            if pending.encoder == first.encoder:
                batch.append(pending)
                size += len(pending.contents)
            else:
                others.append(pending)
        queue.extendleft(reversed(others))
        return batch

    def _still_wanted(self, pending: PendingEncode) -> bool:
        if pending.result.cancelled():
            return False
        if pending.deadline is not None and time.monotonic() > pending.deadline:
            _settle(pending, None, DeadlineExceeded("the deadline passed before encoding began"))
            return False
        return True

    def _encode(self, batch: list[PendingEncode]) -> None:
        contents = [content for pending in batch for content in pending.contents]
        try:
            vectors = self._encode_distinct(batch[0].encoder, contents)
        except Exception as error:  # handed to whoever asked
            if len(batch) == 1:
                _settle(batch[0], None, error)
                return
            # One bad content is its asker's trouble, not that of those who came at the same time.
            for pending in batch:
                self._encode([pending])
            return
        stops = np.cumsum([len(pending.contents) for pending in batch])
        for pending, stop in zip(batch, stops, strict=True):
            _settle(pending, vectors[stop - len(pending.contents) : stop], None)

    def _encode_distinct(self, config: EncoderConfig, contents: list[Any]) -> Vectors:
        """Encode equal texts once; pictures and sounds are not compared."""
        encoder = self._open_encoder(config)
        if not all(isinstance(content, str) for content in contents):
            return encoder.encode(contents)
        places: dict[str, int] = {}
        positions = [places.setdefault(text, len(places)) for text in contents]
        return encoder.encode(list(places))[positions]


def _settle(pending: PendingEncode, vectors: Vectors | None, error: Exception | None) -> None:
    """Hand the outcome to the event loop that waits for it."""

    def settle() -> None:
        if pending.result.done():  # the asker went away meanwhile
            return
        if error is not None:
            pending.result.set_exception(error)
        elif vectors is not None:
            pending.result.set_result(vectors)

    # A loop that has closed meanwhile has nobody left who waits.
    with contextlib.suppress(RuntimeError):
        pending.loop.call_soon_threadsafe(settle)
