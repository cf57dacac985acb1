"""Versions of media that browsers play: what a file needs for that, and making it.

Where only the container or one track is foreign to browsers, the rest is copied as it is. Every
version keeps the clock of its original: its zero is the first instant of any track.
"""

from __future__ import annotations

import errno
import heapq
import itertools
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from encoders.media.av_container import (
    clock_start,
    open_container,
    picture_track,
    seconds_of,
    typed_errors,
)
from encoders.media.av_reader import AvReader, open_with_av
from encoders.media.decode_limits import DecodeLimits
from encoders.media.image_decoder import encode_thumbnail
from encoders.media.media_file import open_media
from encoders.media.rejection import MediaRejected
from encoders.media.sniff import MEDIUM_OF, sniff
from encoders.media.version_plan import PLAYED_AS_THEY_ARE, Tracks, VersionPlan, plan_version
from encoders.media.video_reader import TimedFrame, VideoReader, open_video

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

ALGORITHM_VERSION = 1
"""Part of the name that a version is kept under; raise it when versions come out differently."""

TRANSCODE_LIMITS = DecodeLimits(
    max_wall_seconds=3600.0,
    max_cpu_seconds=2 * 3600,
    max_output_bytes=4_000_000_000,
    niceness=10,
)
"""For the process that makes versions: an hour of video takes minutes, not seconds, in the
background, and whoever searches meanwhile comes first.
"""

MAX_VIDEO_SIDE_PX = 1280
MAX_PICTURE_SIDE_PX = 2048
GROUP_FRAMES = 60
"""Frames from one key frame to the next: players begin anywhere within about two seconds' work."""

TICKS_PER_SECOND = 90_000
"""Time base of encoded pictures: every usual frame rate, and any other to 11 µs."""

MUXERS: Mapping[str, str] = {"mp4": "mp4", "m4a": "mp4", "webm": "webm", "weba": "webm"}

AAC_RATES_HZ = frozenset({22_050, 24_000, 32_000, 44_100, 48_000})
AAC_BITS_PER_SECOND = 160_000
LAYOUTS: Mapping[int, str] = {1: "mono", 2: "stereo", 3: "2.1", 4: "quad", 5: "5.0", 6: "5.1"}

TimedPacket: TypeAlias = "tuple[float, Packet[Any]]"


def make_version(path: Path, target: Path, *, limits: DecodeLimits) -> str | None:
    """Write a version of a file that browsers play, unless they play the file itself.

    Args:
        path: a picture, sound or video.
        target: where it is written; half a file may be left there on failure.
        limits: bounds on the file read and, as ``max_output_bytes``, on the one written.

    Returns:
        The format of what was written, one of `VERSION_FORMATS`; ``None`` if nothing was, because
        browsers play the file as it is.

    Raises:
        MediaRejected: ``unsupported_format`` for texts and tracks without a decoder,
            ``too_many_bytes`` if the version would be too large, and what decoding raises.
    """
    sniffed = sniff(path)
    if sniffed.format in PLAYED_AS_THEY_ARE:
        return None
    if sniffed.medium == "text":
        raise MediaRejected("unsupported_format", f"{path.name} is text, which nothing plays")
    if sniffed.medium == "image":
        picture = encode_thumbnail(path, max_side_px=MAX_PICTURE_SIDE_PX, limits=limits)
        target.write_bytes(picture)
        return "webp"
    plan = plan_version(read_tracks(path, sniffed.format, limits=limits))
    if plan is None:
        return None
    _write_version(path, sniffed.format, plan, target, limits)
    return plan.format


def read_tracks(path: Path, format: str, *, limits: DecodeLimits) -> Tracks:
    """Return what is inside a sound or video file, by its header.

    Raises:
        MediaRejected: ``unsupported_format`` where there is no decoder for a track, ``corrupt``,
            or what `open_media` raises.
    """
    with open_media(path, max_bytes=limits.max_bytes) as file:
        container = open_container(file, format, max_pixels=limits.max_pixels)
        with container:
            pictures = picture_track(container) if MEDIUM_OF[format] == "video" else None
            sound = next(iter(container.streams.audio), None)
            return Tracks(
                format=format,
                picture=_codec_of(pictures),
                pixel_format=pictures.codec_context.pix_fmt if pictures else None,
                sound=_codec_of(sound),
            )


def _codec_of(stream: VideoStream | AudioStream | None) -> str | None:
    if stream is None:
        return None
    if stream.codec_context is None:
        raise MediaRejected("unsupported_format", f"there is no decoder for a {stream.type} track")
    return stream.codec_context.codec.canonical_name


def _write_version(
    path: Path, format: str, plan: VersionPlan, target: Path, limits: DecodeLimits
) -> None:
    import av

    try:
        with ExitStack() as opened:
            output = opened.enter_context(
                av.open(
                    str(target),
                    "w",
                    format=MUXERS[plan.format],
                    # What players read first stands first.
                    options={"movflags": "+faststart"} if plan.format in ("mp4", "m4a") else {},
                )
            )
            tracks = _opened_tracks(path, format, plan, output, limits, opened)
            for _, packet in heapq.merge(*tracks, key=lambda timed: timed[0]):
                output.mux(packet)
    except av.error.MemoryError:
        raise
    except av.FFmpegError as error:
        if error.errno in (errno.EFBIG, errno.ENOSPC):
            raise MediaRejected(
                "too_many_bytes",
                f"there is no room for a version that browsers play: {error.strerror}; at most "
                f"{limits.max_output_bytes} bytes are written",
                max_bytes=limits.max_output_bytes,
            ) from error
        raise MediaRejected("corrupt", f"FFmpeg: {type(error).__name__}: {error}") from error


def _opened_tracks(
    path: Path,
    format: str,
    plan: VersionPlan,
    output: OutputContainer,
    limits: DecodeLimits,
    opened: ExitStack,
) -> list[Iterator[TimedPacket]]:
    """Add every track to ``output`` and return where its packets come from.

    Each track reads the file on its own, so that none has to hold back what another is not ready
    for.
    """
    tracks: list[Iterator[TimedPacket]] = []
    is_video = MEDIUM_OF[format] == "video"
    if is_video:
        file = opened.enter_context(open_media(path, max_bytes=limits.max_bytes))
        if plan.copies_pictures:
            container = opened.enter_context(
                open_container(file, format, max_pixels=limits.max_pixels)
            )
            stream = picture_track(container)
            assert stream is not None
            tracks.append(_copied(container, stream, output, clock_start(container)))
        else:
            reader = opened.enter_context(open_video(file, format, limits=limits))
            tracks.append(_encoded_pictures(reader, output))
    file = opened.enter_context(open_media(path, max_bytes=limits.max_bytes))
    container = opened.enter_context(open_container(file, format, max_pixels=limits.max_pixels))
    sound = next(iter(container.streams.audio), None)
    if sound is None:
        return tracks
    if plan.copies_sound:
        own_start = seconds_of(sound.start_time or 0, sound)
        zero = clock_start(container) if is_video else own_start
        tracks.append(_copied(container, sound, output, zero))
        return tracks
    try:
        file = opened.enter_context(open_media(path, max_bytes=limits.max_bytes))
        listener = open_with_av(file, format, max_pixels=limits.max_pixels)
    except MediaRejected:
        if is_video:
            return tracks  # the pictures play without a sound track that holds nothing
        raise
    opened.enter_context(listener)
    tracks.append(_encoded_sound(listener, output, limits))
    return tracks


def _copied(
    container: InputContainer,
    stream: VideoStream | AudioStream,
    output: OutputContainer,
    zero: Fraction,
) -> Iterator[TimedPacket]:
    """Add a track as it is, its clock beginning at ``zero``."""
    # By its codec and not by its decoder, which for AV1 is a library that encodes nothing.
    copy = output.add_stream_from_template(stream, opaque=True)
    assert stream.time_base is not None
    tick_seconds = float(stream.time_base)
    shift = round(zero / stream.time_base)

    def packets() -> Iterator[TimedPacket]:
        with typed_errors():
            for packet in _with_decoding_times(container.demux(stream)):
                assert packet.dts is not None
                packet.dts -= shift
                packet.pts = packet.dts if packet.pts is None else packet.pts - shift
                packet.stream = copy
                yield packet.dts * tick_seconds, packet

    return packets()


def _with_decoding_times(packets: Iterator[Packet[Any]]) -> Iterator[Packet[Any]]:
    """Yield the packets that hold something, each with the time when it is decoded.

    Matroska says only when frames are shown. FFmpeg works out the rest, except for the first frames
    where later ones are shown between them: these count down from the first that is known.
    """
    waiting: list[Packet[Any]] = []
    for packet in packets:
        if packet.size == 0:
            continue
        if packet.dts is None:
            waiting.append(packet)
            continue
        for steps, early in enumerate(reversed(waiting), start=1):
            early.dts = packet.dts - steps
        yield from waiting
        waiting = []
        yield packet
    for packet in waiting:
        packet.dts = packet.pts
        if packet.dts is not None:
            yield packet


def _encoded_pictures(reader: VideoReader, output: OutputContainer) -> Iterator[TimedPacket]:
    """Add the pictures as H.264: upright, square pixels, every frame at its own time."""
    import av
    from av.video.reformatter import ColorRange, Colorspace

    frames = reader.frames(0.0)
    first = next(frames, None)
    if first is None:
        raise MediaRejected("no_picture", "the picture track is empty")
    stream = output.add_stream(
        "libx264",
        rate=Fraction(1 / reader.frame_seconds).limit_denominator(1001),
        options={"preset": "veryfast", "crf": "23"},
    )
    height_px, width_px, _ = reader.picture(first.frame, max_side_px=MAX_VIDEO_SIDE_PX).pixels.shape
    stream.width, stream.height = _even(width_px), _even(height_px)
    stream.pix_fmt = "yuv420p"
    stream.time_base = stream.codec_context.time_base = Fraction(1, TICKS_PER_SECOND)
    stream.codec_context.gop_size = GROUP_FRAMES
    stream.codec_context.color_range = ColorRange.MPEG
    stream.codec_context.colorspace = Colorspace.ITU709
    stream.codec_context.color_primaries = stream.codec_context.color_trc = Colorspace.ITU709

    def packets() -> Iterator[TimedPacket]:
        for tick, timed in _ticking(first, frames, reader):
            pixels = reader.picture(timed.frame, max_side_px=MAX_VIDEO_SIDE_PX).pixels
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(
                stream.width, stream.height, "yuv420p", dst_colorspace=Colorspace.ITU709
            )
            frame.pts, frame.time_base = tick, Fraction(1, TICKS_PER_SECOND)
            yield from _timed(stream.encode(frame))
        yield from _timed(stream.encode(None))

    return packets()


def _ticking(
    first: TimedFrame, frames: Iterator[TimedFrame], reader: VideoReader
) -> Iterator[tuple[int, TimedFrame]]:
    """Yield frames with strictly rising ticks; the last one again at the end if it is shown long.

    A file ends one usual frame after its last frame begins, however long the original showed it.
    """
    last_tick, last = -1, first
    for timed in itertools.chain([first], frames):
        last = timed
        tick = round(timed.at_seconds * TICKS_PER_SECOND)
        if tick > last_tick:
            last_tick = tick
            yield tick, timed
    end_seconds = reader.duration_seconds()
    if end_seconds - last.at_seconds > 2 * reader.frame_seconds:
        yield round((end_seconds - reader.frame_seconds) * TICKS_PER_SECOND), last


def _encoded_sound(
    reader: AvReader, output: OutputContainer, limits: DecodeLimits
) -> Iterator[TimedPacket]:
    """Add the sound as AAC, without holes: silence where the original has none."""
    import av

    rate_hz = reader.sample_rate_hz
    stream = output.add_stream("aac", rate=rate_hz if rate_hz in AAC_RATES_HZ else 48_000)
    stream.layout = "mono" if reader.num_channels == 1 else "stereo"
    stream.bit_rate = AAC_BITS_PER_SECOND
    max_samples = round(limits.max_duration_seconds * rate_hz)

    def packets() -> Iterator[TimedPacket]:
        position = 0
        for block in reader.blocks(0, max_samples):
            layout = LAYOUTS.get(reader.num_channels, "mono")
            samples = block if reader.num_channels in LAYOUTS else block.mean(1, keepdims=True)
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(samples.T), format="fltp", layout=layout
            )
            frame.sample_rate, frame.pts = rate_hz, position
            frame.time_base = Fraction(1, rate_hz)
            position += len(block)
            yield from _timed(stream.encode(frame))
        yield from _timed(stream.encode(None))

    return packets()


def _timed(packets: list[Packet[Any]]) -> Iterator[TimedPacket]:
    for packet in packets:
        assert packet.dts is not None
        assert packet.time_base is not None
        yield float(packet.dts * packet.time_base), packet


def _even(side_px: int) -> int:
    """Return the nearest even side, as 4:2:0 needs, at least 2."""
    return max(2, side_px - side_px % 2)
