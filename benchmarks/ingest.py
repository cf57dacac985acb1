"""Memory of an ingest: a long recording must not need more than a short one.

    python -m benchmarks.ingest

Ingests a generated FLAC of 30 minutes and one of 3 hours, each into an empty data folder, and
reports the peak of the summed proportional set size (PSS) over the whole process tree.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import soundfile

SAMPLE_RATE_HZ = 44_100
POLL_SECONDS = 0.1


def write_recording(path: Path, minutes: float, *, seed: int = 3) -> None:
    """Write a mono FLAC of slowly changing tones with noise."""
    generator = np.random.default_rng(seed)
    with soundfile.SoundFile(path, "w", SAMPLE_RATE_HZ, 1, subtype="PCM_16") as file:
        seconds = np.arange(SAMPLE_RATE_HZ * 10) / SAMPLE_RATE_HZ
        for _ in range(round(minutes * 6)):
            pitch_hz = generator.uniform(80, 2000)
            tone = 0.3 * np.sin(2 * np.pi * pitch_hz * seconds)
            file.write((tone + generator.normal(0, 0.02, len(seconds))).astype(np.float32))


def tree_pss_bytes(process: psutil.Process) -> int:
    """Return the summed PSS of a process and its descendants; those that end meanwhile count 0."""
    total = 0
    for member in [process, *process.children(recursive=True)]:
        try:
            total += member.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total


def ingest_peak(path: Path, data_dir: Path) -> dict[str, Any]:
    """Ingest one file in a fresh process and return its peak memory and summary."""
    process = subprocess.Popen(
        [sys.executable, "-m", "search_api.cli", "ingest", str(path), "--json"],
        env={**os.environ, "KINDRED_DATA_DIR": str(data_dir)},
        stdout=subprocess.PIPE,
        text=True,
    )
    observed = psutil.Process(process.pid)
    peak = 0
    while process.poll() is None:
        try:
            peak = max(peak, tree_pss_bytes(observed))
        except psutil.NoSuchProcess:
            break
        time.sleep(POLL_SECONDS)
    stdout, _ = process.communicate()
    summary = json.loads(stdout)
    if process.returncode or summary["failed"]:
        raise RuntimeError(f"the ingest of {path} failed: {summary}")
    return {
        "peak_pss_mib": round(peak / 2**20, 1),
        "segments": summary["segments"],
        "seconds": summary["seconds"],
        "stages": summary["stages"],
    }


def main() -> int:
    """Measure both recordings and print a JSON report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short-minutes", type=float, default=30)
    parser.add_argument("--long-minutes", type=float, default=180)
    options = parser.parse_args()
    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, minutes in (("short", options.short_minutes), ("long", options.long_minutes)):
            path = Path(scratch) / f"{name}.flac"
            write_recording(path, minutes)
            report[name] = {"minutes": minutes, **ingest_peak(path, Path(scratch) / name)}
    report["long_over_short"] = round(
        report["long"]["peak_pss_mib"] / report["short"]["peak_pss_mib"], 3
    )
    print(json.dumps(report, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
