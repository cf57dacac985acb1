"""Cutting an item into pieces: what is asked of the decoders, and what becomes of the answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from encoders.config import PassageSegments, WindowSegments
from encoders.media.content import Document, Segment, Sound
from encoders.media.rejection import MediaRejected
from encoders.media.sandbox import DecodedPicture, DecodeSandbox, SoundInfo
from encoders.media.segmentation import passages, window_ranges
from indexer.jobs import Job, Piece
from indexer.plan import ChannelTask

STRETCH_SECONDS = 60.0
"""Sound decoded in one go, 4 MB at 16 kHz; at least one window, whatever its length."""

MAX_MISSING_SECONDS = 0.25
"""How much less than a header promises counts as rounding: the end of a sound was checked to hold
something within as much.
"""

Request: TypeAlias = tuple[Future[Any], Callable[[Any], Piece]]
"""A running decode, and how its result becomes a piece."""


def piece_requests(
    job: Job, sandbox: DecodeSandbox, result: Callable[[Future[Any]], Any]
) -> Iterator[Request]:
    """Yield what has to be decoded for a job, and how each answer becomes a piece.

    Args:
        job: its tasks say what is wanted.
        sandbox: decodes.
        result: waits for a decoder; how long a sound is has to be known before it is cut.

    Raises:
        MediaRejected: the file cannot be taken; also raised by the functions that make pieces.
    """
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
            yield _picture(job, tuple(tasks), sandbox)
        elif medium == "audio":
            yield from _sound(job, tuple(tasks), sandbox, result)
        else:
            yield _text(job, tuple(tasks), sandbox)


def _picture(job: Job, tasks: tuple[ChannelTask, ...], sandbox: DecodeSandbox) -> Request:
    def piece(decoded: DecodedPicture) -> Piece:
        job.item = replace(job.item, width_px=decoded.width_px, height_px=decoded.height_px)
        return Piece(job, tasks, (Segment(),), [decoded.picture])

    return sandbox.picture(Path(job.item.location)), piece


def _sound(
    job: Job,
    tasks: tuple[ChannelTask, ...],
    sandbox: DecodeSandbox,
    result: Callable[[Future[Any]], Any],
) -> Iterator[Request]:
    config = tasks[0].segments
    sample_rate_hz = tasks[0].identity.sample_rate_hz
    if not isinstance(config, WindowSegments) or sample_rate_hz is None:
        raise TypeError(f"channel {tasks[0].channel!r}: sound is encoded in windows")
    path = Path(job.item.location)
    info: SoundInfo = result(sandbox.sound_info(path))
    job.item = replace(job.item, duration_seconds=info.duration_seconds)
    windows = window_ranges(info.duration_seconds, config.length_seconds, config.hop_seconds)
    for stretch in stretches(windows):
        start, stop = stretch[0][0], stretch[-1][1]
        future = sandbox.sound(path, start, stop, sample_rate_hz)
        yield future, _windows_piece(job, tasks, stretch)


def _text(job: Job, tasks: tuple[ChannelTask, ...], sandbox: DecodeSandbox) -> Request:
    config = tasks[0].segments

    def piece(document: Document) -> Piece:
        if isinstance(config, PassageSegments):
            texts = passages(document, config.max_words, config.overlap_words)
        else:
            texts = ["\n".join(document.blocks)] if document.blocks else []
        if not texts:
            raise MediaRejected("no_text", "the file has no words")
        return Piece(job, tasks, tuple(Segment(text=text) for text in texts), texts)

    return sandbox.document(Path(job.item.location), job.item.format), piece


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


def _ready(value: str) -> Future[str]:
    future: Future[str] = Future()
    future.set_result(value)
    return future


def _fields_piece(job: Job, task: ChannelTask) -> Callable[[Any], Piece]:
    def piece(text: str) -> Piece:
        return Piece(job, (task,), (Segment(text=text),), [text])

    return piece


def _windows_piece(
    job: Job, tasks: tuple[ChannelTask, ...], windows: Sequence[tuple[float, float]]
) -> Callable[[Any], Piece]:
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
