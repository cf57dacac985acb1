"""What full disks and I/O errors do to commands: each says why it ended, the next completes.

    python -m benchmarks.disk_faults

Three series. *Points*: each command is run once for every change it makes to a file (and each kind
of error), which then fails: ENOSPC from there on, EIO that once. *Sizes*: the kernel lets no file
become larger than so many bytes (RLIMIT_FSIZE), which FAISS, Arrow, SQLite and Qdrant Edge meet as
well. *Disks*: the data folder lies on a disk of its own with so many pages left, where that can be
mounted. After each, fresh processes compare what is served with before, and the command is run
again undisturbed and compared with one that never was disturbed.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.disk_fault_problems import problems_of_end, problems_of_next, problems_of_state
from benchmarks.fresh_processes import answer_of
from benchmarks.made_up_commands import (
    TO_TAKE_DOWN,
    CommandEnd,
    Fault,
    Place,
    prepare,
    run_command,
)
from benchmarks.small_disk import on_small_disk, small_disks_possible
from benchmarks.stored_state import StoredState, look
from benchmarks.write_points import same_in_every_run

ERRORS = ((errno.ENOSPC, True), (errno.EIO, False))
MAX_FILE_BYTES = 1 << 20
MAX_SPARE_PAGES = 400


@dataclass(frozen=True, slots=True)
class Command:
    """A command under test, with ``{}`` for the folder of the case."""

    name: str
    arguments: tuple[str, ...]
    data: str = "data"

    def line(self, place: Place) -> list[str]:
        """Return its arguments in a folder."""
        return [argument.format(place.folder) for argument in self.arguments]


COMMANDS = (
    Command("ingest", ("ingest", "{}/media", "--no-publish")),
    Command("reindex", ("reindex", "--metrics-file", "{}/reindex.prom")),
    Command("rollback", ("rollback", "OLDEST")),
    Command("takedown", ("takedown", TO_TAKE_DOWN, "--purge")),
    Command("backup", ("backup", "{}/backup")),
    Command("restore", ("restore", "{}/kept"), data="restored"),
)


@dataclass(slots=True)
class FaultSuiteReport:
    """What a series of faults showed."""

    num_faults: int = 0
    num_failed: int = 0
    num_tolerated: int = 0
    """Faults in spite of which the command did what it should."""

    points: set[str] = field(default_factory=set)
    """Distinct places of a failure: command, what was done, to which file."""

    native_reasons: set[str] = field(default_factory=set)
    """Distinct reasons given for failures below Python."""

    examples: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Return the report as printed."""
        return {
            "faults": self.num_faults,
            "failed_with_a_reason": self.num_failed,
            "tolerated": self.num_tolerated,
            "distinct_write_points": len(self.points),
            "distinct_native_reasons": len(self.native_reasons),
            "points": sorted(self.points),
            "native_reasons": sorted(self.native_reasons),
            "examples": self.examples,
            "seconds": round(self.seconds, 1),
            "problems": self.problems,
        }


class DiskFaultSuite:
    """One prepared data folder, of which every case gets a copy.

    Args:
        folder: an empty one.
        seed: of the choice of cases.
        edge: whether one channel is kept in Qdrant Edge.
        progress: whether to tell on stderr how far it is.
    """

    def __init__(self, folder: Path, seed: int, *, edge: bool = False, progress: bool = False):
        self.report = FaultSuiteReport()
        self._folder = folder
        self._base = Place(folder / "base")
        self._chance = random.Random(seed)
        self._progress = progress
        answer_of(prepare, self._base, edge=edge)
        self._before = answer_of(look, self._base)
        names = sorted(path.name for path in self._base.data_dir.snapshots("made-up").glob("2*"))
        self._commands = [
            replace(
                each, arguments=tuple(one.replace("OLDEST", names[0]) for one in each.arguments)
            )
            for each in COMMANDS
        ]
        self._whole: dict[str, tuple[list[str], StoredState]] = {}

    def run(
        self,
        *,
        max_points: int | None = None,
        size_steps: int = 0,
        page_step: int = 0,
        commands: Sequence[str] = (),
    ) -> None:
        """Run the three series; what is wrong lies in `report` afterwards.

        Args:
            max_points: no more points of each command than these, chosen at random.
            size_steps: how many sizes of the largest file are tried with each command.
            page_step: pages by which the room on a small disk grows from case to case; 0: none.
            commands: only these; all when empty.
        """
        started = time.monotonic()
        for command in self._commands:
            if commands and command.name not in commands:
                continue
            self._whole[command.name] = self._undisturbed(command)
            self._fail_at_points(command, max_points)
            self._limit_sizes(command, size_steps)
            if page_step and command.name != "restore":
                self._fill_disks(command, page_step)
        self.report.seconds += time.monotonic() - started

    def _undisturbed(self, command: Command) -> tuple[list[str], StoredState]:
        place = self._copied()
        end = answer_of(run_command, place, command.line(place), data=command.data)
        if end.exit_code != 0:
            raise RuntimeError(f"undisturbed, {command.name} ended with {end}")
        return end.steps, answer_of(look, place, data=command.data)

    def _copied(self) -> Place:
        place = Place(self._folder / "case")
        shutil.rmtree(place.folder, ignore_errors=True)
        shutil.copytree(self._base.folder, place.folder, symlinks=True)
        return place

    def _fail_at_points(self, command: Command, max_points: int | None) -> None:
        numbers = list(range(1, len(self._whole[command.name][0]) + 1))
        if max_points is not None:
            numbers = sorted(self._chance.sample(numbers, min(max_points, len(numbers))))
        for number in numbers:
            # In the short form every point meets one kind of error.
            chosen = ERRORS if max_points is None else (self._chance.choice(ERRORS),)
            for code, lasts in chosen:
                fault = Fault(number, code, lasts)
                place = self._copied()
                end = answer_of(run_command, place, command.line(place), fault, data=command.data)
                if len(end.steps) < number:
                    continue  # another order this time; the point was not met
                where = f"{command.name}: {end.steps[number - 1]}"
                self.report.points.add(where)
                self._judge(command, place, end, f"{where}, {errno.errorcode[code]}")

    def _limit_sizes(self, command: Command, size_steps: int) -> None:
        for step in range(size_steps):
            # Small files are many: the sizes lie closer together there.
            size = round(MAX_FILE_BYTES * (step / size_steps) ** 3)
            fault = Fault(max_file_bytes=size, ignore_free_space=True)
            place = self._copied()
            end = answer_of(run_command, place, command.line(place), fault, data=command.data)
            self._note_native(command, end, place)
            self._judge(command, place, end, f"{command.name}: files of at most {size} bytes")

    def _fill_disks(self, command: Command, page_step: int) -> None:
        for spare in range(0, MAX_SPARE_PAGES, page_step):
            case = answer_of(
                on_small_disk, self._base, self._folder / "case", command.arguments, spare
            )
            self._note_native(command, case.end, case.place)
            what = f"{command.name}: a disk with {spare} pages left"
            self._judge(command, case.place, case.end, what, (case.after, case.again, case.last))
            if case.end.exit_code == 0:
                return

    def _note_native(self, command: Command, end: CommandEnd, place: Place) -> None:
        if end.exit_code != 0:
            reason = same_in_every_run(end.reason.replace(str(place.folder), ""))
            self.report.native_reasons.add(f"{command.name}: {reason}")

    def _judge(
        self,
        command: Command,
        place: Place,
        end: CommandEnd,
        what: str,
        found: tuple[StoredState | None, CommandEnd, StoredState] | None = None,
    ) -> None:
        """Compare what a fault left with before, and the next run with an undisturbed one.

        Args:
            command: what met the fault.
            place: where.
            end: how it ended.
            what: the fault, in words.
            found: the state after it, the next run, and the state after that, if known already.
        """
        whole = self._whole[command.name][1]
        before = None if command.data != "data" else self._before
        if found is None:
            has_data = (place.folder / command.data / "catalog.sqlite").exists()
            after = answer_of(look, place, data=command.data) if has_data else None
            again = answer_of(run_command, place, command.line(place), data=command.data)
            last = answer_of(look, place, data=command.data)
        else:
            after, again, last = found
        self.report.num_faults += 1
        if end.exit_code == 0:
            self.report.num_tolerated += 1
        else:
            self.report.num_failed += 1
            self.report.examples.setdefault(what.split(",")[0], end.reason)
        problems = [
            *problems_of_end(end, place, after, whole),
            *problems_of_state(before, after, whole),
            *problems_of_next(end, again, last, whole),
        ]
        self.report.problems += [f"{what}: {problem}" for problem in problems]
        if self._progress and (problems or self.report.num_faults % 20 == 0):
            print(f"{self.report.num_faults} {what} {problems}", file=sys.stderr, flush=True)


def main() -> int:
    """Run the suite and print a JSON report; exit 1 when anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--max-points", type=int, help="of each command; all if not given")
    parser.add_argument("--size-steps", type=int, default=40)
    parser.add_argument("--page-step", type=int, default=2)
    parser.add_argument("--commands", nargs="*", default=(), metavar="NAME")
    parser.add_argument("--edge", action="store_true", help="with a channel in Qdrant Edge")
    parser.add_argument("--seed", type=int, default=5)
    options = parser.parse_args()
    page_step = options.page_step if small_disks_possible() else 0
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as scratch:
        suite = DiskFaultSuite(Path(scratch), options.seed, edge=options.edge, progress=True)
        suite.run(
            max_points=options.max_points,
            size_steps=options.size_steps,
            page_step=page_step,
            commands=options.commands,
        )
    print(json.dumps({**suite.report.as_json(), "small_disks": bool(page_step)}, indent=2))
    return int(bool(suite.report.problems))


if __name__ == "__main__":
    sys.exit(main())
