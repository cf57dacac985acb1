"""Sounds out of files: any stretch, mono, at any rate.

libsndfile (soundfile) reads what it can, being exact and fast at seeking; FFmpeg (PyAV) reads the
rest. Both get an open file, never a name, and may use only the one format that was sniffed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from encoders.media.av_reader import open_with_av
from encoders.media.containers import mp3_states_length
from encoders.media.content import Sound, SoundInfo
from encoders.media.decode_limits import DecodeLimits
from encoders.media.media_file import open_media
from encoders.media.rejection import MediaRejected
from encoders.media.sniff import sniff
from encoders.media.sound_reader import SoundReader
from encoders.media.soundfile_reader import open_with_soundfile

MARGIN_SAMPLES = 512
"""Samples of the lower of two rates that are resampled on either side of a stretch and dropped: the
resampler's filter reaches about 100 to each side.
"""

SOUNDFILE_FORMATS = frozenset({"wav", "flac", "mp3", "ogg", "opus"})
"""What libsndfile reads too; the others need FFmpeg."""

TAIL_SECONDS = 0.25
VIDEO_TAIL_SECONDS = 1.0
"""How much of the end must hold something for a header's length to be believed; the tracks of a
video seldom end together.
"""


def sound_info(path: Path, *, limits: DecodeLimits) -> SoundInfo:
    """Return length, rate and channels of a sound file, or of the sound track of a video.

    The length of a sound file comes from the header if the end that it promises can be reached, and
    is measured where the header has none. The sound of a video is on the video's clock: its length
    includes silence before it begins and ends where nothing more can be decoded.

    Raises:
        MediaRejected: ``no_sound``, ``too_long``, ``truncated``, ``corrupt``, or what `sniff` and
            `open_media` raise.
    """
    with _reader(path, limits) as reader:
        rate = reader.sample_rate_hz
        num_frames = reader.num_frames
        if num_frames is None:
            num_frames = _measured_frames(path, limits)
        is_video = sniff(path).medium == "video"
        if num_frames == 0:
            raise MediaRejected("no_sound", "the sound has no samples")
        duration_seconds = num_frames / rate
        if duration_seconds > limits.max_duration_seconds:
            raise MediaRejected(
                "too_long",
                f"{duration_seconds:.0f} s; at most {limits.max_duration_seconds:.0f} s are taken",
                duration_seconds=duration_seconds,
                max_duration_seconds=limits.max_duration_seconds,
            )
        reached = _reached(reader, num_frames, VIDEO_TAIL_SECONDS if is_video else TAIL_SECONDS)
        if is_video:
            duration_seconds = reached / rate
        return SoundInfo(duration_seconds, rate, reader.num_channels)


def decode_sound(
    path: Path,
    start_seconds: float,
    stop_seconds: float,
    sample_rate_hz: int,
    *,
    limits: DecodeLimits,
) -> Sound:
    """Decode one stretch of a sound, or of the sound track of a video, as mono.

    Neighbouring stretches join without a seam, and a stretch has the same samples (to about 1e-6)
    whatever else is decoded with it.

    Args:
        path: a file of one of the audio or video formats.
        start_seconds: first instant, at least 0.
        stop_seconds: first instant after; what lies beyond the end is left out.
        sample_rate_hz: of the result.
        limits: bounds on the file.

    Returns:
        The mean of all channels, clipped to [-1, 1]; empty if the sound ends before the stretch.

    Raises:
        MediaRejected: ``no_sound``, ``truncated``, ``corrupt``, or what `sniff` and `open_media`
            raise.
    """
    if not 0 <= start_seconds <= stop_seconds:
        raise ValueError(f"stretch {start_seconds} to {stop_seconds} s is not a range from 0 up")
    first = round(start_seconds * sample_rate_hz)
    stop = round(stop_seconds * sample_rate_hz)
    with _reader(path, limits) as reader:
        source_rate_hz = reader.sample_rate_hz
        # Start where a sample of the source and one of the result fall on the same instant, so
        # that every stretch is resampled on the same grid:
        #
        #   source  |--.--.--|--.--.--|--.--.--|      3 samples per block (down)
        #   result  |---.----|---.----|---.----|      2 samples per block (up)
        divisor = math.gcd(source_rate_hz, sample_rate_hz)
        up, down = sample_rate_hz // divisor, source_rate_hz // divisor
        margin_seconds = MARGIN_SAMPLES / min(source_rate_hz, sample_rate_hz)
        block = max(0, first // up - math.ceil(margin_seconds * sample_rate_hz / up))
        source_first = block * down
        source_stop = math.ceil((stop / sample_rate_hz + margin_seconds) * source_rate_hz)
        source = _mono(reader, source_first, source_stop)
    num_wanted = source_stop - source_first
    if len(source) < num_wanted:
        source_end = source_first + len(source) if len(source) else 0
        stop = min(stop, round(source_end * sample_rate_hz / source_rate_hz))
        source = np.pad(source, (0, num_wanted - len(source)))
    if stop <= first:
        return Sound(np.zeros(0, dtype=np.float32), sample_rate_hz)
    resampled = _resampled(source, source_rate_hz, sample_rate_hz)
    offset = first - block * up
    samples = resampled[offset : offset + stop - first]
    return Sound(np.ascontiguousarray(np.clip(samples, -1.0, 1.0)), sample_rate_hz)


@contextmanager
def _reader(path: Path, limits: DecodeLimits) -> Iterator[SoundReader]:
    sniffed = sniff(path)
    if sniffed.medium not in ("audio", "video"):
        raise MediaRejected("unsupported_format", f"{path.name} is {sniffed.format}, not a sound")
    with open_media(path, max_bytes=limits.max_bytes) as file:
        # Of an MP3 that does not state its length libsndfile makes a guess and sticks to it.
        is_exact = sniffed.format in SOUNDFILE_FORMATS and (
            sniffed.format != "mp3" or mp3_states_length(file)
        )
        file.seek(0)
        reader: SoundReader | None = open_with_soundfile(file) if is_exact else None
        if reader is None:
            file.seek(0)
            reader = open_with_av(file, sniffed.format, max_pixels=limits.max_pixels)
        with reader:
            yield reader


def _measured_frames(path: Path, limits: DecodeLimits) -> int:
    format = sniff(path).format
    with (
        open_media(path, max_bytes=limits.max_bytes) as file,
        open_with_av(file, format, max_pixels=limits.max_pixels) as reader,
    ):
        return reader.count_frames()


def _reached(reader: SoundReader, num_frames: int, tail_seconds: float) -> int:
    """Return where the sound really ends; refuse one whose promised end holds nothing."""
    first = max(0, num_frames - max(1, round(tail_seconds * reader.sample_rate_hz)))
    try:
        num_read = sum(len(block) for block in reader.blocks(first, num_frames))
    except MediaRejected as error:
        raise MediaRejected(
            "truncated", f"the end that the header promises cannot be read: {error.message}"
        ) from error
    if num_read == 0:
        raise MediaRejected(
            "truncated",
            f"the header promises {num_frames / reader.sample_rate_hz:.2f} s of sound, the file "
            "ends before",
        )
    return first + num_read


def _mono(reader: SoundReader, first: int, stop: int) -> NDArray[np.float32]:
    """Return the mean of the channels over frames ``[first, stop)``, as many as there are."""
    means = []
    for block in reader.blocks(first, stop):
        mean = block.mean(axis=1, dtype=np.float32)
        if not np.isfinite(mean).all():
            raise MediaRejected("corrupt", "the sound has samples that are not finite numbers")
        means.append(mean)
    return np.concatenate(means) if means else np.zeros(0, dtype=np.float32)


def _resampled(
    samples: NDArray[np.float32], from_rate_hz: int, to_rate_hz: int
) -> NDArray[np.float32]:
    if from_rate_hz == to_rate_hz:
        return samples
    import soxr

    resampled: NDArray[np.float32] = soxr.resample(samples, from_rate_hz, to_rate_hz, quality="HQ")
    return resampled
