"""Media made on the spot: tests carry no binary files."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import soundfile
from numpy.typing import NDArray
from PIL import Image

Samples = NDArray[np.float32]


def sine(
    frequency_hz: float = 440.0,
    *,
    seconds: float = 1.0,
    sample_rate_hz: int = 16_000,
    amplitude: float = 0.5,
) -> Samples:
    """Return ``(num_samples,)`` of a pure tone."""
    times = np.arange(round(seconds * sample_rate_hz)) / sample_rate_hz
    return (amplitude * np.sin(2 * np.pi * frequency_hz * times)).astype(np.float32)


def noise(*, seconds: float = 1.0, sample_rate_hz: int = 16_000, seed: int = 0) -> Samples:
    """Return ``(num_samples,)`` of white noise, the same for the same seed."""
    generator = np.random.default_rng(seed)
    return (0.2 * generator.standard_normal(round(seconds * sample_rate_hz))).astype(np.float32)


def chord(*, seconds: float = 1.0, sample_rate_hz: int = 16_000) -> Samples:
    """Return a few tones over a little noise: something every codec keeps."""
    tones = [
        sine(hz, seconds=seconds, sample_rate_hz=sample_rate_hz, amplitude=0.15)
        for hz in (220.0, 330.0, 495.0)
    ]
    hiss = noise(seconds=seconds, sample_rate_hz=sample_rate_hz)
    return (sum(tones) + 0.05 * hiss).astype(np.float32)


def write_sound(
    path: Path,
    samples: Samples,
    sample_rate_hz: int,
    *,
    format: str | None = None,
    subtype: str | None = None,
) -> Path:
    """Write ``(num_samples,)`` or ``(num_samples, num_channels)`` in a format of libsndfile.

    Args:
        path: its name decides the format unless ``format`` is given.
        samples: in [-1, 1].
        sample_rate_hz: of the samples.
        format: ``WAV``, ``FLAC``, ``MP3``, ``OGG``.
        subtype: such as ``PCM_16``, ``FLOAT``, ``VORBIS``, ``OPUS``.
    """
    soundfile.write(path, samples, sample_rate_hz, format=format, subtype=subtype)
    return path


def write_m4a(path: Path, samples: Samples, sample_rate_hz: int) -> Path:
    """Write mono AAC in MP4, without the random noise that AAC can ask the decoder for."""
    with av.open(str(path), "w", format="ipod") as container:
        stream = container.add_stream("aac", rate=sample_rate_hz, options={"aac_pns": "0"})
        stream.layout = "mono"
        frame_size = 1024
        for first in range(0, len(samples), frame_size):
            block = samples[np.newaxis, first : first + frame_size]
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(block), format="fltp", layout="mono"
            )
            frame.sample_rate, frame.pts = sample_rate_hz, first
            frame.time_base = Fraction(1, sample_rate_hz)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_mp3_without_length(path: Path, samples: Samples, sample_rate_hz: int) -> Path:
    """Write a mono MP3 whose first frame does not say how many follow."""
    with av.open(str(path), "w", format="mp3", options={"write_xing": "0"}) as container:
        stream = container.add_stream("libmp3lame", rate=sample_rate_hz)
        stream.layout = "mono"
        for first in range(0, len(samples), 1152):
            block = np.zeros((1, 1152), dtype=np.float32)
            chunk = samples[first : first + 1152]
            block[0, : len(chunk)] = chunk
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = sample_rate_hz, first
            frame.time_base = Fraction(1, sample_rate_hz)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_silent_flac(path: Path, seconds: float, sample_rate_hz: int = 16_000) -> Path:
    """Write hours of silence without holding them."""
    block = np.zeros(600 * sample_rate_hz, dtype=np.int16)
    num_left = round(seconds * sample_rate_hz)
    with soundfile.SoundFile(path, "w", sample_rate_hz, 1, format="FLAC") as file:
        while num_left > 0:
            file.write(block[:num_left])
            num_left -= len(block)
    return path


def video_bytes(format: str = "mp4", *, num_frames: int = 5) -> bytes:
    """Return a film of moving colour: ``mp4``, ``mov``, ``webm``, ``matroska`` or ``avi``."""
    file = io.BytesIO()
    codec = "libvpx" if format == "webm" else "mpeg4"
    with av.open(file, "w", format=format) as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(num_frames):
            pixels = np.roll(gradient(64, 48), 8 * index, axis=1)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def write_video(
    path: Path,
    pictures: Sequence[NDArray[np.uint8]],
    *,
    format: str = "mp4",
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    times_seconds: Sequence[float] | None = None,
    frames_per_second: int = 10,
    turned_degrees: int = 0,
    aspect: Fraction | None = None,
    key_frame_every: int = 250,
    sound: Samples | None = None,
    sound_codec: str = "aac",
    sound_rate_hz: int = 48_000,
    sound_start_seconds: float = 0.0,
    muxer_options: dict[str, str] | None = None,
) -> Path:
    """Write pictures, and mono sound beside them if there is any.

    Args:
        path: the file.
        pictures: ``(height, width, 3)`` RGB each, or ``(height, width, 4)`` with transparency.
        format: FFmpeg's name of the container: ``mp4``, ``mov``, ``matroska``, ``webm``, ``avi``,
            ``ogg``.
        codec: FFmpeg's name of the video encoder.
        pixel_format: in which the encoder takes the pictures.
        times_seconds: when each picture is shown, in milliseconds at the finest; by default they
            follow each other evenly.
        frames_per_second: how evenly.
        turned_degrees: counterclockwise turn with which players show the pictures.
        aspect: width of a pixel over its height.
        key_frame_every: pictures between two from which decoding can start.
        sound: ``(num_samples,)``.
        sound_codec: FFmpeg's name of the sound encoder.
        sound_rate_hz: samples per second.
        sound_start_seconds: when the sound begins.
        muxer_options: FFmpeg's options of the container.
    """
    height, width = pictures[0].shape[:2]
    time_base = Fraction(1, frames_per_second) if times_seconds is None else Fraction(1, 1000)
    with av.open(str(path), "w", format=format, options=muxer_options) as container:
        stream = container.add_stream(codec, rate=frames_per_second)
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        stream.codec_context.gop_size = key_frame_every
        stream.codec_context.time_base = time_base
        if turned_degrees:
            stream.set_display_rotation(turned_degrees)
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        packets = []
        if sound is not None:
            sound_stream = container.add_stream(sound_codec, rate=sound_rate_hz)
            sound_stream.layout = "mono"
            if sound_codec == "aac":
                sound_stream.codec_context.options = {"aac_pns": "0"}
            start = round(sound_start_seconds * sound_rate_hz)
            packets += _encoded_sound(sound_stream, sound, sound_rate_hz, start)
        for number, pixels in enumerate(pictures):
            rgb = "rgba" if pixels.shape[2] == 4 else "rgb24"
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=rgb)
            tick = number if times_seconds is None else round(1000 * times_seconds[number])
            frame.pts, frame.time_base = tick, time_base
            packets += stream.encode(frame)
        packets += stream.encode(None)
        for packet in sorted(packets, key=lambda each: (each.dts or 0) * each.time_base):
            container.mux(packet)
    return path


def _encoded_sound(
    stream: av.AudioStream, samples: Samples, sample_rate_hz: int, start: int
) -> list[av.Packet]:
    """Return the packets of mono sound that begins with sample number ``start``."""
    packets = []
    block_samples = 960 if stream.name == "libopus" else 1024
    for first in range(0, len(samples), block_samples):
        block = samples[np.newaxis, first : first + block_samples]
        format = stream.codec_context.format.name
        if format.startswith("s16"):
            block = (block * 32_767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(block), format=format, layout="mono"
        )
        frame.sample_rate, frame.pts = sample_rate_hz, start + first
        frame.time_base = Fraction(1, sample_rate_hz)
        packets += stream.encode(frame)
    return [*packets, *stream.encode(None)]


def remuxed(source: Path, path: Path, format: str) -> Path:
    """Copy the sound of a file, as it is encoded, into another container."""
    with av.open(str(source)) as container, av.open(str(path), "w", format=format) as target:
        stream = target.add_stream_from_template(container.streams.audio[0])
        for packet in container.demux(container.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    return path


def scene(number: int, width_px: int = 64, height_px: int = 48) -> NDArray[np.uint8]:
    """Return ``(height, width, 3)`` of a picture that looks like no other number's."""
    generator = np.random.default_rng(number)
    coarse = Image.fromarray(generator.integers(0, 256, (4, 5, 3), dtype=np.uint8))
    return np.asarray(coarse.resize((width_px, height_px), Image.Resampling.BICUBIC))


def gradient(width_px: int, height_px: int, *, seed: int = 0) -> NDArray[np.uint8]:
    """Return ``(height, width, 3)`` RGB: red to the right, green downwards, blue by ``seed``."""
    across = np.linspace(0, 255, width_px).astype(np.uint8)
    down = np.linspace(0, 255, height_px).astype(np.uint8)
    pixels = np.empty((height_px, width_px, 3), dtype=np.uint8)
    pixels[..., 0] = across[np.newaxis, :]
    pixels[..., 1] = down[:, np.newaxis]
    pixels[..., 2] = (seed * 37) % 256
    return pixels


def picture_of_mode(mode: str, width_px: int, height_px: int, *, seed: int = 0) -> Image.Image:
    """Return a gradient in one of Pillow's modes."""
    pixels = gradient(width_px, height_px, seed=seed)
    if mode == "I;16":
        return Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    if mode == "I":
        return Image.fromarray(pixels[..., 0].astype(np.int32) * 257)
    if mode == "F":
        return Image.fromarray(pixels[..., 0].astype(np.float32) / 255)
    image = Image.fromarray(pixels)
    if mode in ("RGBA", "LA", "PA"):
        alpha = Image.fromarray(np.ascontiguousarray(pixels[..., 1]))
        image.putalpha(alpha)
    if mode == "LAB":
        return Image.merge("LAB", image.split())
    if mode in ("PA", "RGBa", "La"):
        return image.convert({"PA": "LA", "RGBa": "RGBA", "La": "LA"}[mode]).convert(mode)
    return image.convert(mode)


def write_one_bit_png(path: Path, width_px: int, height_px: int) -> Path:
    """Write a huge white picture in a few kilobytes, without holding its pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    row = b"\0" + b"\xff" * ((width_px + 7) // 8)
    deflate = zlib.compressobj(9)
    data = b"".join(deflate.compress(row) for _ in range(height_px)) + deflate.flush()
    header = struct.pack(">IIBBBBB", width_px, height_px, 1, 0, 0, 0, 0)
    signature = b"\x89PNG\r\n\x1a\n"
    path.write_bytes(
        signature + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )
    return path
