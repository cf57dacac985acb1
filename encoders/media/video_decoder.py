"""Videos: how long they are, their shots, and single frames."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from encoders.media.av_reader import open_with_av
from encoders.media.content import Keyframe, Shot, VideoInfo
from encoders.media.decode_limits import DecodeLimits
from encoders.media.image_decoder import encode_webp
from encoders.media.keyframes import Candidate, Part, choose_keyframes
from encoders.media.media_file import open_media
from encoders.media.rejection import MediaRejected
from encoders.media.shots import (
    CONTEXT_SECONDS,
    THUMB_HEIGHT_PX,
    THUMB_WIDTH_PX,
    Thumbs,
    Times,
    find_cuts,
    part_ranges,
)
from encoders.media.sniff import sniff
from encoders.media.video_reader import TimedFrame, VideoReader, open_video

STRETCH_SECONDS = 30.0
"""Video decoded in one task: a fraction of the time that a task may take."""

CANDIDATE_SECONDS = 0.25
"""The frame shown at every multiple of this may become a keyframe; shots are longer."""


def video_info(path: Path, *, limits: DecodeLimits) -> VideoInfo:
    """Return length, size and tracks of a video file.

    Raises:
        MediaRejected: ``no_picture``, ``too_long``, ``too_many_pixels``, ``corrupt``,
            ``truncated``, or what `sniff` and `open_media` raise.
    """
    with _reader(path, limits) as reader:
        first = next(reader.frames(0.0), None)
        if first is None:
            raise MediaRejected("no_picture", "the picture track has no frames")
        width_px, height_px = reader.size_px(first.frame)
        duration_seconds = reader.duration_seconds()
    if duration_seconds > limits.max_duration_seconds:
        raise MediaRejected(
            "too_long",
            f"{duration_seconds:.0f} s; at most {limits.max_duration_seconds:.0f} s are taken",
            duration_seconds=duration_seconds,
            max_duration_seconds=limits.max_duration_seconds,
        )
    return VideoInfo(duration_seconds, width_px, height_px, _has_sound(path, limits))


def decode_shots(
    path: Path,
    start_seconds: float,
    stop_seconds: float,
    max_shot_seconds: float,
    *,
    max_side_px: int,
    limits: DecodeLimits,
) -> list[Shot]:
    """Return the shots of one stretch of a video; they cover the stretch without holes.

    A shot that goes on beyond the stretch is cut at its end. The cuts inside do not depend on what
    else is decoded: around the stretch some frames are looked at too. A first shot that goes on
    showing, unchanged, what was shown before ``start_seconds`` has no keyframes.

    Args:
        path: a video file.
        start_seconds: on the video's clock, at least 0.
        stop_seconds: first instant after; what lies beyond the end is left out.
        max_shot_seconds: longer shots are cut into equal parts no longer than this.
        max_side_px: longer side of the keyframes.
        limits: bounds on the file.

    Raises:
        MediaRejected: ``no_picture``, ``corrupt``, ``truncated``, or what `sniff` and `open_media`
            raise.
    """
    if not 0 <= start_seconds < stop_seconds:
        raise ValueError(f"stretch {start_seconds} to {stop_seconds} s is not a range from 0 up")
    with _reader(path, limits) as reader:
        seen = _look(reader, start_seconds, stop_seconds, max_side_px)
    if seen is None:
        return []
    cuts = [float(seen.times[index]) for index in find_cuts(seen.times, seen.thumbs)]
    inner = [cut for cut in cuts if start_seconds < cut < seen.stop_seconds]
    edges = [start_seconds, *inner, seen.stop_seconds]
    shots = []
    shown_before = seen.before
    for shot_start, shot_stop in pairwise(edges):
        for part_start, part_stop in part_ranges(shot_start, shot_stop, max_shot_seconds):
            part = Part(part_start, part_stop, shot_start, shot_stop)
            chosen = choose_keyframes(part, seen.candidates_in(part), shown_before)
            shown_before = [each.thumb for each in chosen] or shown_before
            keyframes = tuple(each.keyframe for each in chosen)
            shots.append(Shot(part_start, part_stop, keyframes))
    return shots


def encode_video_thumbnail(
    path: Path, *, at_seconds: float, max_side_px: int, limits: DecodeLimits
) -> bytes:
    """Return a small WebP of the frame shown at ``at_seconds``, or of the last one before.

    Raises:
        MediaRejected: as `decode_shots`.
    """
    with _reader(path, limits) as reader:
        shown: TimedFrame | None = None
        for timed in reader.frames(at_seconds):
            if shown is not None and timed.at_seconds > at_seconds:
                break
            shown = timed
        if shown is None:
            raise MediaRejected("no_picture", "the picture track has no frames")
        return encode_webp(reader.picture(shown.frame, max_side_px=max_side_px))


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """What was seen in a stretch and around it."""

    times: Times
    thumbs: Thumbs

    candidates: list[Candidate]
    """Shown within the stretch, in order of time."""

    before: list[Thumbs]
    """The thumb of what was shown just before the stretch; empty if it is the beginning."""

    stop_seconds: float
    """Where the stretch ends, or the video if that is earlier."""

    def candidates_in(self, part: Part) -> list[Candidate]:
        """Return the candidates that are shown in a part."""
        return [
            each
            for each in self.candidates
            if part.start_seconds <= each.keyframe.at_seconds < part.stop_seconds
        ]


def _look(
    reader: VideoReader, start_seconds: float, stop_seconds: float, max_side_px: int
) -> _Seen | None:
    """Decode a stretch and what decides about its cuts; ``None`` if nothing is shown in it."""
    times, thumbs, candidates = [], [], []
    before: list[Thumbs] = []
    from_seconds = max(0.0, start_seconds - CONTEXT_SECONDS)
    last_shown = stop_seconds
    for timed, next_seconds in _with_stops(reader, reader.frames(from_seconds)):
        if next_seconds <= from_seconds:
            continue
        thumb = reader.thumb(timed.frame, THUMB_WIDTH_PX, THUMB_HEIGHT_PX).astype(np.float32)
        times.append(timed.at_seconds)
        thumbs.append(thumb)
        last_shown = next_seconds
        if timed.at_seconds < start_seconds:
            before = [thumb]
        shown_from = max(timed.at_seconds, start_seconds)
        shown_until = min(next_seconds, stop_seconds)
        if _is_candidate(shown_from, shown_until, start_seconds, stop_seconds):
            picture = reader.picture(timed.frame, max_side_px=max_side_px)
            candidates.append(Candidate(Keyframe(picture, shown_from), thumb))
        if timed.at_seconds >= stop_seconds + CONTEXT_SECONDS:
            break
    if not candidates:
        return None
    return _Seen(
        np.array(times),
        np.stack(thumbs),
        candidates,
        before,
        min(stop_seconds, last_shown),
    )


def _with_stops(
    reader: VideoReader, frames: Iterator[TimedFrame]
) -> Iterator[tuple[TimedFrame, float]]:
    """Yield each frame with the instant at which the next one takes its place."""
    previous: TimedFrame | None = None
    for timed in frames:
        if previous is not None:
            yield previous, timed.at_seconds
        previous = timed
    if previous is not None:  # the last one stays until the sound ends too
        yield previous, max(previous.at_seconds + reader.frame_seconds, reader.duration_seconds())


def _is_candidate(
    shown_from: float, shown_until: float, start_seconds: float, stop_seconds: float
) -> bool:
    """Tell whether a frame is the first or last of a stretch or shown at one of the instants."""
    if shown_from >= shown_until:
        return False
    next_instant = math.ceil(shown_from / CANDIDATE_SECONDS) * CANDIDATE_SECONDS
    return shown_from == start_seconds or shown_until == stop_seconds or next_instant < shown_until


@contextmanager
def _reader(path: Path, limits: DecodeLimits) -> Iterator[VideoReader]:
    sniffed = sniff(path)
    if sniffed.medium != "video":
        raise MediaRejected("unsupported_format", f"{path.name} is {sniffed.format}, not a video")
    with (
        open_media(path, max_bytes=limits.max_bytes) as file,
        open_video(file, sniffed.format, limits=limits) as reader,
    ):
        yield reader


def _has_sound(path: Path, limits: DecodeLimits) -> bool:
    """Tell whether there is a sound track of which the first frames can be decoded."""
    with open_media(path, max_bytes=limits.max_bytes) as file:
        try:
            with open_with_av(file, sniff(path).format, max_pixels=limits.max_pixels):
                return True
        except MediaRejected:
            return False
