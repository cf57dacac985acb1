"""Opening files with FFmpeg, through PyAV: which demuxer, which tracks, where the clock begins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING, BinaryIO, cast, overload

from encoders.media.rejection import MediaRejected

if TYPE_CHECKING:
    from av import AudioFrame, VideoFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.stream import VideoStream

DEMUXERS: Mapping[str, str] = {
    "m4a": "mov,mp4,m4a,3gp,3g2,mj2",
    "mp3": "mp3",
    "wav": "wav",
    "flac": "flac",
    "ogg": "ogg",
    "opus": "ogg",
    "weba": "matroska,webm",
    "mka": "matroska,webm",
    "mp4": "mov,mp4,m4a,3gp,3g2,mj2",
    "mov": "mov,mp4,m4a,3gp,3g2,mj2",
    "matroska": "matroska,webm",
    "webm": "matroska,webm",
    "avi": "avi",
    "ogv": "ogg",
}
"""For each format, the only demuxers FFmpeg may use: others open network addresses and further
files.
"""

FIRST_STEP_SECONDS = 10.0
"""How far before the end the last packets of a track are looked for first."""

MAX_FAILED_PACKETS = 100
"""So many packets more than frames may fail before the rest is not tried."""

MICROSECONDS = 1_000_000
"""Containers count in these; streams in ticks of their own."""


def open_container(file: BinaryIO, format: str, *, max_pixels: int) -> InputContainer:
    """Open a file with the one demuxer of its format; the caller closes it.

    Args:
        file: seekable.
        format: a key of `DEMUXERS`.
        max_pixels: width times height that video decoders may be asked for.

    Raises:
        MediaRejected: ``corrupt``.
    """
    import av

    with typed_errors():
        return av.open(
            file,
            "r",
            options={
                "format_whitelist": DEMUXERS[format],
                "protocol_whitelist": "none",
                "max_pixels": str(max_pixels),
            },
            metadata_errors="replace",
        )


@contextmanager
def typed_errors() -> Iterator[None]:
    """Turn what PyAV raises about a damaged file into a rejection."""
    import av

    try:
        yield
    except av.error.MemoryError:
        raise
    except (
        av.FFmpegError,
        UnicodeDecodeError,
        AttributeError,
        ValueError,
        OverflowError,
    ) as error:
        # Besides its own errors PyAV lets some of these through from broken metadata and frames.
        raise MediaRejected("corrupt", f"FFmpeg: {type(error).__name__}: {error}") from error


def picture_track(container: InputContainer) -> VideoStream | None:
    """Return the video track that players show; cover pictures do not count."""
    from av.stream import Disposition

    moving = [
        stream
        for stream in container.streams.video
        if not stream.disposition & Disposition.attached_pic
    ]
    chosen = [stream for stream in moving if stream.disposition & Disposition.default]
    return next(iter(chosen or moving), None)


def seconds_of(ticks: int, stream: VideoStream | AudioStream) -> Fraction:
    """Return a stream's time stamp in seconds."""
    return ticks * (stream.time_base or Fraction(0))


def clock_start(container: InputContainer) -> Fraction:
    """Return the time stamp, in seconds, of the first instant of any track."""
    return Fraction(container.start_time or 0, MICROSECONDS)


@overload
def decoded_frames(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]: ...
@overload
def decoded_frames(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]: ...
def decoded_frames(
    container: InputContainer, stream: VideoStream | AudioStream
) -> Iterator[VideoFrame | AudioFrame]:
    """Yield the frames of a stream from here on, leaving out packets that cannot be decoded.

    One damaged place does not cost a whole film; a film of which most is damaged is refused.

    Raises:
        MediaRejected: ``corrupt``.
    """
    import av

    num_frames, num_failed = 0, 0
    error: Exception | None = None
    with typed_errors():
        for packet in container.demux(stream):
            try:
                frames = cast("list[VideoFrame] | list[AudioFrame]", packet.decode())
            except av.error.MemoryError:
                raise
            except (av.FFmpegError, ValueError) as failure:
                error = failure
                num_failed += 1
                if num_failed > num_frames + MAX_FAILED_PACKETS:
                    break
                continue
            num_frames += len(frames)
            yield from frames
    if num_failed > num_frames:
        raise MediaRejected(
            "corrupt",
            f"of the {stream.type} track {num_frames} frames can be decoded, {num_failed} packets "
            f"cannot: {error}",
        )


def seek_before(
    container: InputContainer, stream: VideoStream | AudioStream, stamp_seconds: float
) -> None:
    """Go to a place in the file from which a stream can be decoded at ``stamp_seconds``.

    Args:
        container: the open file.
        stream: the place is a key frame of this one.
        stamp_seconds: on the stream's own clock; before its first instant means that.
    """
    import av

    assert stream.time_base is not None
    first_tick = stream.start_time or 0
    step_seconds = 1.0
    while (tick := int(stamp_seconds / stream.time_base)) > first_tick:
        try:
            container.seek(tick, stream=stream, backward=True)
            return
        except av.FFmpegError:
            # In a FLAC of unknown length some places near the end cannot be found: begin
            # earlier, what comes before the wanted stretch is dropped.
            stamp_seconds -= step_seconds
            step_seconds *= 2
    seek_to_start(container, stream)


def seek_to_start(container: InputContainer, stream: VideoStream | AudioStream) -> None:
    """Go to the first packet of a stream."""
    container.seek(stream.start_time or 0, stream=stream, backward=True)


def last_instants(
    container: InputContainer, *streams: VideoStream | AudioStream
) -> dict[int, Fraction]:
    """Return where streams really end, by reading the last packets of the file.

    A single stream without pictures beside it is read from its start: it is small, and a seek can
    go wrong where packets have no index.

    Args:
        container: the open file.
        streams: at least one; places are looked for by key frames of the first.

    Returns:
        By stream index, the time stamp in seconds of the first instant after the last packet;
        a stream without any packet is missing.
    """
    import av

    stated_seconds = float(Fraction(container.duration or 0, MICROSECONDS))
    stop_seconds = float(clock_start(container)) + stated_seconds
    step_seconds = FIRST_STEP_SECONDS if streams[0].type == "video" else stop_seconds
    while stop_seconds - step_seconds > float(clock_start(container)):
        try:
            seek_before(container, streams[0], stop_seconds - step_seconds)
            found = _read_to_end(container, streams)
        except av.FFmpegError:
            break
        if len(found) == len(streams):
            return found
        step_seconds *= 4
    seek_to_start(container, streams[0])
    return _read_to_end(container, streams)


def _read_to_end(
    container: InputContainer, streams: tuple[VideoStream | AudioStream, ...]
) -> dict[int, Fraction]:
    found: dict[int, Fraction] = {}
    for packet in container.demux(*streams):
        stamp = packet.dts if packet.pts is None else packet.pts
        if stamp is None or packet.size == 0:
            continue
        stream = packet.stream
        stop = (stamp + (packet.duration or 0)) * (stream.time_base or Fraction(0))
        found[stream.index] = max(found.get(stream.index, stop), stop)
    return found
