"""Reading sound with FFmpeg, through PyAV."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from encoders.media.rejection import MediaRejected
from encoders.media.sound_reader import require_sample_rate

if TYPE_CHECKING:
    from av import AudioFrame
    from av.container import InputContainer

DEMUXERS: Mapping[str, str] = {
    "m4a": "mov,mp4,m4a,3gp,3g2,mj2",
    "mp3": "mp3",
    "wav": "wav",
    "flac": "flac",
    "ogg": "ogg",
    "opus": "ogg",
}
"""For each format, the only demuxers FFmpeg may use: others open network addresses and further
files.
"""

PREROLL_SECONDS = 0.25
"""Decoded and dropped before a stretch, since lossy codecs need some frames to settle."""


def open_with_av(file: BinaryIO, format: str) -> AvReader:
    """Open the first sound track of a file.

    Raises:
        MediaRejected: ``no_sound`` or ``corrupt``.
    """
    import av

    with _typed_errors():
        container = av.open(
            file,
            "r",
            options={"format_whitelist": DEMUXERS[format], "protocol_whitelist": "none"},
            metadata_errors="replace",
        )
    try:
        return AvReader(container)
    except BaseException:
        container.close()
        raise


class AvReader:
    """A `SoundReader` on FFmpeg."""

    def __init__(self, container: InputContainer) -> None:
        if not container.streams.audio:
            raise MediaRejected("no_sound", "the file has no sound track")
        self._container = container
        self._stream = container.streams.audio[0]
        if self._stream.codec_context is None:
            raise MediaRejected("unsupported_format", "there is no decoder for the sound track")
        self._stream.codec_context.thread_count = 1
        with _typed_errors():
            first = next(container.decode(self._stream), None)
        if first is None:
            raise MediaRejected("no_sound", "the sound track is empty")
        # Of the decoded sound: HE-AAC plays at twice the rate that its container states.
        self.sample_rate_hz: int = first.sample_rate
        self.num_channels: int = first.layout.nb_channels
        require_sample_rate(self.sample_rate_hz)
        # Only MP4 states a length; for other formats FFmpeg estimates one from the bit rate.
        states_length = "mov" in container.format.name and self._stream.duration is not None
        self.num_frames: int | None = (
            self._num_frames_in(self._stream.duration or 0) if states_length else None
        )

    def count_frames(self) -> int:
        """Measure the length by reading all packets, without decoding them."""
        last = self._start_tick()
        with _typed_errors():
            self._go_to(0.0)
            for packet in self._container.demux(self._stream):
                if packet.pts is not None:
                    last = max(last, packet.pts + (packet.duration or 0))
        return self._num_frames_in(last - self._start_tick())

    def blocks(self, first: int, stop: int) -> Iterator[NDArray[np.float32]]:
        """Yield frames ``[first, stop)``; see `SoundReader`."""
        assert self._stream.time_base is not None
        if self.num_frames is not None:  # beyond it is what the encoder filled up with
            stop = min(stop, self.num_frames)
        rate, time_base = self.sample_rate_hz, self._stream.time_base
        start_tick = self._start_tick()
        position = first
        with _typed_errors():
            self._go_to(first / rate - PREROLL_SECONDS)
            for frame in self._container.decode(self._stream):
                if frame.pts is None:
                    frame_first = position
                else:
                    frame_first = round((frame.pts - start_tick) * time_base * rate)
                frame_stop = frame_first + frame.samples
                if frame_stop <= position:
                    continue
                if frame_first > position:  # a hole in the track is silence
                    hole = min(frame_first, stop) - position
                    yield np.zeros((hole, self.num_channels), dtype=np.float32)
                    position += hole
                if position < stop:
                    samples = _float_samples(frame)[position - frame_first : stop - frame_first]
                    yield samples
                    position += len(samples)
                if position >= stop:
                    return

    def _go_to(self, seconds: float) -> None:
        """Seek to ``seconds`` or before."""
        import av

        assert self._stream.time_base is not None
        step_seconds = 1.0
        while seconds > 0:
            tick = self._start_tick() + int(seconds / self._stream.time_base)
            try:
                self._container.seek(tick, stream=self._stream, backward=True)
                return
            except av.FFmpegError:
                # In a FLAC of unknown length some places near the end cannot be found: begin
                # earlier, what comes before the stretch is dropped.
                seconds -= step_seconds
                step_seconds *= 2
        self._container.seek(self._start_tick(), stream=self._stream, backward=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._container.close()

    def _num_frames_in(self, ticks: int) -> int:
        assert self._stream.time_base is not None
        return max(0, round(ticks * self._stream.time_base * self.sample_rate_hz))

    def _start_tick(self) -> int:
        return self._stream.start_time or 0


def _float_samples(frame: AudioFrame) -> NDArray[np.float32]:
    """Return ``(num_frames, num_channels)`` in [-1, 1] from any sample format."""
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    frames = samples.T
    if frames.dtype == np.uint8:
        return (frames.astype(np.float32) - 128.0) / 128.0
    if np.issubdtype(frames.dtype, np.integer):
        return frames.astype(np.float32) / float(2 ** (8 * frames.dtype.itemsize - 1))
    return np.asarray(frames, dtype=np.float32)


@contextmanager
def _typed_errors() -> Iterator[None]:
    """Turn what PyAV raises about a damaged file into a rejection."""
    import av

    try:
        yield
    except av.error.MemoryError:
        raise
    except (av.FFmpegError, UnicodeDecodeError, AttributeError, ValueError) as error:
        # Besides its own errors PyAV lets some of these through from broken metadata and frames.
        raise MediaRejected("corrupt", f"FFmpeg: {type(error).__name__}: {error}") from error
