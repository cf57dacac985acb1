"""Searches at a steady rate while snapshots are swapped, each answer checked: a process of its own.

    python -m benchmarks.swap_load JOB.json

Requests leave when they are due, whether earlier ones were answered or not; latency counts from
when one was due. Runs until SIGTERM, then writes what it saw.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.http import WORDS
from benchmarks.http_connections import Answer, BrokenConnection, Connection, connections_by_worker
from benchmarks.swap_items import (
    CHANGING,
    EXACT_CHANNEL,
    SwapItems,
    generation_of,
    swap_identity,
    wrong_in_exact_answer,
)
from benchmarks.swap_writes import WriteNotes, write_and_look

LIMIT = 10
NUM_ASKED_ABOUT = 40
KINDS = ("exact", "filtered", "graph", "words")
SHARES = (0.45, 0.30, 0.20, 0.05)
MAX_PROBLEMS = 50
KEEP_ALIVE_SECONDS = 8.0


class LoadJob(msgspec.Struct, frozen=True, kw_only=True):
    """What a load generator is to do."""

    port: int
    workers: list[int]
    """Process ids."""

    num_fixed: int
    num_changing: int

    rate: float | None
    """Requests a second; ``None``: as many as each connection takes one after the other."""

    connections_per_worker: int
    with_writes: bool
    seed: int
    report: str
    """Where to write the outcome."""


class Row(msgspec.Struct, frozen=True, array_like=True):
    """One request. Instants are those of ``time.monotonic``."""

    due: float
    sent: float
    done: float
    worker: int
    kind: str
    ok: bool
    snapshot: str
    generation: int
    """-1 where nothing that changes was found."""


class LoadReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a load generator saw."""

    rows: list[Row]
    writes: list[tuple[float, float]]
    """When each write was sent and answered."""

    found_by_all: list[tuple[float, float]]
    """When each write was answered, and how many seconds later all workers had it."""

    failures: dict[str, int]
    """Requests that were not answered as they should, by what came instead."""

    mixed: dict[str, int]
    """Answers that no single state could give."""

    lost_writes: dict[str, int]
    cpu_seconds: float


class Load:
    """Asks, checks and notes."""

    def __init__(self, job: LoadJob) -> None:
        self._job = job
        self._items = SwapItems(swap_identity(), job.num_fixed, job.num_changing)
        self._dice = random.Random(job.seed)
        self._asked_about = self._dice.sample(
            self._items.changing_ids, min(NUM_ASKED_ABOUT, job.num_changing)
        )
        self._rows: list[Row] = []
        self._mixed = Counter[str]()
        self._writes = WriteNotes()
        self._failures = self._writes.failures
        self._stop = asyncio.Event()

    async def run(self) -> LoadReport:
        """Ask until SIGTERM."""
        job = self._job
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._stop.set)
        by_worker = await connections_by_worker(
            job.port, job.workers, job.connections_per_worker + job.with_writes
        )
        writers = [mine.pop() for mine in by_worker.values()] if job.with_writes else []
        writing = asyncio.create_task(
            write_and_look(self._items, writers, self._stop, self._writes)
            if writers
            else asyncio.sleep(0)
        )
        await (self._at_rate(by_worker) if job.rate else self._flat_out(by_worker))
        await writing
        return LoadReport(
            rows=self._rows,
            writes=self._writes.written,
            found_by_all=self._writes.found_by_all,
            failures=dict(self._failures.most_common(MAX_PROBLEMS)),
            mixed=dict(self._mixed.most_common(MAX_PROBLEMS)),
            lost_writes=dict(self._writes.lost.most_common(MAX_PROBLEMS)),
            cpu_seconds=time.process_time(),
        )

    async def _flat_out(self, by_worker: dict[int, list[Connection]]) -> None:
        async def ask_on(worker: int, connection: Connection) -> None:
            while not self._stop.is_set():
                await self._ask(worker, connection, time.monotonic())

        await asyncio.gather(*(ask_on(pid, one) for pid, mine in by_worker.items() for one in mine))

    async def _at_rate(self, by_worker: dict[int, list[Connection]]) -> None:
        assert self._job.rate is not None
        free: dict[int, asyncio.Queue[Connection]] = {}
        for pid, mine in by_worker.items():
            free[pid] = asyncio.Queue()
            for connection in mine:
                free[pid].put_nowait(connection)
        asking: set[asyncio.Task[None]] = set()

        async def ask_when_free(worker: int, due: float) -> None:
            connection = await free[worker].get()
            try:
                await self._ask(worker, connection, due)
            finally:
                free[worker].put_nowait(connection)

        keeping = asyncio.create_task(_keep_alive(free))
        due = time.monotonic()
        while not self._stop.is_set():
            due += self._dice.expovariate(self._job.rate)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            task = asyncio.create_task(ask_when_free(self._dice.choice(self._job.workers), due))
            asking.add(task)
            task.add_done_callback(asking.discard)
        keeping.cancel()
        await asyncio.gather(*asking, keeping, return_exceptions=True)

    async def _ask(self, worker: int, connection: Connection, due: float) -> None:
        (kind,) = self._dice.choices(KINDS, SHARES)
        item_id = self._dice.choice(self._asked_about)
        sent = time.monotonic()
        try:
            answer = await connection.ask("POST", "/v1/search", self._body(kind, item_id))
        except BrokenConnection as error:
            self._failures[f"{kind}: {error}"] += 1
            self._rows.append(Row(due, sent, time.monotonic(), worker, kind, False, "", -1))
            return
        done = time.monotonic()
        snapshot, generation = self._checked(kind, item_id, answer)
        is_ok = answer.status == 200
        self._rows.append(Row(due, sent, done, worker, kind, is_ok, snapshot, generation))

    def _body(self, kind: str, item_id: str) -> dict[str, Any]:
        if kind == "words":
            return {"query": {"text": " ".join(self._dice.sample(WORDS, 3))}, "limit": LIMIT}
        body: dict[str, Any] = {"query": {"item_id": item_id}, "limit": LIMIT}
        if kind == "exact":
            body["channels"] = [EXACT_CHANNEL]
        elif kind == "graph":
            body["channels"] = ["graph"]
        else:
            body["filter"] = {"field": "kind", "equals": CHANGING}
        return body

    def _checked(self, kind: str, item_id: str, answer: Answer) -> tuple[str, int]:
        """Return snapshot and generation of an answer, and note what is wrong with it."""
        if answer.status != 200:
            self._failures[f"{kind}: {answer.status} {answer.body[:200].decode()}"] += 1
            return "", -1
        said = answer.json
        generations = generation_of(said["hits"])
        if len(generations) > 1:
            self._mixed[f"{kind}: generations {sorted(generations)} in one answer"] += 1
        generation = max(generations, default=-1)
        if kind == "exact":
            wrong = wrong_in_exact_answer(self._items, item_id, said["hits"], generation, LIMIT)
            if wrong:
                self._mixed[f"{kind}: {wrong}"] += 1
        return said["snapshot"] or "", generation


async def _keep_alive(free: dict[int, asyncio.Queue[Connection]]) -> None:
    """Use every connection now and then: a server closes those that are idle for long."""
    while True:
        await asyncio.sleep(KEEP_ALIVE_SECONDS)
        for mine in free.values():
            for _ in range(mine.qsize()):
                connection = await mine.get()  # the one that was idle for longest
                # What is broken shows when it is asked something.
                with contextlib.suppress(BrokenConnection):
                    await connection.ask("GET", "/healthz")
                mine.put_nowait(connection)


def main(arguments: Sequence[str]) -> None:
    """Carry out the job of which the file is named."""
    job = msgspec.json.decode(Path(arguments[0]).read_bytes(), type=LoadJob)

    async def run() -> LoadReport:
        return await Load(job).run()

    report = asyncio.run(run())
    partial = Path(f"{job.report}.partial")
    partial.write_bytes(msgspec.msgpack.encode(report))
    partial.rename(job.report)


if __name__ == "__main__":
    main(sys.argv[1:])
