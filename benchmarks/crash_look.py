"""What is left after a kill, compared with what was acknowledged: by a fresh process each time."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.crash_writers import REQUESTED_BY, is_upload, num_segments
from benchmarks.made_up_items import (
    COLLECTION,
    content_sha256,
    made_up_collection,
    made_up_identities,
    made_up_text,
    made_up_vectors,
    made_up_write,
)
from benchmarks.write_ledger import Ledger
from encoders.space import Vectors
from indexer.catalog.catalog import Catalog
from indexer.catalog.locations import UPLOADED
from indexer.catalog.records import ItemRecord, ItemWrite
from indexer.catalog.takedown_records import TakenDown
from indexer.data_dir import DataDir
from indexer.live_view import LiveCollection, LiveView
from indexer.publish import finished_snapshots, kept_snapshots, roll_back
from indexer.snapshot_files import mapped_items
from indexer.takedown import read_receipt

NEVER_WRITTEN = -1
NUM_TRIED_AGAIN = 3
"""Takedowns of which each look tries to take the items in again."""


def look(data_dir: DataDir, ledger_path: Path) -> list[str]:
    """Return everything that differs from what was acknowledged: catalog, view and snapshots."""
    ledger = Ledger.read(ledger_path)
    with Catalog.open(data_dir) as catalog:
        catalog.check_integrity()
        known = [one.item for one in catalog.known_items(COLLECTION)]
        stored = {item.item_id: _version(item) for item in known}
        problems = ledger.problems(stored, "catalog")
        problems += [problem for item in known if (problem := _lost_original(item))]
        problems += _taken_in_again(catalog, ledger)
        live = LiveCollection(catalog, data_dir, made_up_collection(), made_up_identities())
        problems += _view_problems(live.view(), {item.item_id: _vectors(item) for item in known})
        kept = kept_snapshots(data_dir, COLLECTION)
        if not any(one.is_live for one in kept):
            problems.append("no finished snapshot is the live one")
    return problems


def roll_back_to_any(data_dir: DataDir, seed: int) -> None:
    """Serve one of the kept snapshots that is not the live one, if there is one."""
    others = [one for one in kept_snapshots(data_dir, COLLECTION) if not one.is_live]
    if others:
        chosen = random.Random(seed).choice(others).manifest.snapshot_id
        roll_back(data_dir, COLLECTION, made_up_identities(), snapshot_id=chosen)


def look_at_takedowns(data_dir: DataDir, ledger_path: Path) -> list[str]:
    """Return what is left of taken down items after every snapshot from before was replaced."""
    taken_down = Ledger.read(ledger_path).taken_down
    problems = []
    for path in finished_snapshots(data_dir, COLLECTION):
        held = taken_down.intersection(mapped_items(path).column("item_id").to_pylist())
        problems += [f"snapshot {path.name} still holds {item_id}" for item_id in sorted(held)]
    with Catalog.open(data_dir) as catalog:
        for takedown in catalog.takedowns.active(COLLECTION):
            receipt = read_receipt(catalog, data_dir, COLLECTION, takedown.takedown_id)
            if receipt.takedown.erased_at is None:
                held_by = receipt.as_json()["held_by"]
                problems.append(f"{takedown.takedown_id} is not erased; held by {held_by}")
    return problems


def _version(item: ItemRecord) -> int:
    """Return the version that an item says it has, if its content is that of this version."""
    version = int(str(item.attributes["version"]))
    if item.source == UPLOADED:  # it has the content of a request; its vectors tell
        return version
    is_so = item.content_sha256 == content_sha256(item.item_id, version)
    return version if is_so else NEVER_WRITTEN


def _vectors(item: ItemRecord) -> Vectors:
    return made_up_vectors(item.item_id, _version(item))[: num_segments(item)]


def _lost_original(item: ItemRecord) -> str | None:
    if not is_upload(item):
        return None
    try:
        words = Path(item.location).read_text(encoding="utf-8")
    except OSError as error:
        return f"the original of {item.item_id} is lost: {error}"
    if words != made_up_text(item.item_id, _version(item)):
        return f"the original of {item.item_id} is another: {words!r}"
    return None


def _taken_in_again(catalog: Catalog, ledger: Ledger) -> Iterator[str]:
    """Try to take in again what was taken down, by id and by content; all of it is refused."""
    takedowns = catalog.takedowns.active(COLLECTION)
    known = {item.item_id for takedown in takedowns for item in takedown.items}
    for item_id in ledger.taken_down - known:
        yield f"the takedown of {item_id} is lost"
    for takedown in takedowns[-NUM_TRIED_AGAIN:]:
        if takedown.requested_by != REQUESTED_BY:
            yield f"{takedown.takedown_id} was requested by {takedown.requested_by}"
        for item in takedown.items:
            again = made_up_write(item.item_id, 0, made_up_identities())
            tries = {"id": again}
            if item.content_sha256 is not None:
                copy = replace(
                    again.item,
                    item_id=f"copy-of-{item.item_id}",
                    content_sha256=item.content_sha256,
                )
                tries["content"] = ItemWrite(copy, again.channels)
            for by, write in tries.items():
                if _is_taken(catalog, write):
                    yield f"{item.item_id} was taken down and is taken in again by its {by}"


def _is_taken(catalog: Catalog, write: ItemWrite) -> bool:
    try:
        catalog.write(COLLECTION, [write])
    except TakenDown:
        return False
    return True


def _view_problems(view: LiveView, stored: Mapping[str, Vectors]) -> Iterator[str]:
    """Compare every live item of a view, and each of its vectors, with the catalog."""
    live_rows = np.flatnonzero(view.live)
    names = view.items.column("item_id").take(live_rows).to_pylist()
    for item_id, count in Counter(names).items():
        if count > 1:
            yield f"view: {item_id} is there {count} times"
    if set(names) != set(stored):
        yield f"view: differs from the catalog in {sorted(set(names) ^ set(stored))}"
    for channel in view.channels:
        for row, item_id in zip(live_rows.tolist(), names, strict=True):
            held = view.vectors(channel, view.segment_rows(channel, row))
            expected = stored.get(item_id)
            if expected is None:
                continue  # told above
            if held.shape != expected.shape or np.abs(held - expected).max() > 1e-3:  # float16
                yield f"view: channel {channel} holds other vectors of {item_id}"
