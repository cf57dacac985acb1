"""Reading sound with FFmpeg, through PyAV."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from encoders.media.av_container import (
    clock_start,
    decoded_frames,
    last_instants,
    open_container,
    picture_track,
    seconds_of,
    seek_before,
    typed_errors,
)
from encoders.media.rejection import MediaRejected
from encoders.media.sniff import MEDIUM_OF
from encoders.media.sound_reader import require_sample_rate

if TYPE_CHECKING:
    from fractions import Fraction

    from av import AudioFrame
    from av.container import InputContainer

PREROLL_SECONDS = 0.5
"""Decoded and dropped before a stretch, since lossy codecs need some frames to settle."""

INTERLEAVING_SECONDS = 1.0
"""How far from the pictures of the same instant sound may lie in a file."""

BLOCK_SAMPLES: Mapping[str, int] = {"vorbis": 64, "opus": 120}
"""For codecs whose frames differ in length, a number of samples that divides every length."""


def open_with_av(file: BinaryIO, format: str, *, max_pixels: int) -> AvReader:
    """Open the first sound track of a file.

    Args:
        file: seekable.
        format: as `sniff` names it. In a video a track that begins later than the pictures begins
            with silence; in a sound file it begins at once.
        max_pixels: bound on pictures that are in the file too.

    Raises:
        MediaRejected: ``no_sound``, ``unsupported_format`` or ``corrupt``.
    """
    container = open_container(file, format, max_pixels=max_pixels)
    try:
        return AvReader(container, is_video=MEDIUM_OF[format] == "video")
    except BaseException:
        container.close()
        raise


class AvReader:
    """A `SoundReader` on FFmpeg.

    Args:
        container: closed with the reader.
        is_video: the sound is on the clock of the pictures.
    """

    def __init__(self, container: InputContainer, *, is_video: bool) -> None:
        if not container.streams.audio:
            raise MediaRejected("no_sound", "the file has no sound track")
        self._container = container
        self._stream = container.streams.audio[0]
        if self._stream.codec_context is None:
            raise MediaRejected("unsupported_format", "there is no decoder for the sound track")
        self._stream.codec_context.thread_count = 1
        self._pictures = picture_track(container) if is_video else None
        with typed_errors():
            firsts = list(islice(self._frames(), 2))
        if not firsts:
            raise MediaRejected("no_sound", "the sound track is empty")
        # Of the decoded sound: HE-AAC plays at twice the rate that its container states.
        self.sample_rate_hz: int = firsts[0].sample_rate
        self.num_channels: int = firsts[0].layout.nb_channels
        require_sample_rate(self.sample_rate_hz)
        track_start = seconds_of(self._stream.start_time or 0, self._stream)
        self._zero = clock_start(container) if is_video else track_start
        self._anchor_tick = firsts[-1].pts or 0
        self._block_samples = BLOCK_SAMPLES.get(
            self._stream.codec_context.name, max(1, firsts[-1].samples)
        )
        # Only MP4 states a length; for other formats FFmpeg estimates one from the bit rate.
        states_length = "mov" in container.format.name and self._stream.duration is not None
        track_stop = track_start + seconds_of(self._stream.duration or 0, self._stream)
        self.num_frames: int | None = self._frame_at(track_stop) if states_length else None

    def count_frames(self) -> int:
        """Measure the length by reading packets, without decoding them."""
        # The sound beside pictures is a small part of the file: only its end is looked at.
        streams = [self._stream] if self._pictures is None else [self._pictures, self._stream]
        with typed_errors():
            stop = last_instants(self._container, *streams).get(self._stream.index)
        return 0 if stop is None else max(0, self._frame_at(stop))

    def blocks(self, first: int, stop: int) -> Iterator[NDArray[np.float32]]:
        """Yield frames ``[first, stop)``; see `SoundReader`."""
        if self.num_frames is not None:  # beyond it is what the encoder filled up with
            stop = min(stop, self.num_frames)
        position = first
        with typed_errors():
            self._go_to(first / self.sample_rate_hz - PREROLL_SECONDS)
            for frame in self._frames():
                frame_first = position if frame.pts is None else self._position(frame.pts)
                frame_stop = frame_first + frame.samples
                # FFmpeg hands out damaged AAC with channels that are not there: reading them ends
                # the process.
                if frame_stop <= position or not self._is_whole(frame):
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

    def _is_whole(self, frame: AudioFrame) -> bool:
        """Tell whether a frame is of the sound that began; else its place becomes silence.

        Raises:
            MediaRejected: ``corrupt``: it is not, and the file holds nothing but sound.
        """
        shape = frame.layout.nb_channels, frame.sample_rate
        if shape == (self.num_channels, self.sample_rate_hz):
            return True
        if self._pictures is None:
            raise MediaRejected(
                "corrupt",
                f"the sound begins with {self.num_channels} channels at {self.sample_rate_hz} Hz "
                f"and goes on with {shape[0]} at {shape[1]} Hz",
            )
        return False

    def _frames(self) -> Iterator[AudioFrame]:
        """Yield decoded frames from here on; in a video a damaged place becomes silence."""
        if self._pictures is None:
            return self._container.decode(self._stream)
        return decoded_frames(self._container, self._stream)

    def _position(self, tick: int) -> int:
        """Return which frame of the sound begins at a time stamp."""
        samples_per_tick = seconds_of(1, self._stream) * self.sample_rate_hz
        if samples_per_tick.numerator == 1:
            return self._frame_at(seconds_of(tick, self._stream))
        # Time stamps in milliseconds fall beside the samples they stand for. Every codec frame
        # begins a whole number of blocks after any other, which says where it really begins.
        num_blocks = round((tick - self._anchor_tick) * samples_per_tick / self._block_samples)
        anchor = self._frame_at(seconds_of(self._anchor_tick, self._stream))
        return anchor + num_blocks * self._block_samples

    def _frame_at(self, stamp_seconds: Fraction) -> int:
        return round((stamp_seconds - self._zero) * self.sample_rate_hz)

    def _go_to(self, seconds: float) -> None:
        """Go to ``seconds`` on the clock of the samples, or before."""
        if self._pictures is None:
            seek_before(self._container, self._stream, float(self._zero) + seconds)
        else:  # places are often noted for the pictures alone
            stamp_seconds = float(self._zero) + seconds - INTERLEAVING_SECONDS
            seek_before(self._container, self._pictures, stamp_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._container.close()


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
