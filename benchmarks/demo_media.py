"""The demo's folder: what is copied into it, and what is asked of it.

Pictures and sounds are copied bare, without the captions that lie beside them in their package:
what the answers show was recognised. The texts are lists of the same package's captions by theme;
recordings and videos are made of the same package's sounds, spoken captions and pictures.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import util
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.captioned_media import (
    CaptionedFile,
    caption_of,
    scratch_sounds,
    stamp_pictures,
    stamp_sounds,
)
from benchmarks.demo_recordings import write_recordings
from benchmarks.moment_videos import write_stamp_video
from encoders.media.content import Medium

NUM_PICTURES = 200

VIDEOS: Mapping[str, tuple[str, ...]] = {
    "concert": ("hobbies/music/string/violin.png", "hobbies/music/percussion/drumkit.png",
                "hobbies/music/brass/trumpet.png", "hobbies/music/string/guitar_electric.png"),
    "morning-in-town": ("vehicles/emergency/firetruck.png", "vehicles/auto/sportscar2.png",
                        "vehicles/flight/planes/747.png", "hobbies/camera_35mm.png"),
    "savanna": ("animals/mammals/elephant.png", "animals/mammals/cats/lion.png",
                "animals/mammals/equines/zebra.png", "animals/mammals/giraffe.png"),
    "night-in-the-woods": ("animals/birds/owl.png", "animals/amphibians/frog.png",
                           "animals/mammals/dogs/fox.png", "animals/insects/bee.png"),
    "kitchen-table": ("food/fruit/banana.png", "food/pizza.png", "household/dishes/teapot.png",
                      "food/fruit/strawberry.png"),
}  # fmt: skip
"""For each video of the demo the stamps that it shows, one after the other."""

SAMPLE_RATE_HZ = 16_000


@dataclass(frozen=True, slots=True)
class DemoQuestion:
    """A question that the demo asks, by text or by file."""

    title: str
    """``text -> image``."""

    modality: Medium
    """What is asked for."""

    text: str | None = None

    file: Path | None = None
    """Not among the ingested files."""

    channel: str | None = None
    """The channel to search, where the question is about one."""


@dataclass(frozen=True, slots=True)
class DemoCorpus:
    """The demo's media and questions."""

    folder: Path
    """What to ingest."""

    notice: str
    """What the media are and where they come from, for people."""

    questions: tuple[DemoQuestion, ...]


def package_demo(target: Path, stamps: Path, scratch: Path) -> DemoCorpus:
    """Fill ``target`` from Tux Paint's stamps and Scratch's media.

    Args:
        target: the demo's own folder.
        stamps: the folder of the stamps, with captions.
        scratch: the media folder of Scratch.
    """
    library, asked = target / "library", target / "questions"
    owl = _copy(stamps / "animals/birds/owl.png", asked / "picture-of-a-bird.png")
    laugh = _copy(scratch / "Sounds/Human/Laugh-male2.wav", asked / "sound-of-a-person.wav")
    truck = _copy(stamps / "vehicles/emergency/firetruck.png", asked / "picture-of-a-vehicle.png")
    kept_apart = {"owl.png", "Laugh-male2.wav", "firetruck.png"}
    pictures = [
        each
        for each in spread(_distinct(stamp_pictures(stamps)), NUM_PICTURES)
        if each.path.name not in kept_apart
    ]
    for each in pictures:
        _copy(each.path, library / "pictures" / each.group / each.path.name)
    sounds = [each for each in stamp_sounds(stamps) if not each.is_symbol]
    for each in sounds:
        _copy(each.path, library / "sounds/stamps" / each.group / each.path.name)
    effects = [
        each for each in scratch_sounds(scratch / "Sounds") if each.path.name not in kept_apart
    ]
    for each in effects:
        _copy(each.path, library / "sounds/scratch" / each.group / each.path.name)
    num_texts = _write_themes(stamps, library / "texts")
    recordings = write_recordings(stamps, library / "recordings")
    videos = _write_videos(stamps, library / "videos")
    notice = (
        f"{len(pictures)} pictures, {len(sounds) + len(effects)} sounds and {num_texts} texts from "
        "Debian's tuxpaint-stamps-default and scratch packages. Pictures and sounds come without "
        f"their captions; the texts list captions by theme. {len(recordings)} recordings are "
        f"spliced from sounds and spoken captions, {len(videos)} videos from pictures and sounds."
    )
    questions = (
        DemoQuestion("text -> image", "image", text="a penguin"),
        DemoQuestion("text -> image", "image", text="a guitar"),
        DemoQuestion("text -> sound", "audio", text="a rooster crowing on the farm"),
        DemoQuestion("text -> sound", "audio", text="a cat meowing"),
        DemoQuestion("text -> speech", "audio", text="an elephant", channel="speech"),
        DemoQuestion("text -> speech", "audio", text="a penguin", channel="speech"),
        DemoQuestion("text -> video", "video", text="a violin", channel="frames"),
        DemoQuestion("text -> video", "video", text="a fire engine", channel="frames"),
        DemoQuestion("text -> text", "text", text="planets and rockets"),
        DemoQuestion("image -> image", "image", file=truck),
        DemoQuestion("image -> video", "video", file=owl, channel="frames"),
        DemoQuestion("sound -> sound", "audio", file=laugh),
        DemoQuestion("image -> text", "text", file=owl),
    )
    return DemoCorpus(library, notice, questions)


def spread(files: list[CaptionedFile], num_files: int) -> list[CaptionedFile]:
    """Return ``num_files`` of ``files`` taken in turn from every top folder, in order of path."""
    by_folder: dict[str, list[CaptionedFile]] = defaultdict(list)
    for each in files:
        by_folder[each.group.partition("/")[0]].append(each)
    # Within a folder evenly over its length, so that not all animals are birds; between folders
    # smallest share first, so that small folders are not crowded out.
    ordered = sorted(
        ((position + 0.5) / len(folder), name, each)
        for name, folder in by_folder.items()
        for position, each in _interleaved(folder)
    )
    chosen = [each for _, _, each in ordered[:num_files]]
    return sorted(chosen, key=lambda each: each.path)


def bundled_demo(target: Path, reason: str) -> DemoCorpus:
    """Fill ``target`` with what installed Python packages bring and with generated sounds.

    Args:
        target: the demo's own folder.
        reason: why there is nothing better, for the notice.
    """
    library, asked = target / "library", target / "questions"
    pictures = _bundled_pictures()
    for package, path in pictures:
        _copy(path, library / "pictures" / package / path.name)
    asked_picture = _copy(pictures[-1][1], asked / f"picture{pictures[-1][1].suffix}")
    sounds = _generated_sounds()
    for name, samples in sounds.items():
        _write_sound(library / "sounds" / f"{name}.wav", samples)
    hum = _write_sound(asked / "sound.wav", _tone(220.0) * 0.5)
    texts = _bundled_texts()
    for path in texts:
        _copy(path, library / "texts" / f"{path.stem}.txt")
    _write_video(library / "videos" / "slides.mp4", [path for _, path in pictures[:4]], 5)
    notice = (
        f"No Debian packages here ({reason}). The demo makes do with {len(pictures)} pictures and "
        f"{len(texts)} texts that come with Python packages, {len(sounds)} generated sounds and a "
        "video of some of the pictures. Nobody speaks in any of them."
    )
    questions = (
        DemoQuestion("text -> image", "image", text="a flower"),
        DemoQuestion("text -> sound", "audio", text="hissing noise"),
        DemoQuestion("text -> video", "video", text="a flower", channel="frames"),
        DemoQuestion("text -> text", "text", text="flowers measured by botanists"),
        DemoQuestion("image -> image", "image", file=asked_picture),
        DemoQuestion("sound -> sound", "audio", file=hum),
        DemoQuestion("image -> text", "text", file=asked_picture),
    )
    return DemoCorpus(library, notice, questions)


def _distinct(files: list[CaptionedFile]) -> list[CaptionedFile]:
    """Return the first file of each caption; letters, coins and other symbols are left out."""
    first = {each.caption: each for each in reversed(files) if not each.group.startswith("symbols")}
    return sorted(first.values(), key=lambda each: each.path)


def _interleaved(folder: list[CaptionedFile]) -> list[tuple[int, CaptionedFile]]:
    """Return ``folder`` with turn numbers that visit its whole length before filling gaps."""
    # Steps of the golden ratio cover a range evenly however early one stops.
    order = np.argsort(np.arange(len(folder)) * 0.618034 % 1)
    return [(int(turn), each) for turn, each in zip(np.argsort(order), folder, strict=True)]


def _write_themes(stamps: Path, folder: Path) -> int:
    """Write one Markdown list of captions for each folder of stamps; return how many."""
    themes: dict[Path, list[str]] = defaultdict(list)
    for described in sorted(stamps.rglob("*.txt")):
        theme = described.parent.relative_to(stamps)
        caption = caption_of(described)
        if caption and theme.parts[0] != "symbols" and caption not in themes[theme]:
            themes[theme].append(caption)
    for theme, captions in themes.items():
        path = folder / theme.parent / f"{theme.name}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [f"# {' / '.join(theme.parts)}", "", *(f"- {caption}" for caption in captions)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(themes)


def _write_videos(stamps: Path, folder: Path) -> list[Path]:
    """Write a short video for each list of `VIDEOS` and return their paths."""
    return [
        _write_video(folder / f"{name}.mp4", [stamps / each for each in shown], seed)
        for seed, (name, shown) in enumerate(VIDEOS.items())
    ]


def _write_video(path: Path, pictures: list[Path], seed: int) -> Path:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}")
        write_stamp_video(partial, pictures, np.random.default_rng(seed))
        partial.rename(path)
    return path


def _bundled_pictures() -> list[tuple[str, Path]]:
    """Return the pictures of scikit-learn, which sentence-transformers needs, and scikit-image."""
    found = [("sklearn", path) for path in _data_files("sklearn", "datasets/images", ".jpg")]
    for suffix in (".png", ".jpg"):
        found += [("skimage", path) for path in _data_files("skimage", "data", suffix)]
    return found


def _bundled_texts() -> list[Path]:
    return _data_files("sklearn", "datasets/descr", ".rst")


def _data_files(package: str, folder: str, suffix: str) -> list[Path]:
    spec = util.find_spec(package)
    if spec is None or spec.origin is None:
        return []
    return sorted((Path(spec.origin).parent / folder).glob(f"*{suffix}"))


def _generated_sounds() -> dict[str, NDArray[np.float32]]:
    generator = np.random.default_rng(7)
    seconds = np.arange(4 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    beats = (seconds * 2 % 1 < 0.05).astype(np.float32)
    noise = generator.normal(0, 0.2, len(seconds)).astype(np.float32)
    sounds = {f"tone-{pitch}-hz": _tone(float(pitch)) for pitch in (110, 220, 440, 880, 1760)}
    sounds["noise"] = noise
    sounds["ticking"] = beats * noise * 4
    sweep = 0.4 * np.sin(2 * np.pi * (200 + 300 * seconds) * seconds)
    sounds["siren-sweep"] = sweep.astype(np.float32)
    return sounds


def _tone(pitch_hz: float) -> NDArray[np.float32]:
    seconds = np.arange(4 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    overtones = (np.sin(2 * np.pi * pitch_hz * n * seconds) / n for n in (1, 2, 3))
    return np.asarray(0.3 * sum(overtones), dtype=np.float32)


def _write_sound(path: Path, samples: NDArray[np.float32]) -> Path:
    import soundfile

    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.clip(samples, -1, 1), SAMPLE_RATE_HZ, subtype="PCM_16")
    return path


def _copy(source: Path, target: Path) -> Path:
    # A size that differs is a copy that was interrupted.
    if not target.exists() or target.stat().st_size != source.stat().st_size:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    return target
