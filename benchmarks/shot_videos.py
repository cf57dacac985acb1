"""Videos whose cuts are known: Tux Paint's stamps on moving grounds, joined in many ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
Ground = Literal["plain", "gradient", "wallpaper", "clouds", "white"]
Joint = Literal["cut", "dissolve", "fade"]

JOINT_SECONDS = 0.6
CANVAS_FACTOR = 1.6
"""How much larger than the frame the scene is through which the camera moves."""


@dataclass(frozen=True, slots=True)
class ShotVideo:
    """How one video is made."""

    name: str
    codec: str = "libx264"
    container: str = "mp4"
    width_px: int = 320
    height_px: int = 180
    frames_per_second: Fraction = Fraction(25)
    num_shots: int = 8
    shot_seconds: tuple[float, float] = (1.2, 4.0)
    grounds: tuple[Ground, ...] = ("plain", "gradient", "wallpaper", "clouds")
    camera: float = 0.6
    """How much of its freedom the camera uses in a shot: 0 stands still."""

    stamp_motion: float = 0.0
    """How far, in frame widths, the stamps move within a shot."""

    noise: float = 0.0
    """Standard deviation of the grain, of 255."""

    shake: float = 0.0
    """Standard deviation, in frame widths, of what the camera jumps from frame to frame."""

    flicker: float = 0.0
    """How much, of 1, the light goes up and down nine times a second."""

    joint: Joint = "cut"
    flashes: bool = False
    """One or two white frames in the middle of every other shot."""

    letterbox: bool = False
    variable_rate: bool = False
    """Frames are left out at random, and half a second now and then."""


VIDEOS: tuple[ShotVideo, ...] = (
    ShotVideo("plain cuts", camera=0.0),
    ShotVideo("pan and zoom"),
    ShotVideo("fast pan", camera=1.0, shot_seconds=(0.8, 1.6), num_shots=12),
    ShotVideo("moving stamps", camera=0.2, stamp_motion=0.8),
    ShotVideo("grain", noise=14.0),
    ShotVideo("one wallpaper", grounds=("wallpaper",)),
    ShotVideo("stamps on white", grounds=("white",), camera=0.0),
    ShotVideo("stamps on white, moving", grounds=("white",), camera=0.5, stamp_motion=0.3),
    ShotVideo("slides", camera=0.0, shot_seconds=(4.0, 9.0), num_shots=5),
    ShotVideo("flashes", flashes=True, shot_seconds=(2.0, 4.0)),
    ShotVideo("letterbox", letterbox=True),
    ShotVideo("shaky", shake=0.03),
    ShotVideo("flicker", flicker=0.3, camera=0.3),
    ShotVideo("24 film", frames_per_second=Fraction(24000, 1001), noise=6.0),
    ShotVideo("30 vp9", codec="libvpx-vp9", container="webm", frames_per_second=Fraction(30)),
    ShotVideo("60 h264", frames_per_second=Fraction(60), camera=1.0),
    ShotVideo("160p mpeg4", codec="mpeg4", container="avi", width_px=214, height_px=160),
    ShotVideo("720p", width_px=1280, height_px=720, num_shots=6, frames_per_second=Fraction(24)),
    ShotVideo("variable rate", variable_rate=True, container="matroska"),
    ShotVideo("variable 60", variable_rate=True, frames_per_second=Fraction(60), noise=6.0),
    ShotVideo("fades", joint="fade", camera=0.3),
    ShotVideo("dissolves", joint="dissolve", camera=0.2),
)


@dataclass(frozen=True, slots=True)
class KnownCut:
    """Where one shot gives way to the next."""

    start_seconds: float
    """First instant at which the new shot can be seen."""

    stop_seconds: float
    """First instant at which nothing else can be seen; the same as the start for a hard cut."""


def write_shot_video(
    path: Path,
    video: ShotVideo,
    stamps: Sequence[Path],
    *,
    seed: int,
    bit_rate: int | None = None,
) -> list[KnownCut]:
    """Write a video and return its cuts.

    Args:
        path: the file.
        video: how it is made.
        stamps: pictures with an alpha channel; two are drawn for each shot.
        seed: of everything that is drawn by lot.
        bit_rate: bits per second; by default what a fair quality takes.
    """
    generator = np.random.default_rng(seed)
    scenes = [_scene(video, stamps, generator) for _ in range(video.num_shots)]
    lengths = generator.uniform(*video.shot_seconds, size=video.num_shots)
    rate = video.frames_per_second
    # Cuts fall on frames.
    stops = [round(stop * rate) / rate for stop in np.cumsum(lengths)]
    half = Fraction(JOINT_SECONDS / 2) if video.joint != "cut" else Fraction(0)
    frames = _frames(video, scenes, stops, half, generator)
    if video.variable_rate:
        frames = _left_out(frames, generator)
    _write(path, video, frames, bit_rate)
    return [KnownCut(float(stop - half), float(stop + half)) for stop in stops[:-1]]


Scene = Callable[[float], Pixels]


def _scene(video: ShotVideo, stamps: Sequence[Path], generator: np.random.Generator) -> Scene:
    """Return what gives ``(height, width, 3)`` at 0 (start of the shot) to 1 (its end)."""
    width, height = video.width_px, video.height_px
    size = round(width * CANVAS_FACTOR), round(height * CANVAS_FACTOR)
    ground = _ground(video.grounds[generator.integers(len(video.grounds))], *size, generator)
    pasted = []
    for index in generator.choice(len(stamps), 2, replace=False):
        stamp = Image.open(stamps[index]).convert("RGBA")
        side = round(height * generator.uniform(0.4, 0.8))
        stamp.thumbnail((side, side))
        place = generator.uniform(0.15, 0.6, 2) * size
        pasted.append((stamp, place, generator.normal(0, 1, 2) * video.stamp_motion * width / 2))
    still = None if video.stamp_motion else _with_stamps(ground, pasted, 0.0)
    # The camera goes from one box of the canvas to another.
    boxes = [_box(size, width, height, video.camera, generator) for _ in range(2)]

    def at(progress: float) -> Pixels:
        canvas = still or _with_stamps(ground, pasted, progress)
        jump = np.tile(generator.normal(0, 1, 2) * video.shake * width, 2)
        box = boxes[0] + progress * (boxes[1] - boxes[0]) + jump
        left, top, right, bottom = np.clip(box, 0, [*size, *size])
        view = canvas.resize(
            (width, height), Image.Resampling.BILINEAR, box=(left, top, right, bottom)
        )
        pixels = np.array(view)
        if video.letterbox:
            bar = height // 8
            pixels[:bar] = pixels[-bar:] = 0
        return pixels

    return at


def _box(
    size: tuple[int, int], width: int, height: int, camera: float, generator: np.random.Generator
) -> NDArray[np.float64]:
    zoom = 1 + camera * generator.uniform(-0.25, 0.5)
    box_width, box_height = width * zoom, height * zoom
    free = np.array([size[0] - box_width, size[1] - box_height])
    left, top = free * (0.5 + camera * generator.uniform(-0.5, 0.5, 2))
    return np.array([left, top, left + box_width, top + box_height])


def _with_stamps(
    ground: Image.Image,
    pasted: Sequence[tuple[Image.Image, NDArray[Any], NDArray[Any]]],
    progress: float,
) -> Image.Image:
    canvas = ground.copy()
    for stamp, place, motion in pasted:
        left, top = place + progress * motion
        canvas.paste(stamp, (round(left), round(top)), stamp)
    return canvas


def _ground(kind: Ground, width: int, height: int, generator: np.random.Generator) -> Image.Image:
    if kind == "white":
        return Image.new("RGB", (width, height), (255, 255, 255))
    first, second = generator.integers(30, 226, (2, 3))
    if kind == "plain":
        return Image.new("RGB", (width, height), tuple(int(level) for level in first))
    if kind == "gradient":
        blend = np.linspace(0, 1, width)[np.newaxis, :, np.newaxis]
    elif kind == "wallpaper":
        down, across = np.mgrid[:height, :width]
        tile = height / generator.uniform(4, 12)
        waves = np.sin(2 * np.pi * across / tile) * np.sin(2 * np.pi * down / tile)
        blend = (0.5 + 0.5 * np.sign(waves))[..., np.newaxis]
    else:
        coarse = generator.uniform(0, 255, (6, 9)).astype(np.uint8)
        clouds = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        blend = np.asarray(clouds)[..., np.newaxis] / 255
    pixels = first + blend * (second - first) + np.zeros((height, width, 1))
    return Image.fromarray(pixels.astype(np.uint8))


def _frames(
    video: ShotVideo,
    scenes: Sequence[Scene],
    stops: Sequence[Fraction],
    half: Fraction,
    generator: np.random.Generator,
) -> Iterator[tuple[int, Pixels]]:
    """Yield the number of each frame and its pixels."""
    starts = [Fraction(0), *stops[:-1]]
    for number in range(int(stops[-1] * video.frames_per_second)):
        at = number / video.frames_per_second
        shot = next(index for index, stop in enumerate(stops) if at < stop)
        start, stop = starts[shot], stops[shot]
        pixels = scenes[shot](float((at - start) / (stop - start)))
        if shot + 1 < len(scenes) and stop - at < half:
            share = float((half - (stop - at)) / (2 * half))
            pixels = _joined(video.joint, pixels, scenes[shot + 1](0.0), share)
        elif shot > 0 and at - start < half:
            share = float((half + (at - start)) / (2 * half))
            pixels = _joined(video.joint, scenes[shot - 1](1.0), pixels, share)
        if video.flashes and shot % 2 and 0 <= at - (start + stop) / 2 < Fraction(2, 25):
            pixels = np.full_like(pixels, 250)
        if video.flicker:
            light = 1 - video.flicker * (0.5 + 0.5 * np.sin(2 * np.pi * 9 * float(at)))
            pixels = (pixels * light).astype(np.uint8)
        if video.noise:
            grain = generator.normal(0, video.noise, pixels.shape)
            pixels = np.clip(pixels + grain, 0, 255).astype(np.uint8)
        yield number, pixels


def _joined(joint: Joint, before: Pixels, after: Pixels, share: float) -> Pixels:
    """Return a frame in the middle of a dissolve, or of a fade through black."""
    if joint == "fade":
        level = abs(2 * share - 1)
        return ((before if share < 0.5 else after) * level).astype(np.uint8)
    return ((1 - share) * before + share * after).astype(np.uint8)


def _left_out(
    frames: Iterator[tuple[int, Pixels]], generator: np.random.Generator
) -> Iterator[tuple[int, Pixels]]:
    """Leave out frames at random, but never two in a row."""
    left_out = False
    for number, pixels in frames:
        left_out = not left_out and number > 0 and generator.uniform() < 0.4
        if not left_out:
            yield number, pixels


def _write(
    path: Path, video: ShotVideo, frames: Iterator[tuple[int, Pixels]], bit_rate: int | None
) -> None:
    options = {
        "libx264": {"preset": "veryfast", "crf": "26"},
        "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "b": "400k"},
    }.get(video.codec, {"qscale": "5"})
    if bit_rate is not None:
        options = {name: value for name, value in options.items() if name not in ("crf", "b")}
    with av.open(str(path), "w", format=video.container) as container:
        stream = container.add_stream(video.codec, rate=video.frames_per_second, options=options)
        if not isinstance(stream, av.VideoStream):
            raise TypeError(f"{video.codec} is no video codec, it made a {stream.type} stream")
        stream.width, stream.height, stream.pix_fmt = video.width_px, video.height_px, "yuv420p"
        stream.codec_context.time_base = 1 / video.frames_per_second
        if bit_rate is not None:
            stream.bit_rate = bit_rate
        for number, pixels in frames:
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, 1 / video.frames_per_second
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
