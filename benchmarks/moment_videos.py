"""Videos made of Tux Paint's stamps, so that it is known what can be seen and heard when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from PIL import Image

SHOT_SECONDS = 4
SHOTS_PER_VIDEO = 4
FRAMES_PER_SECOND = 12
WIDTH_PX, HEIGHT_PX = 426, 240
SAMPLE_RATE_HZ = 44_100
STAMP_SHARE = 0.75
"""Of the height of the frame, at the start of the shot."""

ZOOM = 1.25
"""How much larger a stamp has become at the end of its shot."""

CONCEPTS: Mapping[str, str] = {
    "animals/birds/penguin.png": "a penguin",
    "animals/birds/owl.png": "an owl",
    "animals/mammals/equines/zebra.png": "a zebra",
    "animals/mammals/cats/lion.png": "a lion",
    "animals/mammals/elephant.png": "an elephant",
    "animals/mammals/bovines/sheep.png": "a sheep",
    "animals/mammals/aquatic/whale.png": "a whale",
    "animals/insects/bee.png": "a bee",
    "animals/amphibians/frog.png": "a frog",
    "hobbies/music/string/guitar_electric.png": "an electric guitar",
    "hobbies/music/string/violin.png": "a violin",
    "hobbies/music/percussion/drumkit.png": "a drum kit",
    "hobbies/music/brass/trumpet.png": "a trumpet",
    "hobbies/camera_35mm.png": "a camera",
    "household/dishes/teapot.png": "a teapot",
    "seasonal/candle.png": "a candle",
    "food/fruit/banana.png": "a banana",
    "food/fruit/strawberry.png": "strawberries",
    "food/fruit/pineapple.png": "a pineapple",
    "food/fruit/orange.png": "an orange",
    "food/pizza.png": "a pizza",
    "vehicles/emergency/firetruck.png": "a fire truck",
    "vehicles/flight/planes/747.png": "an airplane",
    "vehicles/auto/sportscar2.png": "a sports car",
}
"""What is asked for each of some stamps: things that the image model has a class for."""


@dataclass(frozen=True, slots=True)
class KnownMoment:
    """A question, and where its answer is."""

    question: str
    video: Path
    start_seconds: float
    stop_seconds: float


def write_moment_videos(folder: Path, stamps: Path, *, seed: int) -> list[KnownMoment]:
    """Write a video for each concept, its shot among shots of other things.

    Args:
        folder: where the videos go.
        stamps: the folder ``stamps`` of the package.
        seed: of places, grounds and the other things.
    """
    generator = np.random.default_rng(seed)
    named = {stamps / name for name in CONCEPTS}
    others = [path for path in sorted(stamps.rglob("*.png")) if path not in named]
    order = iter(generator.permutation(len(others)))
    moments = []
    for number, (name, question) in enumerate(CONCEPTS.items()):
        place = int(generator.integers(SHOTS_PER_VIDEO))
        shots = [others[next(order)] for _ in range(SHOTS_PER_VIDEO)]
        shots[place] = stamps / name
        path = folder / f"video-{number:02d}.mp4"
        write_stamp_video(path, shots, generator)
        start = float(place * SHOT_SECONDS)
        moments.append(KnownMoment(question, path, start, start + SHOT_SECONDS))
    return moments


def write_stamp_video(path: Path, stamps: Sequence[Path], generator: np.random.Generator) -> None:
    """Write a video that shows each stamp for `SHOT_SECONDS`, with the sound that it makes.

    Args:
        path: the file.
        stamps: pictures with an alpha channel.
        generator: draws the colour of the grounds.
    """
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("libx264", rate=FRAMES_PER_SECOND)
        pictures.width, pictures.height, pictures.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        sounds = container.add_stream("aac", rate=SAMPLE_RATE_HZ)
        sounds.layout = "mono"
        samples = np.concatenate([_sound_of(stamp) for stamp in stamps])
        block = 1024
        for first in range(0, len(samples) - block + 1, block):
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(samples[np.newaxis, first : first + block]), "fltp", "mono"
            )
            frame.sample_rate, frame.pts = SAMPLE_RATE_HZ, first
            frame.time_base = Fraction(1, SAMPLE_RATE_HZ)
            container.mux(sounds.encode(frame))
        container.mux(sounds.encode(None))
        for stamp in stamps:
            for pixels in _frames_of(stamp, generator):
                container.mux(pictures.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        container.mux(pictures.encode(None))


def _frames_of(path: Path, generator: np.random.Generator) -> list[NDArray[np.uint8]]:
    """Return the frames of a shot: the stamp slowly comes nearer on an even ground."""
    stamp = Image.open(path).convert("RGBA")
    ground = tuple(int(level) for level in generator.integers(100, 256, 3))
    fit = min(HEIGHT_PX / stamp.height, WIDTH_PX / stamp.width) * STAMP_SHARE
    frames = []
    for progress in np.linspace(0, 1, SHOT_SECONDS * FRAMES_PER_SECOND):
        scale = fit * (1 + progress * (ZOOM - 1))
        size = max(1, round(stamp.width * scale)), max(1, round(stamp.height * scale))
        sized = stamp.resize(size, Image.Resampling.BILINEAR)
        frame = Image.new("RGB", (WIDTH_PX, HEIGHT_PX), ground)
        frame.paste(sized, ((WIDTH_PX - size[0]) // 2, (HEIGHT_PX - size[1]) // 2), sized)
        frames.append(np.asarray(frame))
    return frames


def _sound_of(stamp: Path) -> NDArray[np.float32]:
    """Return the sound that a stamp makes, over and over for the length of a shot, or silence."""
    num_samples = SHOT_SECONDS * SAMPLE_RATE_HZ
    for suffix in (".ogg", ".wav"):
        path = stamp.with_suffix(suffix)
        if path.is_file():
            samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
            mono = soxr.resample(samples.mean(axis=1), rate, SAMPLE_RATE_HZ)
            return np.resize(mono, num_samples).astype(np.float32)
    return np.zeros(num_samples, dtype=np.float32)
