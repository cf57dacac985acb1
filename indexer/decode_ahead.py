"""Decoding that runs ahead of encoding.

A background thread plans files, asks the sandbox for their content and hands over pieces in file
order through a bounded queue, so that the models never wait for a decoder and memory stays flat:
what is decoded but not yet encoded never exceeds the look-ahead plus the queue, which is bounded in
bytes: a batch of short sounds has to fit while the one before is encoded, ten minutes of them need
not.

    files -> plan -> [look-ahead of running decodes] -> queue -> encode
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, wait
from typing import Any

from encoders.media.content import Picture, Sound
from encoders.media.rejection import MediaRejected
from encoders.media.sandbox import DecodeSandbox
from indexer.jobs import (
    Job,
    Message,
    Piece,
    Sealed,
    Settled,
    SpeechPiece,
    failed_outcome,
    planned_or_settled,
)
from indexer.pieces import Convert, OpenRecognizer, PieceMaker
from indexer.plan import Plans
from indexer.walk import FoundFile

LOOK_AHEAD = 16
"""Decodes under way at once; more than the workers, so that none of them ever waits for work."""

QUEUE_LENGTH = 512
"""Messages; what bounds memory is `MAX_QUEUED_BYTES`."""

MAX_QUEUED_BYTES = 64_000_000
"""Decoded content that waits to be encoded: 100 sounds of 10 s, or 20 pictures of 1024 px. A single
piece may be larger.
"""

STOP_CHECK_SECONDS = 0.2


class _Stopped(Exception):
    """The run has ended, so what is still to be decoded is not wanted any more."""


class DecodeAhead:
    """An iterator over messages, filled by a background thread.

    Args:
        files: what to take in.
        planner: says what has to be done for a file.
        sandbox: decodes.
        open_recognizer: gives the recogniser of a channel of speech, which finds speech here and
            hears it on the other side of the queue.
    """

    def __init__(
        self,
        files: Iterable[FoundFile],
        planner: Plans,
        sandbox: DecodeSandbox,
        open_recognizer: OpenRecognizer,
    ) -> None:
        self._files = files
        self._planner = planner
        self._maker = PieceMaker(sandbox, self._result, open_recognizer)
        self._queue: queue.Queue[Message | BaseException | None] = queue.Queue(QUEUE_LENGTH)
        self._queued_bytes = 0
        self._room = threading.Condition()
        self._stop = threading.Event()
        self._window: deque[tuple[Job, Future[Any] | None, Convert | None]] = deque()
        self._thread = threading.Thread(target=self._fill, name="decode-ahead", daemon=True)
        self.plan_seconds = 0.0
        self.decode_wait_seconds = 0.0
        self.preprocess_seconds = 0.0

    def __iter__(self) -> Iterator[Message]:
        """Yield messages until every file has been handed over."""
        self._thread.start()
        try:
            while (message := self._queue.get()) is not None:
                if isinstance(message, BaseException):
                    raise message
                self._make_room(_num_bytes(message))
                yield message
        finally:
            self._stop.set()
            while self._thread.is_alive():
                self._drain_queue()
                self._thread.join(timeout=STOP_CHECK_SECONDS)

    def _drain_queue(self) -> None:
        while True:
            try:
                self._queue.get_nowait()
            except queue.Empty:
                return

    def _make_room(self, num_bytes: int) -> None:
        with self._room:
            self._queued_bytes -= num_bytes
            self._room.notify()

    def _take_room(self, num_bytes: int) -> None:
        with self._room:
            while self._queued_bytes and self._queued_bytes + num_bytes > MAX_QUEUED_BYTES:
                if self._stop.is_set():
                    return
                self._room.wait(STOP_CHECK_SECONDS)
            self._queued_bytes += num_bytes

    def _put(self, message: Message | BaseException | None) -> None:
        self._take_room(_num_bytes(message))
        while not self._stop.is_set():
            try:
                self._queue.put(message, timeout=STOP_CHECK_SECONDS)
            except queue.Full:
                continue
            return

    def _fill(self) -> None:
        try:
            for found in self._files:
                if self._stop.is_set():
                    return
                self._begin(found)
            while self._window:
                self._finish_oldest()
            self._put(None)
        except _Stopped:
            return
        except BaseException as error:
            # Whatever ends this thread has to end the run too, or it would wait forever.
            self._put(error)

    def _begin(self, found: FoundFile) -> None:
        started = time.perf_counter()
        planned = planned_or_settled(self._planner, found)
        self.plan_seconds += time.perf_counter() - started
        if isinstance(planned, Settled):
            self._put(planned)
            return
        job = Job(planned, planned.item)
        try:
            for future, convert in self._maker.requests(job):
                self._window.append((job, future, convert))
                while len(self._window) >= LOOK_AHEAD:
                    self._finish_oldest()
                if job.failed:
                    return
        except MediaRejected as error:
            self._fail(job, error)
            return
        self._window.append((job, None, None))

    def _finish_oldest(self) -> None:
        job, future, convert = self._window.popleft()
        if job.failed:
            return
        if future is None or convert is None:
            self._put(Sealed(job))
            return
        try:
            decoded = self._result(future)
            started = time.perf_counter()
            piece = convert(decoded)
            self.preprocess_seconds += time.perf_counter() - started
        except MediaRejected as error:
            self._fail(job, error)
        else:
            if piece is not None:
                self._put(piece)

    def _result(self, future: Future[Any]) -> Any:
        """Wait for a decoder, but not longer than the run lasts."""
        started = time.perf_counter()
        try:
            while not wait([future], timeout=STOP_CHECK_SECONDS).done:
                if self._stop.is_set():
                    raise _Stopped
            if self._stop.is_set():
                raise _Stopped
            return future.result()
        finally:
            self.decode_wait_seconds += time.perf_counter() - started

    def _fail(self, job: Job, error: MediaRejected) -> None:
        job.failed = True
        self._put(Settled(failed_outcome(job.item, error), job=job))


def _num_bytes(message: Message | BaseException | None) -> int:
    """Return about how much memory the decoded content of a message takes."""
    if isinstance(message, Piece):
        return sum(map(_content_bytes, message.contents))
    if isinstance(message, SpeechPiece):
        return sum(window.sound.samples.nbytes for window in message.windows)
    return 0


def _content_bytes(content: Picture | Sound | str) -> int:
    if isinstance(content, Picture):
        return content.pixels.nbytes
    return len(content) if isinstance(content, str) else content.samples.nbytes
