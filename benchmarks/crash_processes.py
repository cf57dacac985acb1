"""Processes of the crash suite: one prepares, one reindexes, one asks, one measures recall."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.crash_writers import (
    NUM_ITEMS,
    Stop,
    catalog_writes,
    item_name,
    num_segments,
)
from benchmarks.made_up_items import (
    COLLECTION,
    made_up_collection,
    made_up_identities,
    made_up_vectors,
    made_up_write,
)
from benchmarks.write_ledger import Ledger, LedgerLog
from benchmarks.write_points import step_name, watching
from indexer.ann.exact_index import ExactIndex
from indexer.catalog.catalog import Catalog
from indexer.data_dir import DataDir
from indexer.live_view import LiveCollection, LiveView
from indexer.lock import writer_lock
from indexer.reindex import reindex

PINNED = tuple(f"pinned-{number}" for number in range(8))
"""Items that nobody touches: every probe finds them."""

DELETED = "deleted-long-ago"
TAKEN_DOWN = "taken-down-long-ago"
NUM_PROBED = 20
PROBE_PAUSE_SECONDS = 0.02
RECALL_K = 10


def prepare(data_dir: DataDir, ledger: Path) -> None:
    """Fill a new data folder with a first state that is published."""
    with catalog_writes(data_dir) as writes, LedgerLog(ledger) as log:
        catalog = writes.catalog
        catalog.register_collection(made_up_collection())
        items = (item_name(number) for number in range(NUM_ITEMS))
        item_ids = (*PINNED, DELETED, TAKEN_DOWN, *items)
        identities = made_up_identities()
        catalog.write(COLLECTION, [made_up_write(item_id, 0, identities) for item_id in item_ids])
        for item_id in item_ids:
            with log.deed("put", item_id):
                pass  # written above, all at once
        with log.deed("delete", DELETED):
            writes.delete(DELETED)
        with log.deed("takedown", TAKEN_DOWN):
            writes.take_down(TAKEN_DOWN)
    run_reindex(data_dir)


def run_reindex(
    data_dir: DataDir, *, die_at: tuple[str, int] | None = None, count_steps: bool = False
) -> dict[str, int]:
    """Reindex as the command does, in a process group of its own.

    Args:
        data_dir: which data folder.
        die_at: a step and its how-manieth time, from 1, before which the whole group is killed.
        count_steps: whether to count them.

    Returns:
        How often each step came, in the order of the first times.
    """
    os.setpgid(0, 0)
    steps: dict[str, int] = {}

    def on_point(action: str, path: str) -> None:
        step = step_name(action, path, data_dir.root)
        steps[step] = steps.get(step, 0) + 1
        if (step, steps[step]) == die_at:
            os.killpg(0, signal.SIGKILL)

    watched = watching(data_dir.root, on_point) if die_at or count_steps else nullcontext()
    with (
        Catalog.open(data_dir) as catalog,
        watched,
        writer_lock(data_dir, COLLECTION, "kindred reindex"),
    ):
        reindex(catalog, data_dir, made_up_collection(), made_up_identities())
    return steps


def probe_until_told(data_dir: DataDir, ledger: Path, report: Path) -> None:
    """Search as a server does until SIGTERM, and write down how that went."""
    stop, known = Stop(), Ledger()
    num_answers, longest_seconds, problems = 0, 0.0, Counter[str]()
    with Catalog.open(data_dir) as catalog, ledger.open(encoding="utf-8") as log:
        live = LiveCollection(catalog, data_dir, made_up_collection(), made_up_identities())
        answered = time.monotonic()
        while not stop.asked:
            known.take(log.read())
            try:
                live.refresh()
                problems.update(_probe_problems(live.view(), known.taken_down | {DELETED}))
                num_answers += 1
            except Exception as error:  # whatever it is, a probe was not answered
                problems[f"{type(error).__name__}: {error}"] += 1
            now = time.monotonic()
            longest_seconds, answered = max(longest_seconds, now - answered), now
            time.sleep(PROBE_PAUSE_SECONDS)
    found = {"answers": num_answers, "longest_seconds": longest_seconds, "problems": problems}
    report.write_text(json.dumps(found), encoding="utf-8")


def _probe_problems(view: LiveView, gone: set[str]) -> Iterator[str]:
    """Search a view and yield what is wrong.

    Args:
        view: read after everything in ``gone`` had gone.
        gone: items that nobody may find any more.
    """
    queries = np.concatenate([made_up_vectors(item_id, 0)[:1] for item_id in PINNED])
    for channel in view.channels:
        found = view.search(channel, queries, NUM_PROBED).rows
        item_rows = view.segments(channel, found.ravel()).item_rows
        names = view.items.column("item_id").take(item_rows).to_pylist()
        best = names[::NUM_PROBED]
        if channel != "graph" and best != list(PINNED):
            yield f"channel {channel} found {best} for {PINNED}"
        for item_id in gone.intersection(names):
            yield f"channel {channel} found {item_id}, which is gone"
    for item_id in gone:
        if view.item_row(item_id) is not None:
            yield f"{item_id} is back"


def recall_of_graph(data_dir: DataDir) -> float:
    """Return recall@10 of the one approximate channel against exact search, on fixed questions."""
    with Catalog.open(data_dir) as catalog:
        live = LiveCollection(catalog, data_dir, made_up_collection(), made_up_identities())
        view = live.view()
        rows = np.concatenate(
            [view.segment_rows("graph", row) for row in np.flatnonzero(view.live).tolist()]
        )
        exact = ExactIndex("made-up-space", view.channels["graph"].dim, view.vectors("graph", rows))
        queries = np.concatenate([made_up_vectors("question", number) for number in range(200)])
        truth = rows[exact.search(queries, RECALL_K).rows]
        found = view.search("graph", queries, RECALL_K).rows
    return _recall(found, truth)


def _recall(found: NDArray[np.int64], truth: NDArray[np.int64]) -> float:
    hits = [len(set(one) & set(other)) for one, other in zip(found, truth, strict=True)]
    return sum(hits) / truth.size


def rebuild(data_dir: DataDir, copy: DataDir) -> None:
    """Write what a data folder holds into a new one at once and reindex without interruption."""
    with Catalog.open(data_dir) as catalog, Catalog.open(copy) as other:
        other.register_collection(made_up_collection())
        identities = made_up_identities()
        writes = [
            made_up_write(
                known.item.item_id,
                int(str(known.item.attributes["version"])),
                identities,
                num_segments(known.item),
            )
            for known in catalog.known_items(COLLECTION)
        ]
        other.write(COLLECTION, writes)
    run_reindex(copy)
