"""Two `kindred reindex` of one data folder at the same moment: exactly one publishes.

    python -m benchmarks.two_indexers --rounds 50 --fenced 20

In each round something is written and two commands start together. One must publish it; the other
is refused with exit code 3 (`lock_held`), or comes after and finds nothing to do. In fenced rounds
the first is stopped (SIGSTOP) at a random moment while it holds the lock, the lock is taken away
from it as a network file system might, the second publishes, and the first goes on: it must publish
nothing, and notice (exit code 3, `writer_lease_lost`) unless it had not begun. After each round
catalog, live snapshot and view are compared with what was written.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.swap_items import COLLECTION, YAML, SwapItems, swap_collection, swap_identity
from indexer.catalog.catalog import Catalog
from indexer.data_dir import DataDir
from indexer.item_table import ATTRIBUTE_PREFIX
from indexer.live_view import LiveCollection
from indexer.lock import newest_lease
from indexer.publish import finished_snapshots, read_pointer
from indexer.snapshot import Snapshot, unfinished_snapshots
from search_api.cli.exit_codes import EXIT_REFUSED

ROOT = Path(__file__).resolve().parents[1]
NUM_FIXED, NUM_CHANGING = 200, 50
MAX_SECONDS = 300.0
POLL_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a reindex ended."""

    exit_code: int
    said: dict[str, Any]

    @property
    def published(self) -> str | None:
        """The snapshot that it published."""
        return self.said["snapshot"] if self.exit_code == 0 and self.said["built"] else None

    @property
    def name(self) -> str:
        """What it came to, in a word or two."""
        if self.exit_code:
            return f"{self.said['error']['code']} (exit code {self.exit_code})"
        return "published" if self.published else "nothing to do"


@dataclass(slots=True)
class IndexersReport:
    """What a series of rounds showed."""

    rounds: int = 0
    fenced_rounds: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    """Pairs of outcomes, by how often."""

    finished_before_the_stop: int = 0
    problems: list[str] = field(default_factory=list)


class TwoIndexers:
    """One data folder that is reindexed twice at a time.

    Args:
        folder: an empty one.
        seed: of the moments at which the first is stopped.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.data_dir = DataDir(folder / "data")
        self.report = IndexersReport()
        self._items = SwapItems(swap_identity(), NUM_FIXED, NUM_CHANGING)
        self._dice = random.Random(seed)
        self._generation = -1
        self._busy_seconds = 1.0
        config = folder / "swapped.yaml"
        config.write_text(YAML, encoding="utf-8")
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "KINDRED_DATA_DIR": str(self.data_dir.root),
            "KINDRED_COLLECTION": str(config),
        }

    def run(self, rounds: int, fenced_rounds: int) -> None:
        """Run the rounds; what is wrong lies in `report` afterwards."""
        for _ in range(rounds):
            self._write()
            token = newest_lease(self.data_dir, COLLECTION).token
            processes = [self._start(), self._start()]
            self._wait_for_lease(token, processes[0])
            began = time.monotonic()
            outcomes = [self._ended(process) for process in processes]
            self._busy_seconds = time.monotonic() - began
            self.report.rounds += 1
            self._check(outcomes)
        for _ in range(fenced_rounds):
            self._fenced_round()

    def _fenced_round(self) -> None:
        self._write()
        token = newest_lease(self.data_dir, COLLECTION).token
        before = self._live()
        first = self._start()
        self._wait_for_lease(token, first)
        began = time.monotonic()
        time.sleep(self._dice.uniform(0, self._busy_seconds))
        first.send_signal(signal.SIGSTOP)
        if first.poll() is not None or self._live() != before:
            first.send_signal(signal.SIGCONT)
            self._check([self._ended(first), Outcome(0, {"built": False})])
            self._busy_seconds = time.monotonic() - began
            self.report.finished_before_the_stop += 1
            return
        self.data_dir.writer_lock(COLLECTION).unlink()
        second = self._ended(self._start())
        first.send_signal(signal.SIGCONT)
        self.report.fenced_rounds += 1
        self._check([self._ended(first), second], fenced=True)

    def _wait_for_lease(self, token: int, process: subprocess.Popen[bytes]) -> None:
        """Return when a later lease than ``token`` was given out, or the process has ended."""
        while newest_lease(self.data_dir, COLLECTION).token == token and process.poll() is None:
            time.sleep(POLL_SECONDS)

    def _write(self) -> None:
        self._generation += 1
        with Catalog.open(self.data_dir) as catalog:
            catalog.register_collection(swap_collection())
            self._items.write_generation(catalog, self._generation)

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "search_api.cli", "reindex", "--if-changed", "--json"]
        return subprocess.Popen(
            command, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def _ended(self, process: subprocess.Popen[bytes]) -> Outcome:
        said, complained = process.communicate(timeout=MAX_SECONDS)
        try:
            return Outcome(process.returncode, json.loads(said))
        except json.JSONDecodeError as error:
            raise RuntimeError(
                f"exit code {process.returncode} and no JSON: {said!r} {complained!r}"
            ) from error

    def _live(self) -> str | None:
        pointer = read_pointer(self.data_dir, COLLECTION)
        return pointer.snapshot_id if pointer else None

    def _check(self, outcomes: list[Outcome], *, fenced: bool = False) -> None:
        self.report.outcomes[" | ".join(sorted(each.name for each in outcomes))] += 1
        published = [each.published for each in outcomes if each.published]
        wrong = self.report.problems
        where = f"generation {self._generation}"
        if len(published) != 1 or published[0] != self._live():
            wrong.append(f"{where}: {published} were published, {self._live()} is live")
        for each in outcomes:
            refusal = "writer_lease_lost" if fenced else "lock_held"
            if each.exit_code and (
                each.exit_code != EXIT_REFUSED or each.said["error"]["code"] != refusal
            ):
                wrong.append(f"{where}: exit code {each.exit_code}: {each.said}")
        if fenced and outcomes[0].published:
            wrong.append(f"{where}: the one that was stopped published")
        wrong += [f"{where}: {problem}" for problem in self._damage()]

    def _damage(self) -> list[str]:
        """Return what is wrong with catalog, snapshots and view."""
        problems = []
        if left := unfinished_snapshots(self.data_dir, COLLECTION):
            problems.append(f"left over: {[path.name for path in left]}")
        for path in finished_snapshots(self.data_dir, COLLECTION):
            Snapshot.open(path, verify=True)
        with Catalog.open(self.data_dir) as catalog:
            catalog.check_integrity()
            identities = dict.fromkeys(swap_collection().channels, self._items.identity)
            live = LiveCollection(catalog, self.data_dir, swap_collection(), identities)
            view = live.view()
            num_live = int(np.count_nonzero(view.live))
            generations = view.items.column(f"{ATTRIBUTE_PREFIX}generation").to_pylist()
            if view.num_delta_items:
                problems.append(f"{view.num_delta_items} items are not in the live snapshot")
            if num_live != NUM_FIXED + NUM_CHANGING:
                problems.append(f"{num_live} items are there")
            if max(generations) != self._generation:
                problems.append(f"the live snapshot holds generation {max(generations)}")
        return problems


def main() -> int:
    """Run the series and print a JSON report; exit 1 when anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--fenced", type=int, default=20, help="rounds in which one is stopped")
    parser.add_argument("--seed", type=int, default=17)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        indexers = TwoIndexers(Path(scratch), options.seed)
        indexers.run(options.rounds, options.fenced)
    report = indexers.report
    print(
        json.dumps(
            {
                "rounds": report.rounds,
                "fenced_rounds": report.fenced_rounds,
                "finished_before_the_stop": report.finished_before_the_stop,
                "outcomes": dict(report.outcomes),
                "problems": report.problems,
            },
            indent=2,
        )
    )
    return int(bool(report.problems))


if __name__ == "__main__":
    sys.exit(main())
