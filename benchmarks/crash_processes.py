"""The processes of the crash suite: one reindexes, one writes, one asks, one looks at the rest."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.made_up_items import (
    COLLECTION,
    content_sha256,
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
from indexer.publish import kept_snapshots
from indexer.reindex import reindex

NUM_ITEMS = 120
"""Items that writers put and delete."""

PINNED = tuple(f"pinned-{number}" for number in range(8))
"""Items that nobody touches: every probe finds them."""

DELETED = "deleted-long-ago"
SHARE_OF_DELETES = 0.3
PROBE_PAUSE_SECONDS = 0.02
MAX_WRITE_PAUSE_SECONDS = 0.004
RECALL_K = 10


class Writes(Protocol):
    """A way to write that is under test: the catalog's own, or one that stands before it."""

    def put(self, item_id: str, version: int) -> None:
        """Store an item of this version; return when that is acknowledged."""
        ...

    def delete(self, item_id: str) -> None:
        """Delete an item, or do nothing if it is not there."""
        ...


OpenWrites = Callable[[DataDir], AbstractContextManager[Writes]]


class CatalogWrites:
    """What `kindred ingest` and `kindred delete` do in the end."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def put(self, item_id: str, version: int) -> None:
        """Store an item of this version."""
        write = made_up_write(item_id, version, made_up_identities())
        self._catalog.write(COLLECTION, [write])

    def delete(self, item_id: str) -> None:
        """Delete an item, or do nothing if it is not there."""
        self._catalog.delete(COLLECTION, [item_id])


@contextmanager
def catalog_writes(data_dir: DataDir) -> Iterator[CatalogWrites]:
    """Open the catalog for writing."""
    with Catalog.open(data_dir) as catalog:
        yield CatalogWrites(catalog)


def prepare(data_dir: DataDir, ledger: Path) -> None:
    """Fill a new data folder with a first state that is published."""
    with Catalog.open(data_dir) as catalog, LedgerLog(ledger) as log:
        catalog.register_collection(made_up_collection())
        item_ids = (*PINNED, DELETED, *(item_name(number) for number in range(NUM_ITEMS)))
        identities = made_up_identities()
        catalog.write(COLLECTION, [made_up_write(item_id, 0, identities) for item_id in item_ids])
        for item_id in item_ids:
            with log.deed("put", item_id):
                pass  # written above, all at once
        with log.deed("delete", DELETED):
            catalog.delete(COLLECTION, [DELETED])
    run_reindex(data_dir)


def item_name(number: int) -> str:
    """Return the id of an item that writers use."""
    return f"item-{number:04d}"


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


class _Stop:
    """Set by SIGTERM; a flag shared between processes could be left locked by a killed one."""

    def __init__(self) -> None:
        self.asked = False
        signal.signal(signal.SIGTERM, self._ask)

    def _ask(self, *_: object) -> None:
        self.asked = True


def write_until_told(
    data_dir: DataDir, ledger: Path, open_writes: OpenWrites, seed: int, first_version: int
) -> None:
    """Put and delete items at random until SIGTERM, and note every acknowledgement."""
    stop, moments, version = _Stop(), random.Random(seed), first_version
    with open_writes(data_dir) as writes, LedgerLog(ledger) as log:
        while not stop.asked:
            item_id = item_name(moments.randrange(NUM_ITEMS))
            if moments.random() < SHARE_OF_DELETES:
                with log.deed("delete", item_id):
                    writes.delete(item_id)
            else:
                version += 1
                with log.deed("put", item_id, version):
                    writes.put(item_id, version)
            time.sleep(moments.uniform(0, MAX_WRITE_PAUSE_SECONDS))


def probe_until_told(data_dir: DataDir, report: Path) -> None:
    """Search as a server does until SIGTERM, and write down how that went."""
    stop = _Stop()
    num_answers, longest_seconds, problems = 0, 0.0, Counter[str]()
    with Catalog.open(data_dir) as catalog:
        live = LiveCollection(catalog, data_dir, made_up_collection(), made_up_identities())
        answered = time.monotonic()
        while not stop.asked:
            try:
                live.refresh()
                problems.update(_probe_problems(live.view()))
                num_answers += 1
            except Exception as error:  # whatever it is, a probe was not answered
                problems[f"{type(error).__name__}: {error}"] += 1
            now = time.monotonic()
            longest_seconds, answered = max(longest_seconds, now - answered), now
            time.sleep(PROBE_PAUSE_SECONDS)
    found = {"answers": num_answers, "longest_seconds": longest_seconds, "problems": problems}
    report.write_text(json.dumps(found), encoding="utf-8")


def _probe_problems(view: LiveView) -> Iterator[str]:
    queries = np.concatenate([made_up_vectors(item_id, 0)[:1] for item_id in PINNED])
    for channel in view.channels:
        found = view.search(channel, queries, 3)
        best = view.segments(channel, found.rows[:, 0]).item_rows
        names = view.items.column("item_id").take(best).to_pylist()
        if channel != "graph" and names != list(PINNED):
            yield f"channel {channel} found {names} for {PINNED}"
    if view.item_row(DELETED) is not None:
        yield f"{DELETED} is back"


def look(data_dir: DataDir, ledger_path: Path) -> list[str]:
    """Return everything that differs from what was acknowledged: catalog, view and snapshots."""
    ledger = Ledger.read(ledger_path)
    with Catalog.open(data_dir) as catalog:
        catalog.check_integrity()
        versions_by_sha = {
            content_sha256(item_id, version): version
            for item_id, versions in ledger.versions.items()
            for version in versions
            if version is not None
        }
        stored = {
            known.item.item_id: versions_by_sha.get(known.item.content_sha256, -1)
            for known in catalog.known_items(COLLECTION)
        }
        problems = ledger.problems(stored, "catalog")
        live = LiveCollection(catalog, data_dir, made_up_collection(), made_up_identities())
        view = live.view()
        problems += _view_problems(view, stored)
        kept = kept_snapshots(data_dir, COLLECTION)
        if not any(one.is_live for one in kept):
            problems.append("no finished snapshot is the live one")
    return problems


def _view_problems(view: LiveView, stored: dict[str, int]) -> list[str]:
    """Compare every live item of a view, and each of its vectors, with the catalog."""
    live_rows = np.flatnonzero(view.live)
    names = view.items.column("item_id").take(live_rows).to_pylist()
    problems = [
        f"view: {item_id} is there {count} times"
        for item_id, count in Counter(names).items()
        if count > 1
    ]
    if set(names) != set(stored):
        problems.append(f"view: differs from the catalog in {sorted(set(names) ^ set(stored))}")
    for channel in view.channels:
        for row, item_id in zip(live_rows.tolist(), names, strict=True):
            held = view.vectors(channel, view.segment_rows(channel, row))
            expected = made_up_vectors(item_id, stored.get(item_id, -1))
            if held.shape != expected.shape or np.abs(held - expected).max() > 1e-3:  # float16
                problems.append(f"view: channel {channel} holds other vectors of {item_id}")
    return problems


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
                known.item.item_id, int(str(known.item.attributes["version"])), identities
            )
            for known in catalog.known_items(COLLECTION)
        ]
        other.write(COLLECTION, writes)
    run_reindex(copy)
