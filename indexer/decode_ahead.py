"""Decoding that runs ahead of encoding.

A background thread plans files, asks the sandbox for their content and hands over pieces in file
order through a bounded queue, so that the models never wait for a decoder and memory stays flat:
what is decoded but not yet encoded never exceeds the look-ahead plus the queue.

    files -> plan -> [look-ahead of running decodes] -> queue -> encode
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from encoders.config import PassageSegments, WindowSegments
from encoders.errors import KindredError
from encoders.media.content import Document, Segment, Sound
from encoders.media.rejection import MediaRejected
from encoders.media.sandbox import DecodedPicture, DecodeSandbox, SoundInfo
from encoders.media.segmentation import passages, window_ranges
from encoders.space import Vectors
from indexer.catalog.records import ItemRecord, Outcome, OutcomeState
from indexer.errors import AttributesError
from indexer.plan import ChannelTask, PlannedItem, Planner, Skipped
from indexer.walk import FoundFile

LOOK_AHEAD = 16
"""Decodes under way at once; more than the workers, so that none of them ever waits for work."""

QUEUE_LENGTH = 16
STRETCH_SECONDS = 60.0
"""Sound decoded in one go, 4 MB at 16 kHz; at least one window, whatever its length."""

MAX_MISSING_SECONDS = 0.25
"""How much less than a header promises counts as rounding: the end of a sound was checked to hold
something within as much.
"""

STOP_CHECK_SECONDS = 0.2


@dataclass(slots=True, eq=False)
class Job:
    """An item on its way through decoding and encoding."""

    planned: PlannedItem
    item: ItemRecord
    pending: int = 0
    """Pieces handed over and not yet encoded."""

    sealed: bool = False
    """No further piece will come."""

    failed: bool = False
    """No more of it need be decoded or encoded; both sides may find that out."""

    settled: bool = False
    """Its outcome was counted: set and read by the encoding side alone."""

    parts: dict[str, list[tuple[tuple[Segment, ...], Vectors]]] = field(default_factory=dict)
    """Encoded pieces by channel, in order."""


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Contents of one job that the same encoders take."""

    job: Job
    tasks: tuple[ChannelTask, ...]
    segments: tuple[Segment, ...]
    contents: Sequence[Any]
    """As many as segments: `Picture`, `Sound` or ``str``."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """All pieces of a job have been handed over."""

    job: Job


@dataclass(frozen=True, slots=True)
class Settled:
    """A file whose outcome is known without encoding anything more."""

    outcome: Outcome
    planned: PlannedItem | None = None
    job: Job | None = None
    """Of a file that failed after something of it may have been handed over."""


Message: TypeAlias = Piece | Sealed | Settled
_Convert: TypeAlias = Callable[[Any], Piece]


class _Stopped(Exception):
    """The run has ended, so what is still to be decoded is not wanted any more."""


class DecodeAhead:
    """An iterator over messages, filled by a background thread."""

    def __init__(self, files: Iterable[FoundFile], planner: Planner, sandbox: DecodeSandbox):
        self._files = files
        self._planner = planner
        self._sandbox = sandbox
        self._queue: queue.Queue[Message | BaseException | None] = queue.Queue(QUEUE_LENGTH)
        self._stop = threading.Event()
        self._window: deque[tuple[Job, Future[Any] | None, _Convert | None]] = deque()
        self._thread = threading.Thread(target=self._fill, name="decode-ahead", daemon=True)
        self.plan_seconds = 0.0
        self.decode_wait_seconds = 0.0

    def __iter__(self) -> Iterator[Message]:
        """Yield messages until every file has been handed over."""
        self._thread.start()
        try:
            while (message := self._queue.get()) is not None:
                if isinstance(message, BaseException):
                    raise message
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

    def _put(self, message: Message | BaseException | None) -> None:
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
        planned = _planned_or_settled(self._planner, found)
        self.plan_seconds += time.perf_counter() - started
        if isinstance(planned, Settled):
            self._put(planned)
            return
        job = Job(planned, planned.item)
        try:
            for future, convert in self._requests(job):
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
            piece = convert(self._result(future))
        except MediaRejected as error:
            self._fail(job, error)
        else:
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

    def _requests(self, job: Job) -> Iterator[tuple[Future[Any], _Convert]]:
        """Yield what has to be decoded for a job, and how each answer becomes a piece."""
        groups: dict[tuple[str, str, int | None], list[ChannelTask]] = {}
        for task in job.planned.tasks:
            if task.fields_text is not None:
                yield _ready(task.fields_text), _fields_piece(job, task)
                continue
            identity = task.identity
            key = (identity.medium, task.segmentation_id, identity.sample_rate_hz)
            groups.setdefault(key, []).append(task)
        for (medium, _, _), tasks in groups.items():
            if medium == "image":
                yield self._picture(job, tuple(tasks))
            elif medium == "audio":
                yield from self._sound(job, tuple(tasks))
            else:
                yield self._text(job, tuple(tasks))

    def _picture(self, job: Job, tasks: tuple[ChannelTask, ...]) -> tuple[Future[Any], _Convert]:
        def piece(decoded: DecodedPicture) -> Piece:
            job.item = replace(job.item, width_px=decoded.width_px, height_px=decoded.height_px)
            return Piece(job, tasks, (Segment(),), [decoded.picture])

        return self._sandbox.picture(Path(job.item.location)), piece

    def _sound(
        self, job: Job, tasks: tuple[ChannelTask, ...]
    ) -> Iterator[tuple[Future[Any], _Convert]]:
        config = tasks[0].segments
        sample_rate_hz = tasks[0].identity.sample_rate_hz
        if not isinstance(config, WindowSegments) or sample_rate_hz is None:
            raise TypeError(f"channel {tasks[0].channel!r}: sound is encoded in windows")
        path = Path(job.item.location)
        info: SoundInfo = self._result(self._sandbox.sound_info(path))
        job.item = replace(job.item, duration_seconds=info.duration_seconds)
        windows = window_ranges(info.duration_seconds, config.length_seconds, config.hop_seconds)
        for stretch in stretches(windows):
            start, stop = stretch[0][0], stretch[-1][1]
            future = self._sandbox.sound(path, start, stop, sample_rate_hz)
            yield future, _windows_piece(job, tasks, stretch)

    def _text(self, job: Job, tasks: tuple[ChannelTask, ...]) -> tuple[Future[Any], _Convert]:
        config = tasks[0].segments

        def piece(document: Document) -> Piece:
            if isinstance(config, PassageSegments):
                texts = passages(document, config.max_words, config.overlap_words)
            else:
                texts = ["\n".join(document.blocks)] if document.blocks else []
            if not texts:
                raise MediaRejected("no_text", "the file has no words")
            return Piece(job, tasks, tuple(Segment(text=text) for text in texts), texts)

        return self._sandbox.document(Path(job.item.location), job.item.format), piece


def stretches(
    windows: Sequence[tuple[float, float]], max_seconds: float = STRETCH_SECONDS
) -> Iterator[Sequence[tuple[float, float]]]:
    """Yield windows in runs that span at most ``max_seconds``, or one window if it is longer."""
    first = 0
    for index, (_, stop) in enumerate(windows):
        if index > first and stop - windows[first][0] > max_seconds:
            yield windows[first:index]
            first = index
    if first < len(windows):
        yield windows[first:]


def failed_outcome(item: ItemRecord, error: KindredError) -> Outcome:
    """Return the outcome row of a file that could not be taken."""
    reason = error.reason if isinstance(error, MediaRejected) else error.code
    return Outcome(
        location=item.location,
        item_id=item.item_id,
        state="failed",
        reason=reason,
        detail=error.message,
        content_sha256=item.content_sha256,
    )


def _planned_or_settled(planner: Planner, found: FoundFile) -> PlannedItem | Settled:
    try:
        planned = planner.plan(found)
    except (MediaRejected, AttributesError) as error:
        reason = error.reason if isinstance(error, MediaRejected) else error.code
        return Settled(_outcome(found, "failed", reason, error.message))
    if isinstance(planned, Skipped):
        return Settled(_outcome(found, "skipped", planned.reason, planned.detail))
    if planned.tasks:
        return planned
    state: OutcomeState = "unchanged"
    if planned.moved:
        state = "moved"
    elif planned.reused:
        state = "encoded"
    item = planned.item
    outcome = Outcome(
        location=item.location,
        item_id=item.item_id,
        state=state,
        reason=None,
        detail=None,
        content_sha256=item.content_sha256,
    )
    return Settled(outcome, planned)


def _outcome(found: FoundFile, state: OutcomeState, reason: str, detail: str) -> Outcome:
    return Outcome(
        location=found.listed_location,
        item_id=None,
        state=state,
        reason=reason,
        detail=detail,
        content_sha256=None,
    )


def _ready(value: str) -> Future[str]:
    future: Future[str] = Future()
    future.set_result(value)
    return future


def _fields_piece(job: Job, task: ChannelTask) -> _Convert:
    def piece(text: str) -> Piece:
        return Piece(job, (task,), (Segment(text=text),), [text])

    return piece


def _windows_piece(
    job: Job, tasks: tuple[ChannelTask, ...], windows: Sequence[tuple[float, float]]
) -> _Convert:
    def piece(stretch: Sound) -> Piece:
        rate = stretch.sample_rate_hz
        origin = windows[0][0]
        end = windows[-1][1]
        if end - origin - stretch.duration_seconds > MAX_MISSING_SECONDS:
            raise MediaRejected(
                "truncated",
                f"the sound ends at {origin + stretch.duration_seconds:.2f} s, although the header "
                f"promises it up to {end:.2f} s at least",
            )
        contents, segments = [], []
        for start, stop in windows:
            first, last = round((start - origin) * rate), round((stop - origin) * rate)
            samples = stretch.samples[first:last]
            if not len(samples):
                raise MediaRejected("no_sound", f"not one sample at {rate} Hz from {start:.2f} s")
            contents.append(Sound(samples, rate))
            segments.append(Segment(start_seconds=start, stop_seconds=stop))
        return Piece(job, tasks, tuple(segments), contents)

    return piece
