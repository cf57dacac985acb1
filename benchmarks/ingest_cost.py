"""What an ingest takes beyond bare decoding and bare encoding.

    python -m benchmarks.ingest_cost

Ingests generated corpora (Tux Paint's stamps, 10 s sounds, short texts, 12-megapixel photos) into
an empty data folder and compares processor time (decoder processes included) and wall time with
decoding the same files in this process and encoding what came out, in the same batches. All three
are run in turns. What every run takes once (starting a decoder process, a new catalog) is measured
on a few files and taken off; it is reported apart.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks.corpora import captioned_pictures
from benchmarks.http import WORDS
from benchmarks.report import environment, table, write_json
from encoders.config import PassageSegments, WindowSegments
from encoders.loading import EncoderLoader
from encoders.media.audio_decoder import decode_sound, sound_info
from encoders.media.content import Sound
from encoders.media.decode_limits import DecodeLimits
from encoders.media.image_decoder import decode_picture
from encoders.media.passages import passages
from encoders.media.segmentation import window_ranges
from encoders.media.text_reader import read_document
from encoders.models.folder import ModelFolder
from indexer.catalog.catalog import Catalog
from indexer.config import CollectionConfig, load_collection
from indexer.data_dir import DataDir
from indexer.outcomes import IngestSummary
from indexer.pipeline import ingest
from indexer.runners.local import BATCH_SIZE

LIMITS = DecodeLimits()
NUM_START_FILES = 2
"""Files of the run that shows what starting takes."""

SOUND_RATE_HZ = 44_100
PHOTO_SIZE_PX = (4000, 3000)


@dataclass(frozen=True, slots=True)
class Corpus:
    """Files of one kind and how they are taken in."""

    name: str
    channels: tuple[str, ...]
    """Of the starter collection."""

    num_files: int
    write: Callable[[Path, int], None]
    """Writes so many files into a folder."""

    decode: Callable[[Path, CollectionConfig], list[Any]]
    """Decodes and cuts one file as an ingest does."""


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds of processor time, of this process and its children, and of wall time."""

    cpu: float
    wall: float


def spent_on(action: Callable[[], object]) -> Spent:
    """Return what ``action`` took; children count once they have ended."""
    cpu, wall = _cpu_seconds(), time.perf_counter()
    action()
    return Spent(_cpu_seconds() - cpu, time.perf_counter() - wall)


def _cpu_seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def write_stamps(folder: Path, count: int) -> None:
    """Copy stamps of every theme."""
    stamps = captioned_pictures()
    for number in range(count):
        stamp = stamps[number * len(stamps) // count].path
        shutil.copy(stamp, folder / f"{number:05}.png")


def write_sounds(folder: Path, count: int) -> None:
    """Write WAV files of 10 s: tones with noise."""
    import soundfile

    generator = np.random.default_rng(1)
    seconds = np.arange(10 * SOUND_RATE_HZ) / SOUND_RATE_HZ
    for number in range(count):
        tone = 0.2 * np.sin(2 * np.pi * generator.uniform(80, 2000) * seconds)
        noisy = tone + generator.normal(0, 0.01, len(seconds))
        soundfile.write(folder / f"{number:05}.wav", noisy.astype(np.float32), SOUND_RATE_HZ)


def write_texts(folder: Path, count: int) -> None:
    """Write texts of one passage each."""
    generator = np.random.default_rng(2)
    for number in range(count):
        words = " ".join(generator.choice(WORDS, 60))
        (folder / f"{number:05}.txt").write_text(f"Text {number}: {words}.\n")


def write_photos(folder: Path, count: int) -> None:
    """Write JPEGs of 12 megapixels: soft shapes with grain, about 3 MB each."""
    from PIL import Image

    generator = np.random.default_rng(3)
    width, height = PHOTO_SIZE_PX
    for number in range(count):
        small = Image.fromarray(generator.integers(0, 256, (24, 32, 3), dtype=np.uint8))
        pixels = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC), np.int16)
        grain = generator.integers(-8, 9, (height, width, 1), dtype=np.int16)
        photo = Image.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8))
        photo.save(folder / f"{number:05}.jpg", quality=88)


def _decode_picture(path: Path, _config: CollectionConfig) -> list[Any]:
    return [decode_picture(path, max_side_px=1024, limits=LIMITS).picture]


def _decode_sound(path: Path, config: CollectionConfig) -> list[Any]:
    cut = config.channels["sounds"].segments
    assert isinstance(cut, WindowSegments)
    duration = sound_info(path, limits=LIMITS).duration_seconds
    whole = decode_sound(path, 0.0, duration, 16_000, limits=LIMITS)
    ranges = window_ranges(duration, cut.length_seconds, cut.hop_seconds)
    return [
        Sound(whole.samples[round(start * 16_000) : round(stop * 16_000)], 16_000)
        for start, stop in ranges
    ]


def _decode_text(path: Path, config: CollectionConfig) -> list[Any]:
    cut = config.channels["passages"].segments
    assert isinstance(cut, PassageSegments)
    document = read_document(path, "plain", limits=LIMITS)
    return [each.text for each in passages(document, cut.max_words, cut.overlap_words)]


CORPORA = (
    Corpus("stamps", ("pictures", "looks"), 120, write_stamps, _decode_picture),
    Corpus("10 s sounds", ("sounds", "timbre"), 120, write_sounds, _decode_sound),
    Corpus("texts", ("passages",), 400, write_texts, _decode_text),
    Corpus("12-Mpx photos", ("pictures", "looks"), 16, write_photos, _decode_picture),
)


def ingested(folder: Path, config: CollectionConfig, loader: EncoderLoader) -> IngestSummary:
    """Ingest ``folder`` into an empty catalog.

    Raises:
        RuntimeError: not every file was encoded.
    """
    with tempfile.TemporaryDirectory() as data, Catalog.open(DataDir(Path(data))) as catalog:
        summary = ingest([folder], catalog, config, loader)
    if summary.counts["encoded"] != summary.planned:
        raise RuntimeError(f"of {summary.planned} files not all were encoded: {summary.failures}")
    return summary


def measure(
    corpus: Corpus, loader: EncoderLoader, rounds: int, scale: float, scratch: Path
) -> dict[str, object]:
    """Return the figures of one corpus, per file in milliseconds."""
    starter = load_collection("starter")
    channels = {name: starter.channels[name] for name in corpus.channels}
    config = msgspec.structs.replace(starter, channels=channels)
    encoders = [loader.open(channel.encoder) for channel in channels.values()]
    num_files = max(NUM_START_FILES + 1, round(corpus.num_files * scale))
    folder, start_folder = scratch / "all", scratch / "start"
    folder.mkdir(parents=True)
    start_folder.mkdir()
    corpus.write(folder, num_files)
    files = sorted(folder.iterdir())
    for path in files[:NUM_START_FILES]:
        shutil.copy(path, start_folder)
    contents: list[Any] = []

    def decode() -> None:
        contents[:] = [content for path in files for content in corpus.decode(path, config)]

    def encode() -> None:
        for first in range(0, len(contents), BATCH_SIZE):
            for encoder in encoders:
                encoder.encode(contents[first : first + BATCH_SIZE])

    ingested(start_folder, config, loader)
    decode()
    measured: dict[str, list[Spent]] = {"decode": [], "encode": [], "start": [], "ingest": []}
    summaries = []
    for _ in range(rounds):
        measured["decode"].append(spent_on(decode))
        measured["encode"].append(spent_on(encode))
        measured["start"].append(spent_on(lambda: ingested(start_folder, config, loader)))
        measured["ingest"].append(
            spent_on(lambda: summaries.append(ingested(folder, config, loader)))
        )
    return {"corpus": corpus.name, "files": num_files, **figures(measured, num_files)} | {
        "stages_ms": {
            name: round(1000 * statistics.median(each.stages[name] for each in summaries), 1)
            for name in summaries[0].stages
        }
    }


def figures(measured: dict[str, list[Spent]], num_files: int) -> dict[str, float]:
    """Return medians over rounds: milliseconds per file, and ingest over bare.

    Args:
        measured: for ``decode``, ``encode``, ``start`` (an ingest of `NUM_START_FILES`) and
            ``ingest`` (of all files) what each round took.
        num_files: files of all but ``start``.
    """
    rounds = list(zip(*measured.values(), strict=True))
    # What starting takes comes off, and so do the files that it took along.
    share = num_files / (num_files - NUM_START_FILES)
    cpu, cpu_ratios, wall_ratios = [], [], []
    for decode, encode, start, whole in rounds:
        steady_cpu, steady_wall = (whole.cpu - start.cpu) * share, (whole.wall - start.wall) * share
        cpu.append(steady_cpu)
        cpu_ratios.append(steady_cpu / (decode.cpu + encode.cpu))
        wall_ratios.append(steady_wall / max(decode.wall, encode.wall))
    per_file = 1000 / num_files
    medians = {
        name: statistics.median(each.cpu for each in spent) for name, spent in measured.items()
    }
    return {
        "decode_cpu_ms": round(per_file * medians["decode"], 2),
        "encode_cpu_ms": round(per_file * medians["encode"], 2),
        "ingest_cpu_ms": round(per_file * statistics.median(cpu), 2),
        "cpu_over_bare": round(statistics.median(cpu_ratios), 3),
        "wall_over_slower": round(statistics.median(wall_ratios), 3),
        "start_cpu_seconds": round(medians["start"], 2),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the tables, write the JSON."""
    parser = argparse.ArgumentParser(prog="benchmarks.ingest_cost", description=__doc__)
    parser.add_argument("--threads", type=int, default=1, help="for the networks")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of files")
    parser.add_argument("--corpus", choices=[each.name for each in CORPORA], action="append")
    parser.add_argument("--json", type=Path, default=Path("benchmark-results/ingest_cost.json"))
    options = parser.parse_args(arguments)
    loader = EncoderLoader(ModelFolder.from_environment(), num_threads=options.threads)
    rows = []
    for corpus in CORPORA:
        if options.corpus and corpus.name not in options.corpus:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            rows.append(measure(corpus, loader, options.rounds, options.scale, Path(scratch)))
        print(f"{corpus.name}: {rows[-1]}", file=sys.stderr, flush=True)
    shown = [{name: row[name] for name in row if name != "stages_ms"} for row in rows]
    print(table([{name: str(value) for name, value in row.items()} for row in shown]))
    stages = [{"corpus": row["corpus"], **row["stages_ms"]} for row in rows]  # type: ignore[dict-item]
    print("\nmilliseconds per run, by stage")
    print(table([{name: str(value) for name, value in row.items()} for row in stages]))
    report = {"threads": options.threads, "load": os.getloadavg(), "corpora": rows}
    write_json(options.json, {**environment(), **report})
    print(f"\nwritten to {options.json}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
