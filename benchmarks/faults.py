"""What kill -9 does to an ingest and to a reindex: nothing that a rerun does not mend.

    python -m benchmarks.faults --kills 10

Each round starts the real command in a process group of its own, kills the whole group at a random
moment of its run, and then asks `status` and `search` in fresh processes. At the end one run is
left to finish, and every file must be there exactly once.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

QUERY = "a red picture"


@dataclass(slots=True)
class FaultReport:
    """What one series of kills showed."""

    command: str
    num_kills: int = 0
    num_finished_before_kill: int = 0
    problems: list[str] = field(default_factory=list)
    items_after_kills: list[int] = field(default_factory=list)
    """Items stored after each kill: it never shrinks."""

    def as_json(self) -> dict[str, Any]:
        """Return the report as printed."""
        return {
            "command": self.command,
            "kills": self.num_kills,
            "finished_before_the_kill": self.num_finished_before_kill,
            "items_after_each_kill": self.items_after_kills,
            "problems": self.problems,
        }


def make_media(folder: Path, *, num_pictures: int, num_texts: int) -> int:
    """Write small distinct pictures and texts; return how many files there are."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(7)
    for number in range(num_pictures):
        colour = generator.integers(0, 255, 3)
        pixels = np.clip(generator.normal(colour, 25, (160, 160, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"picture-{number:04d}.png")
    for number in range(num_texts):
        words = " ".join(f"word{generator.integers(1000)}" for _ in range(400))
        (folder / f"text-{number:04d}.txt").write_text(f"Text {number}. {words}")
    return num_pictures + num_texts


class Kindred:
    """Runs the command line on one data folder."""

    def __init__(self, data_dir: Path) -> None:
        self._environment = {**os.environ, "KINDRED_DATA_DIR": str(data_dir)}
        self._catalog = data_dir / "catalog.sqlite"

    def num_stored(self) -> int:
        """Return how many items the catalog holds, 0 before there is one."""
        try:
            with closing(sqlite3.connect(f"file:{self._catalog}?mode=ro", uri=True)) as catalog:
                return int(catalog.execute("SELECT count(*) FROM items").fetchone()[0])
        except sqlite3.OperationalError:
            return 0

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start ``kindred`` in a process group of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "search_api.cli", *arguments],
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def answer(self, *arguments: str) -> tuple[int, Any]:
        """Run ``kindred`` to its end and return its exit code and JSON."""
        finished = subprocess.run(
            [sys.executable, "-m", "search_api.cli", *arguments, "--json"],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        try:
            return finished.returncode, json.loads(finished.stdout)
        except ValueError:
            return finished.returncode, {"error": finished.stderr[-2000:]}


def kill_ingest(
    kindred: Kindred,
    media: Path,
    *,
    num_files: int,
    num_kills: int,
    seed: int,
    with_search: bool = True,
) -> FaultReport:
    """Kill an ingest again and again while it works, each time further on.

    The first kills strike while models are still loading; the others shortly after a random number
    of items is stored, so that the run is between, before or inside its transactions.

    Args:
        kindred: which data folder.
        media: the folder to ingest.
        num_files: how many files it holds.
        num_kills: how many times.
        seed: of the moments.
        with_search: also ask a search each time (it loads a model: some seconds).
    """
    report = FaultReport("ingest")
    moments = random.Random(seed)
    num_early = max(1, num_kills // 4)
    targets = sorted(moments.sample(range(1, num_files), num_kills - num_early))
    for target in [0] * num_early + targets:
        process = kindred.start("ingest", str(media))
        if target == 0:
            time.sleep(moments.uniform(0.3, 6.0))
        while process.poll() is None and kindred.num_stored() < target:
            time.sleep(0.01)
        time.sleep(moments.uniform(0.0, 0.3))
        _kill(process, report)
        _look(kindred, report, with_search=with_search)
    if sorted(report.items_after_kills) != report.items_after_kills:
        report.problems.append(f"items were lost: {report.items_after_kills}")
    return report


def kill_reindex(
    kindred: Kindred, *, num_kills: int, seed: int, with_search: bool = True
) -> FaultReport:
    """Kill a reindex at random moments; runs that end before their kill are repeated."""
    report = FaultReport("reindex")
    moments = random.Random(seed)
    started = time.monotonic()
    code, finished = kindred.answer("reindex")
    whole_seconds = time.monotonic() - started
    if code != 0:
        report.problems.append(f"reindex exited with {code}: {finished}")
    while report.num_kills < num_kills and report.num_finished_before_kill < 3 * num_kills:
        process = kindred.start("reindex")
        time.sleep(moments.uniform(0.2, 1.0) * whole_seconds)
        _kill(process, report)
        _look(kindred, report, with_search=with_search)
    if len(set(report.items_after_kills)) > 1:
        report.problems.append(f"items came or went: {report.items_after_kills}")
    return report


def _kill(process: subprocess.Popen[bytes], report: FaultReport) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        report.num_kills += 1
    else:
        report.num_finished_before_kill += 1
    process.wait()


def _look(kindred: Kindred, report: FaultReport, *, with_search: bool) -> None:
    """Ask `status` and `search` in fresh processes and note what is wrong."""
    code, state = kindred.answer("status")
    if code != 0:
        report.problems.append(f"status exited with {code}: {state}")
        return
    report.items_after_kills.append(state["items"])
    if with_search:
        code, found = kindred.answer("search", QUERY)
        if code != 0:
            report.problems.append(f"search exited with {code}: {found}")


def check_complete(kindred: Kindred, folder: Path, num_files: int) -> list[str]:
    """Run the ingest to its end and return everything that is not as it should be."""
    problems = []
    code, summary = kindred.answer("ingest", str(folder))
    if code != 0 or summary.get("failed"):
        problems.append(f"the last ingest exited with {code}: {summary}")
    code, state = kindred.answer("status")
    if code != 0 or state["items"] != num_files:
        problems.append(f"{num_files} files, but status says {state}")
    elif state["delta"] or state["snapshot"]["segments"] != state["segments"]:
        problems.append(f"the index does not cover the catalog: {state}")
    return problems


def main() -> int:
    """Run both series and print a JSON report; exit 1 when anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10, help="kills of each command")
    parser.add_argument("--pictures", type=int, default=250)
    parser.add_argument("--texts", type=int, default=150)
    parser.add_argument("--seed", type=int, default=11)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        media = Path(scratch) / "media"
        num_files = make_media(media, num_pictures=options.pictures, num_texts=options.texts)
        kindred = Kindred(Path(scratch) / "data")
        ingest = kill_ingest(
            kindred, media, num_files=num_files, num_kills=options.kills, seed=options.seed
        )
        ingest.problems += check_complete(kindred, media, num_files)
        reindex = kill_reindex(kindred, num_kills=options.kills, seed=options.seed + 1)
        reindex.problems += check_complete(kindred, media, num_files)
    reports = [ingest, reindex]
    print(json.dumps([report.as_json() for report in reports], indent=2))
    return int(any(report.problems for report in reports))


if __name__ == "__main__":
    sys.exit(main())
