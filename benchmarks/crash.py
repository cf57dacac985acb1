"""What kill -9 does to a reindex while others write, delete and search: nothing that shows.

    python -m benchmarks.crash --kills 200 --each-step 10

Each round starts a writer, which notes what was acknowledged, and a reindex, which is killed with
all its children: at a random moment, or just before a named step (a system call that changes a
file below the data folder, by its path). Writers put, delete and take down, by turns in the catalog
and over the HTTP API; every third one is killed too. After some rounds an older snapshot is gone
back to. Then a fresh process compares catalog, live view and snapshots with the notes, and tries to
take in again what was taken down. One process searches all along. At the end reindexes complete
until nothing holds what was taken down, and recall is compared with that of one that nobody
interrupted.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from benchmarks.crash_look import look, look_at_takedowns, roll_back_to_any
from benchmarks.crash_processes import (
    prepare,
    probe_until_told,
    rebuild,
    recall_of_graph,
    run_reindex,
)
from benchmarks.crash_writers import OpenWrites, catalog_writes, http_writes, write_until_told
from benchmarks.fresh_processes import answer_of, kill_group, start
from benchmarks.write_ledger import Ledger
from indexer.data_dir import DataDir
from indexer.publish import KEPT_SNAPSHOTS

MAX_SECONDS_PER_RUN = 120.0
MAX_SECONDS_TO_FIRST_WRITE = 60.0
ROUNDS_PER_ROLLBACK = 7
ATTEMPTS_PER_STEP = 3
"""How often a run may end without meeting a step, such as one that clears up after a kill."""


@dataclass(slots=True)
class CrashReport:
    """What a series of kills showed."""

    num_random_kills: int = 0
    num_step_kills: int = 0
    num_writer_kills: int = 0
    num_rollbacks: int = 0
    num_finished_before_kill: int = 0
    kills_by_step: Counter[str] = field(default_factory=Counter)
    unmet_steps: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    num_acknowledged: int = 0
    num_taken_down: int = 0
    num_refused: int = 0
    num_answers: int = 0
    longest_answer_seconds: float = 0.0
    recall: float = 0.0
    recall_uninterrupted: float = 0.0
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Return the report as printed."""
        return {
            "random_kills": self.num_random_kills,
            "step_kills": self.num_step_kills,
            "steps": len(self.kills_by_step),
            "writer_kills": self.num_writer_kills,
            "finished_before_the_kill": self.num_finished_before_kill,
            "rollbacks": self.num_rollbacks,
            "acknowledged_writes": self.num_acknowledged,
            "taken_down_items": self.num_taken_down,
            "puts_refused_after_takedown": self.num_refused,
            "probes_answered": self.num_answers,
            "longest_wait_for_an_answer_seconds": round(self.longest_answer_seconds, 3),
            "recall": self.recall,
            "recall_uninterrupted": self.recall_uninterrupted,
            "seconds": round(self.seconds, 1),
            "kills_by_step": dict(self.kills_by_step),
            "steps_not_met": self.unmet_steps,
            "problems": self.problems,
        }


class CrashSuite:
    """One data folder that is killed at again and again.

    Args:
        folder: an empty one.
        seed: of moments, of the choice of steps and of what is written.
        ways_to_write: how writers write, by turns; functions of a module.
    """

    def __init__(
        self,
        folder: Path,
        seed: int,
        ways_to_write: Sequence[OpenWrites] = (catalog_writes, http_writes),
    ) -> None:
        self.data_dir = DataDir(folder / "data")
        self.report = CrashReport()
        self._folder = folder
        self._ledger = folder / "ledger.txt"
        self._seed = seed
        self._moments = random.Random(seed)
        self._ways_to_write = ways_to_write
        self._num_rounds = 0
        self._whole_seconds = 0.0

    def run(
        self,
        num_random_kills: int,
        kills_per_step: int,
        *,
        max_steps: int | None = None,
        max_seconds: float = math.inf,
    ) -> None:
        """Prepare, kill and compare; what is wrong lies in `report` afterwards.

        Args:
            num_random_kills: kills at random moments of a reindex.
            kills_per_step: kills before each named step.
            max_steps: no more steps than these, chosen at random; ``None`` for all.
            max_seconds: no kill begins later, whatever is left to do.
        """
        started = time.monotonic()
        answer_of(prepare, self.data_dir, self._ledger)
        probes = self._folder / "probes.json"
        prober = start(probe_until_told, self.data_dir, self._ledger, probes)
        steps = self._steps()
        chosen = list(steps)
        if max_steps is not None:
            chosen = self._moments.sample(chosen, min(max_steps, len(chosen)))
        for step in self._order(chosen, num_random_kills, kills_per_step):
            if time.monotonic() - started > max_seconds:
                break
            if step is None:
                self._kill_at_random()
            else:
                self._kill_at_step(step, self._moments.randint(1, steps[step]))
        self._finish()
        prober.terminate()
        prober.join(MAX_SECONDS_PER_RUN)
        self._take_probes(json.loads(probes.read_text(encoding="utf-8")))
        self._compare_recall()
        ledger = Ledger.read(self._ledger)
        self.report.num_acknowledged = ledger.num_acknowledged
        self.report.num_taken_down = len(ledger.taken_down)
        self.report.num_refused = ledger.num_refused
        self.report.seconds = time.monotonic() - started

    def _steps(self) -> dict[str, int]:
        """Run whole reindexes beside a writer and return how often each step comes in one.

        Three of them: what is removed from the third on is a step too.
        """
        steps: dict[str, int] = {}
        for _ in range(3):
            writer = self._start_writer()
            started = time.monotonic()
            steps |= answer_of(run_reindex, self.data_dir, count_steps=True)
            self._whole_seconds = time.monotonic() - started
            self._stop_writer(writer)
            self._look("a whole reindex")
        return steps

    def _order(
        self, steps: Sequence[str], num_random_kills: int, kills_per_step: int
    ) -> Iterator[str | None]:
        """Yield where to kill, ``None`` for a random moment: every step once, then again."""
        num_passes = max(1, kills_per_step)
        for number in range(num_passes):
            kills: list[str | None] = list(steps) if kills_per_step else []
            kills += [None] * len(range(number, num_random_kills, num_passes))
            self._moments.shuffle(kills)
            yield from kills

    def _kill_at_random(self) -> None:
        killed = False
        while not killed:
            moment = self._moments.uniform(0, self._whole_seconds)
            writer = self._start_writer()
            process = start(run_reindex, self.data_dir)
            time.sleep(moment)
            killed = kill_group(process)
            self._stop_writer(writer)
            self.report.num_random_kills += killed
            self.report.num_finished_before_kill += not killed
            self._look(f"a kill after {moment:.3f} s")

    def _kill_at_step(self, step: str, occurrence: int) -> None:
        for _ in range(ATTEMPTS_PER_STEP):
            writer = self._start_writer()
            process = start(run_reindex, self.data_dir, die_at=(step, occurrence))
            process.join(MAX_SECONDS_PER_RUN)
            self._stop_writer(writer)
            self._look(f"a kill before {step!r}")
            if process.exitcode == -signal.SIGKILL:
                self.report.num_step_kills += 1
                self.report.kills_by_step[step] += 1
                return
        self.report.unmet_steps.append(step)

    def _start_writer(self) -> ForkServerProcess:
        """Start a writer and return when its first write was answered."""
        self._num_rounds += 1
        open_writes = self._ways_to_write[self._num_rounds % len(self._ways_to_write)]
        seed, size_bytes = self._seed + self._num_rounds, self._ledger.stat().st_size
        writer = start(
            write_until_told, self.data_dir, self._ledger, open_writes, seed, self._num_rounds
        )
        deadline = time.monotonic() + MAX_SECONDS_TO_FIRST_WRITE
        while self._num_lines_after(size_bytes) < 2 and writer.is_alive():
            if time.monotonic() > deadline:
                self.report.problems.append("a writer wrote nothing")
                break
            time.sleep(0.002)
        return writer

    def _num_lines_after(self, num_bytes: int) -> int:
        with self._ledger.open("rb") as log:
            log.seek(num_bytes)
            return log.read().count(b"\n")

    def _stop_writer(self, writer: ForkServerProcess) -> None:
        if self._num_rounds % 3 == 0:
            writer.kill()
            self.report.num_writer_kills += 1
            expected = -signal.SIGKILL
        else:
            writer.terminate()
            expected = 0
        writer.join(MAX_SECONDS_PER_RUN)
        if writer.exitcode != expected:
            self.report.problems.append(f"a writer ended with {writer.exitcode}")

    def _look(self, after: str) -> None:
        if self._num_rounds % ROUNDS_PER_ROLLBACK == 0:
            answer_of(roll_back_to_any, self.data_dir, self._num_rounds)
            self.report.num_rollbacks += 1
            after += " and a rollback"
        problems = answer_of(look, self.data_dir, self._ledger)
        self.report.problems += [f"after {after}: {problem}" for problem in problems]

    def _finish(self) -> None:
        """Replace every snapshot: nothing that was left over or taken down may remain."""
        for _ in range(KEPT_SNAPSHOTS):
            answer_of(run_reindex, self.data_dir)
        self._look("the last reindex")
        self.report.problems += answer_of(look_at_takedowns, self.data_dir, self._ledger)
        folders = (self.data_dir.snapshots("made-up"), self.data_dir.writer_lock("made-up").parent)
        leftovers = [each.name for one in folders for each in one.iterdir() if each.name[0] == "."]
        if leftovers:
            self.report.problems.append(f"left over after a whole reindex: {leftovers}")

    def _take_probes(self, probes: dict[str, Any]) -> None:
        self.report.num_answers = probes["answers"]
        self.report.longest_answer_seconds = probes["longest_seconds"]
        self.report.problems += [
            f"{count} probes: {problem}" for problem, count in probes["problems"].items()
        ]

    def _compare_recall(self) -> None:
        copy = DataDir(self._folder / "uninterrupted")
        answer_of(rebuild, self.data_dir, copy)
        self.report.recall = answer_of(recall_of_graph, self.data_dir)
        self.report.recall_uninterrupted = answer_of(recall_of_graph, copy)
        difference = abs(self.report.recall - self.report.recall_uninterrupted)
        if difference > 0.001:
            self.report.problems.append(f"recall differs by {difference:.4f}")


def main() -> int:
    """Run the suite and print a JSON report; exit 1 when anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200, help="at random moments")
    parser.add_argument("--each-step", type=int, default=10, help="before each named step")
    parser.add_argument("--minutes", type=float, default=math.inf, help="end after so long")
    parser.add_argument("--seed", type=int, default=11)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        suite = CrashSuite(Path(scratch), options.seed)
        suite.run(options.kills, options.each_step, max_seconds=60 * options.minutes)
    print(json.dumps(suite.report.as_json(), indent=2))
    return int(bool(suite.report.problems))


if __name__ == "__main__":
    sys.exit(main())
