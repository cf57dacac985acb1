"""Cutting an item into pieces: what is asked of the decoders, and what becomes of the answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from encoders.config import (
    PassageSegments,
    ShotSegments,
    UtteranceSegments,
    WhisperConfig,
    WindowSegments,
)
from encoders.media.content import (
    Document,
    Picture,
    Segment,
    Shot,
    Sound,
    Transcript,
    VideoInfo,
)
from encoders.media.passages import passages
from encoders.media.rejection import MediaRejected
from encoders.media.sandbox import DecodedPicture, DecodeSandbox, SoundInfo
from encoders.media.segmentation import utterance_segments, window_ranges
from encoders.media.video_decoder import STRETCH_SECONDS as VIDEO_STRETCH_SECONDS
from encoders.speech.recognizer import SAMPLE_RATE_HZ, RecordingLanguage, SpeechRecognizer
from indexer.jobs import Heard, Job, Piece, SpeechPiece
from indexer.planned_item import ChannelTask
from indexer.transcript_files import language_of

STRETCH_SECONDS = 60.0
"""Sound decoded in one go, 4 MB at 16 kHz; at least one window, whatever its length."""

MAX_MISSING_SECONDS = 0.25
"""How much less than a header promises counts as rounding: the end of a sound was checked to hold
something within as much.
"""

Convert: TypeAlias = Callable[[Any], Piece | SpeechPiece | None]
"""Makes a piece of what a decoder gave; ``None`` if there is nothing in it to encode."""

Request: TypeAlias = tuple[Future[Any], Convert]
"""A running decode, and how its result becomes a piece. Results are converted in order."""

OpenRecognizer: TypeAlias = Callable[[WhisperConfig], SpeechRecognizer]


@dataclass(frozen=True, slots=True)
class PieceMaker:
    """Asks for what jobs need and makes pieces of the answers.

    Args:
        sandbox: decodes.
        result: waits for a decoder; how long a sound is has to be known before it is cut.
        open_recognizer: gives the recogniser of a channel of speech.
    """

    sandbox: DecodeSandbox
    result: Callable[[Future[Any]], Any]
    open_recognizer: OpenRecognizer

    def requests(self, job: Job) -> Iterator[Request]:
        """Yield what has to be decoded for a job, and how each answer becomes a piece.

        Raises:
            MediaRejected: the file cannot be taken; also raised by the functions that make pieces.
        """
        groups: dict[tuple[object, ...], list[ChannelTask]] = {}
        for task in job.planned.tasks:
            if task.fields_text is not None:
                yield _ready(task.fields_text), _fields_piece(job, task)
                continue
            key = (task.segmentation_id, task.identity.medium, task.identity.sample_rate_hz)
            groups.setdefault(key, []).append(task)
        if not groups:
            return
        has_sound = job.item.medium != "video" or self._measure_video(job).has_sound
        for group in groups.values():
            tasks = tuple(group)
            cut = tasks[0].segments
            if isinstance(cut, UtteranceSegments):
                if tasks[0].transcript is not None:
                    yield self._read_speech(job, tasks, tasks[0].transcript, cut)
                elif has_sound:
                    yield from self._heard_speech(job, tasks)
            elif isinstance(cut, ShotSegments):
                yield from self._shots(job, tasks, cut)
            elif isinstance(cut, WindowSegments):
                if has_sound:
                    yield from self._windows(job, tasks, cut)
            elif tasks[0].identity.medium == "image":
                yield self._picture(job, tasks)
            else:
                yield self._text(job, tasks)

    def _measure_video(self, job: Job) -> VideoInfo:
        info: VideoInfo = self.result(self.sandbox.video_info(Path(job.item.location)))
        job.item = replace(
            job.item,
            duration_seconds=info.duration_seconds,
            width_px=info.width_px,
            height_px=info.height_px,
        )
        return info

    def _sound_seconds(self, job: Job) -> float:
        """Return how long the sound is; that of a video may end before its pictures."""
        info: SoundInfo = self.result(self.sandbox.sound_info(Path(job.item.location)))
        if job.item.medium == "audio":
            job.item = replace(job.item, duration_seconds=info.duration_seconds)
        return info.duration_seconds

    def _picture(self, job: Job, tasks: tuple[ChannelTask, ...]) -> Request:
        def piece(decoded: DecodedPicture) -> Piece:
            job.item = replace(job.item, width_px=decoded.width_px, height_px=decoded.height_px)
            return Piece(job, tasks, (Segment(),), [decoded.picture])

        return self.sandbox.picture(Path(job.item.location)), piece

    def _windows(
        self, job: Job, tasks: tuple[ChannelTask, ...], cut: WindowSegments
    ) -> Iterator[Request]:
        sample_rate_hz = tasks[0].identity.sample_rate_hz
        assert sample_rate_hz is not None, "encoders of sound name their rate"
        path = Path(job.item.location)
        windows = window_ranges(self._sound_seconds(job), cut.length_seconds, cut.hop_seconds)
        for stretch in stretches(windows):
            start, stop = stretch[0][0], stretch[-1][1]
            future = self.sandbox.sound(path, start, stop, sample_rate_hz)
            yield future, _windows_piece(job, tasks, stretch)

    def _heard_speech(self, job: Job, tasks: tuple[ChannelTask, ...]) -> Iterator[Request]:
        config = tasks[0].recognizer
        assert config is not None, "channels of utterances have a recognizer"
        cutter = self.open_recognizer(config).open_cutter()
        job.heard[tasks[0].segmentation_id] = Heard([], cutter.recording, "recognized")
        path = Path(job.item.location)
        parts = consecutive_stretches(self._sound_seconds(job), STRETCH_SECONDS)
        for start, stop in parts:

            def piece(sound: Sound, start: float = start, stop: float = stop) -> SpeechPiece | None:
                _require_all(sound, start, stop)
                windows = cutter.feed(sound)
                if stop == parts[-1][1]:
                    windows += cutter.finish()
                return SpeechPiece(job, tasks, windows) if windows else None

            yield self.sandbox.sound(path, start, stop, SAMPLE_RATE_HZ), piece

    def _read_speech(
        self, job: Job, tasks: tuple[ChannelTask, ...], path: Path, cut: UtteranceSegments
    ) -> Request:
        if job.item.duration_seconds is None:  # nothing else of a recording need be decoded
            self._sound_seconds(job)

        def piece(transcript: Transcript) -> Piece | None:
            recording = RecordingLanguage(transcript.language or language_of(path))
            heard = Heard(list(transcript.utterances), recording, "file")
            job.heard[tasks[0].segmentation_id] = heard
            return spoken_piece(job, tasks, utterance_segments(heard.utterances, cut.max_seconds))

        return self.sandbox.transcript(path), piece

    def _shots(
        self, job: Job, tasks: tuple[ChannelTask, ...], cut: ShotSegments
    ) -> Iterator[Request]:
        seconds = job.item.duration_seconds
        assert seconds is not None, "the video was measured"
        path = Path(job.item.location)
        parts = consecutive_stretches(seconds, VIDEO_STRETCH_SECONDS)
        join = ShotJoiner()
        for start, stop in parts:

            def piece(shots: list[Shot], is_last: bool = stop == parts[-1][1]) -> Piece | None:
                shown = join.add(shots) + (join.finish() if is_last else [])
                segments = tuple(segment for segment, _ in shown)
                return Piece(job, tasks, segments, [each for _, each in shown]) if shown else None

            yield self.sandbox.shots(path, start, stop, cut.max_seconds), piece

    def _text(self, job: Job, tasks: tuple[ChannelTask, ...]) -> Request:
        cut = tasks[0].segments

        def piece(document: Document) -> Piece:
            if isinstance(cut, PassageSegments):
                segments = passages(document, cut.max_words, cut.overlap_words)
            else:
                segments = [Segment(text="\n".join(block.text for block in document.blocks))]
            texts = [segment.text for segment in segments if segment.text]
            if not texts:
                raise MediaRejected("no_text", "the file has no words")
            return Piece(job, tasks, tuple(segments), texts)

        return self.sandbox.document(Path(job.item.location), job.item.format), piece


class ShotJoiner:
    """Shots as segments; what goes on unchanged makes the segment before it longer.

    ::

        shots      | a b   |       |       | c     |        a, b, c: keyframes
        segments   | a: all three shots    | c     |
                   | b: the same           |
    """

    def __init__(self) -> None:
        self._held: list[tuple[Segment, Picture]] = []

    def add(self, shots: Sequence[Shot]) -> list[tuple[Segment, Picture]]:
        """Take the shots of the next stretch and return the segments that are now complete."""
        complete: list[tuple[Segment, Picture]] = []
        for shot in shots:
            if shot.keyframes:
                complete += self._held
                segment = Segment(shot.start_seconds, shot.stop_seconds)
                self._held = [(segment, keyframe.picture) for keyframe in shot.keyframes]
            else:
                self._held = [
                    (replace(segment, stop_seconds=shot.stop_seconds), picture)
                    for segment, picture in self._held
                ]
        return complete

    def finish(self) -> list[tuple[Segment, Picture]]:
        """Return what was held back: the video is over."""
        held, self._held = self._held, []
        return held


def spoken_piece(
    job: Job, tasks: tuple[ChannelTask, ...], segments: Sequence[Segment]
) -> Piece | None:
    """Return what was said as a piece of text; ``None`` if nothing was."""
    texts = [segment.text for segment in segments if segment.text]
    return Piece(job, tasks, tuple(segments), texts) if texts else None


def consecutive_stretches(
    duration_seconds: float, stretch_seconds: float
) -> list[tuple[float, float]]:
    """Return ranges that cover a recording one after the other, the last one shorter."""
    starts = [
        index * stretch_seconds for index in range(math.ceil(duration_seconds / stretch_seconds))
    ]
    return [(start, min(start + stretch_seconds, duration_seconds)) for start in starts]


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


def _require_all(sound: Sound, start_seconds: float, stop_seconds: float) -> None:
    """Refuse a stretch that holds less than the header promised."""
    if stop_seconds - start_seconds - sound.duration_seconds > MAX_MISSING_SECONDS:
        raise MediaRejected(
            "truncated",
            f"the sound ends at {start_seconds + sound.duration_seconds:.2f} s, although the "
            f"header promises it up to {stop_seconds:.2f} s at least",
        )


def _windows_piece(
    job: Job, tasks: tuple[ChannelTask, ...], windows: Sequence[tuple[float, float]]
) -> Callable[[Any], Piece]:
    def piece(stretch: Sound) -> Piece:
        rate = stretch.sample_rate_hz
        origin = windows[0][0]
        _require_all(stretch, origin, windows[-1][1])
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
