"""Memory of an ingest: a long recording must not need more than a short one.

    python -m benchmarks.ingest [--images 10000] [--long-minutes 600]

Ingests a generated FLAC of 30 minutes and one of 3 hours, each into an empty data folder, and
reports the peak of the summed proportional set size (PSS) over the whole process tree. In a ninth
of each somebody speaks; one sentence is said once, and it is asked for. With ``--images`` it takes
in so many generated pictures instead. Either way it reports how much memory grows over the second
half of the run, as a straight line through what was measured says; there only memory that no other
process shares is counted (USS), because the share of a library's pages depends on who else uses it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import soundfile
import soxr
from numpy.typing import NDArray

from benchmarks.spliced_recordings import SPEECH_LOUDNESS, with_loudness
from benchmarks.spoken_sentences import SAMPLE_RATE_HZ as SPOKEN_RATE_HZ
from benchmarks.spoken_sentences import SENTENCES, VOICES, speak

SAMPLE_RATE_HZ = 44_100
POLL_SECONDS = 0.1

BLOCK_SECONDS = 10
SPEAKING_BLOCKS = 9
"""Every ninth block is speech: 20 minutes in 3 hours."""

ASKED = SENTENCES[-1]
ASKED_AT = 0.85
"""Where in a recording it is said, of its length."""


def write_recording(path: Path, minutes: float, *, seed: int = 3) -> float:
    """Write a mono FLAC of slowly changing tones with noise and speech between them.

    Returns:
        When `ASKED` is said, in seconds.
    """
    generator = np.random.default_rng(seed)
    spoken = {text: _spoken(text, VOICES[n % len(VOICES)]) for n, text in enumerate(SENTENCES)}
    others = [text for text in SENTENCES if text != ASKED]
    num_blocks = round(minutes * 60 / BLOCK_SECONDS)
    asked_block = round(ASKED_AT * num_blocks) // SPEAKING_BLOCKS * SPEAKING_BLOCKS
    with soundfile.SoundFile(path, "w", SAMPLE_RATE_HZ, 1, subtype="PCM_16") as file:
        seconds = np.arange(SAMPLE_RATE_HZ * BLOCK_SECONDS) / SAMPLE_RATE_HZ
        for block in range(num_blocks):
            pitch_hz = generator.uniform(80, 2000)
            tone = 0.2 * np.sin(2 * np.pi * pitch_hz * seconds)
            if block % SPEAKING_BLOCKS == 0:
                number = block // SPEAKING_BLOCKS
                said = [spoken[others[(2 * number + n) % len(others)]] for n in range(2)]
                if block == asked_block:
                    said = [spoken[ASKED]]
                speech = np.concatenate(said)[: len(seconds)]
                tone[:] = 0.0
                tone[: len(speech)] = speech
            file.write((tone + generator.normal(0, 0.005, len(seconds))).astype(np.float32))
    return float(asked_block * BLOCK_SECONDS)


def _spoken(text: str, voice: str) -> NDArray[np.float32]:
    samples = with_loudness(speak(text, voice), SPEECH_LOUDNESS)
    resampled: NDArray[np.float32] = soxr.resample(samples, SPOKEN_RATE_HZ, SAMPLE_RATE_HZ)
    return resampled


def found_start(data_dir: Path) -> float | None:
    """Return where a search for `ASKED` says that it is said; ``None`` if it is not found."""
    command = ["search", ASKED, "--channel", "speech", "--limit", "1", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "search_api.cli", *command],
        env={**os.environ, "KINDRED_DATA_DIR": str(data_dir)},
        capture_output=True,
        text=True,
        check=True,
    )
    hits = json.loads(done.stdout)["hits"]
    return float(hits[0]["moments"][0]["start_seconds"]) if hits else None


def tree_memory_bytes(process: psutil.Process) -> tuple[int, int]:
    """Return the summed PSS and USS of a process and its descendants.

    Those that end meanwhile count 0.
    """
    total_pss = total_uss = 0
    for member in [process, *process.children(recursive=True)]:
        try:
            memory = member.memory_full_info()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        total_pss += memory.pss
        total_uss += memory.uss
    return total_pss, total_uss


def write_pictures(folder: Path, count: int) -> None:
    """Write so many small PNGs, each different."""
    from PIL import Image

    generator = np.random.default_rng(4)
    for number in range(count):
        small = generator.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        picture = Image.fromarray(small).resize((200, 150), Image.Resampling.BICUBIC)
        picture.save(folder / f"{number:06}.png")


def growth_over_second_half(bytes_by_second: Sequence[tuple[float, int]]) -> float:
    """Return how much memory grows over the second half of a run, as a share of its mean there.

    Args:
        bytes_by_second: instants and what was measured at them, in order.
    """
    middle = (bytes_by_second[0][0] + bytes_by_second[-1][0]) / 2
    seconds, sizes = np.array([each for each in bytes_by_second if each[0] >= middle]).T
    slope, _ = np.polyfit(seconds, sizes, 1)
    return float(slope * (seconds[-1] - seconds[0]) / sizes.mean())


def ingest_peak(path: Path, data_dir: Path) -> dict[str, Any]:
    """Ingest a file or folder in a fresh process and return its memory and summary.

    Nothing is published: building the index is no part of the flow whose memory has to stay flat.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "search_api.cli", "ingest", str(path), "--no-publish", "--json"],
        env={**os.environ, "KINDRED_DATA_DIR": str(data_dir)},
        stdout=subprocess.PIPE,
        text=True,
    )
    observed = psutil.Process(process.pid)
    peak_pss = 0
    unshared: list[tuple[float, int]] = []
    while process.poll() is None:
        try:
            pss, uss = tree_memory_bytes(observed)
            peak_pss = max(peak_pss, pss)
            unshared.append((time.monotonic(), uss))
        except psutil.NoSuchProcess:
            break
        time.sleep(POLL_SECONDS)
    stdout, _ = process.communicate()
    summary = json.loads(stdout)
    if process.returncode or summary["failed"]:
        raise RuntimeError(f"the ingest of {path} failed: {summary}")
    return {
        "peak_pss_mib": round(peak_pss / 2**20, 1),
        "peak_uss_mib": round(max(size for _, size in unshared) / 2**20, 1),
        "growth_over_second_half": round(growth_over_second_half(unshared[:-1]), 4),
        "segments": summary["segments"],
        "seconds": summary["seconds"],
        "stages": summary["stages"],
    }


def main() -> int:
    """Measure both recordings and print a JSON report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short-minutes", type=float, default=30)
    parser.add_argument("--long-minutes", type=float, default=180)
    parser.add_argument("--images", type=int, default=0, help="ingest pictures instead")
    options = parser.parse_args()
    report: dict[str, Any] = {}
    if options.images:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "pictures"
            folder.mkdir()
            write_pictures(folder, options.images)
            report = {"images": options.images, **ingest_peak(folder, Path(scratch) / "data")}
        print(json.dumps(report, indent=2))
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        for name, minutes in (("short", options.short_minutes), ("long", options.long_minutes)):
            path = Path(scratch) / f"{name}.flac"
            data_dir = Path(scratch) / name
            said_at = write_recording(path, minutes)
            report[name] = {"minutes": minutes, **ingest_peak(path, data_dir)}
            report[name] |= {"asked_for_at": said_at, "found_at": found_start(data_dir)}
    report["long_over_short"] = round(
        report["long"]["peak_pss_mib"] / report["short"]["peak_pss_mib"], 3
    )
    print(json.dumps(report, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
