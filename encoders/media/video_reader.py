"""Frames of a video in order, each with its time, through PyAV."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from encoders.media.av_container import (
    MICROSECONDS,
    clock_start,
    decoded_frames,
    last_instants,
    open_container,
    picture_track,
    seconds_of,
    seek_before,
    seek_to_start,
    typed_errors,
)
from encoders.media.content import Picture
from encoders.media.decode_limits import DecodeLimits
from encoders.media.rejection import MediaRejected

if TYPE_CHECKING:
    from av import VideoFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.reformatter import VideoReformatter
    from av.video.stream import VideoStream

MISSING_END_SECONDS = 1.0
"""A file whose tracks end so much before its header says is cut off; less is sloppy writing."""

USUAL_FRAME_SECONDS = Fraction(1, 25)

MAX_ASPECT = 20
"""Pixels further from square than this are a header's mistake, and taken as square."""

HD_HEIGHT_PX = 720
"""Videos from this height up have BT.709 colours if nothing says otherwise, smaller ones BT.601."""

UNSPECIFIED_COLORS = 2
"""FFmpeg's ``AVCOL_SPC_UNSPECIFIED``."""

ALL_FRAMES_PX_PER_SECOND = 160_000_000
"""Up to here (1080p at 60 frames is 124 million) every frame is decoded."""

REFERENCE_FRAMES_PX_PER_SECOND = 320_000_000
"""Up to here (4K at 30 frames is 249 million) frames are decoded that others build on; above, key
frames alone, which encoders place at cuts.
"""


@dataclass(frozen=True, slots=True)
class TimedFrame:
    """A decoded frame and when it is first shown, on the video's clock."""

    at_seconds: float
    frame: VideoFrame


def open_video(file: BinaryIO, format: str, *, limits: DecodeLimits) -> VideoReader:
    """Open the moving pictures of a video.

    Raises:
        MediaRejected: ``no_picture``, ``unsupported_format``, ``too_many_pixels`` or ``corrupt``.
    """
    container = open_container(file, format, max_pixels=limits.max_pixels)
    try:
        return VideoReader(container, limits)
    except BaseException:
        container.close()
        raise


class VideoReader:
    """The picture track of an open video.

    Args:
        container: closed with the reader.
        limits: the pixel limit is checked against the header, and held by the decoder.
    """

    def __init__(self, container: InputContainer, limits: DecodeLimits) -> None:
        from av.video.reformatter import VideoReformatter

        stream = picture_track(container)
        if stream is None:
            raise MediaRejected("no_picture", "the file has no picture track")
        if stream.codec_context is None:
            raise MediaRejected("unsupported_format", "there is no decoder for the picture track")
        _require_pixels(stream.codec_context.width, stream.codec_context.height, limits)
        self._container = container
        self._stream = stream
        self._limits = limits
        self._zero = clock_start(container)
        rate = stream.average_rate or stream.guessed_rate
        self.frame_seconds = float(1 / rate if rate else USUAL_FRAME_SECONDS)
        """How long a frame is shown on average."""
        context = stream.codec_context
        context.thread_count = 1
        context.options = {"max_pixels": str(limits.max_pixels)}
        pixels_per_second = context.width * context.height / self.frame_seconds
        if pixels_per_second > REFERENCE_FRAMES_PX_PER_SECOND:
            context.skip_frame = "NONKEY"
        elif pixels_per_second > ALL_FRAMES_PX_PER_SECOND:
            context.skip_frame = "NONREF"
        self._reformatter: VideoReformatter = VideoReformatter()

    def duration_seconds(self) -> float:
        """Return the length of the file: until the last instant of any track.

        Raises:
            MediaRejected: ``truncated`` or ``corrupt``.
        """
        streams: list[VideoStream | AudioStream] = [self._stream]
        streams += self._container.streams.audio[:1]
        try:
            with typed_errors():
                ends = last_instants(self._container, *streams)
        except MediaRejected as error:
            raise MediaRejected("truncated", f"its end cannot be read: {error.message}") from error
        end = max(ends.values(), default=self._zero)
        stated_seconds = float(Fraction(self._container.duration or 0, MICROSECONDS))
        # Some containers count from their own zero, others from the first instant.
        if max(float(end), float(end - self._zero)) < stated_seconds - MISSING_END_SECONDS:
            raise MediaRejected(
                "truncated",
                f"the header promises {stated_seconds:.1f} s, the file ends after "
                f"{max(0.0, float(end - self._zero)):.1f} s",
            )
        return float(end - self._zero)

    def size_px(self, frame: VideoFrame) -> tuple[int, int]:
        """Return width and height of a frame set upright, with square pixels."""
        width_px, height_px = self._square_size(frame)
        sideways, _, _ = _orientation(frame)
        return (height_px, width_px) if sideways else (width_px, height_px)

    def frames(self, from_seconds: float) -> Iterator[TimedFrame]:
        """Yield frames in the order of their times.

        Args:
            from_seconds: the first frame yielded is shown at this instant or, where pictures begin
                later, is the first one; earlier ones may come before it.

        Raises:
            MediaRejected: ``corrupt`` if nothing can be decoded, ``too_many_pixels``.
        """
        back_seconds = 0.0
        while from_seconds - back_seconds > 0:
            with typed_errors():
                stamp_seconds = float(self._zero) + from_seconds - back_seconds
                seek_before(self._container, self._stream, stamp_seconds)
                frames = self._decoded()
                first = next(frames, None)
            if first is not None and first.at_seconds <= from_seconds:
                yield first
                yield from frames
                return
            # The place was none from which decoding can start.
            back_seconds = 2 * back_seconds + 2.0
        with typed_errors():
            seek_to_start(self._container, self._stream)
        yield from self._decoded()

    def picture(self, frame: VideoFrame, *, max_side_px: int) -> Picture:
        """Return a frame upright, with square pixels, on white, no larger than it is."""
        sideways, row_step, column_step = _orientation(frame)
        width_px, height_px = self._square_size(frame)
        scale = min(1.0, max_side_px / max(width_px, height_px))
        size = max(1, round(width_px * scale)), max(1, round(height_px * scale))
        has_alpha = any(component.is_alpha for component in frame.format.components)
        pixels = self._scaled(frame, *size, "rgba" if has_alpha else "rgb24")
        if has_alpha:
            alpha = pixels[..., 3:].astype(np.uint16)
            on_white = (pixels[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255
            pixels = on_white.astype(np.uint8)
        if sideways:
            pixels = pixels.transpose(1, 0, 2)
        return Picture(np.ascontiguousarray(pixels[::row_step, ::column_step]))

    def thumb(self, frame: VideoFrame, width_px: int, height_px: int) -> NDArray[np.uint8]:
        """Return ``(3, height, width)`` brightness and two colour differences, not upright."""
        return self._scaled(frame, width_px, height_px, "yuv444p")

    def _scaled(
        self, frame: VideoFrame, width_px: int, height_px: int, format: str
    ) -> NDArray[np.uint8]:
        from av.video.reformatter import Colorspace, Interpolation

        is_hd = frame.colorspace == UNSPECIFIED_COLORS and frame.height >= HD_HEIGHT_PX
        scaled = self._reformatter.reformat(
            frame,
            width_px,
            height_px,
            format,
            src_colorspace=Colorspace.ITU709 if is_hd and format.startswith("rgb") else None,
            interpolation=Interpolation.AREA,
            threads=1,
        )
        pixels: NDArray[Any] = scaled.to_ndarray()
        return pixels

    def _square_size(self, frame: VideoFrame) -> tuple[int, int]:
        aspect = self._stream.sample_aspect_ratio or Fraction(1)
        if not Fraction(1, MAX_ASPECT) <= aspect <= MAX_ASPECT:
            aspect = Fraction(1)
        return max(1, round(frame.width * aspect)), frame.height

    def _decoded(self) -> Iterator[TimedFrame]:
        at_seconds = -math.inf
        for frame in decoded_frames(self._container, self._stream):
            _require_pixels(frame.width, frame.height, self._limits)
            at_seconds = self._time_of(frame, at_seconds)
            yield TimedFrame(at_seconds, frame)

    def _time_of(self, frame: VideoFrame, previous_seconds: float) -> float:
        """Return when a frame is shown; never before the frame that came out before it."""
        tick = frame.dts if frame.pts is None else frame.pts
        if tick is None:
            return max(0.0, previous_seconds + self.frame_seconds)
        return max(float(seconds_of(tick, self._stream) - self._zero), previous_seconds, 0.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._container.close()


def _orientation(frame: VideoFrame) -> tuple[bool, int, int]:
    """Return how a frame is set upright, by the display matrix of its file.

    Returns:
        Whether rows and columns are exchanged; then the steps, 1 or -1, in which rows and columns
        are taken.
    """
    side_data: Mapping[Any, Any] = frame.side_data
    matrix = side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return False, 1, 1
    # Column x, row y go to column a*x + c*y, row b*x + d*y.
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(matrix))
    if abs(b) > abs(a):
        return True, -1 if b < 0 else 1, -1 if c < 0 else 1
    return False, -1 if d < 0 else 1, -1 if a < 0 else 1


def _require_pixels(width_px: int, height_px: int, limits: DecodeLimits) -> None:
    if width_px * height_px > limits.max_pixels:
        raise MediaRejected(
            "too_many_pixels",
            f"{width_px} x {height_px} pixels; at most {limits.max_pixels} are decoded",
            width_px=width_px,
            height_px=height_px,
            max_pixels=limits.max_pixels,
        )
