"""Bringing takedowns into a catalog that does not know them, as one from an older backup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Engine, update

from indexer.catalog import writing
from indexer.catalog.database import write_transaction
from indexer.catalog.schema import items, takedowns
from indexer.catalog.takedown_blocks import stored_rows
from indexer.catalog.takedown_records import Erasure, Takedown
from indexer.catalog.takedowns import insert_takedown, read_takedowns, remove_items


@dataclass(frozen=True, slots=True)
class MergedTakedowns:
    """What came of bringing takedowns in."""

    brought: tuple[Takedown, ...] = ()
    """Those that were not known; lifted ones among them forbid nothing."""

    lifted: tuple[str, ...] = ()
    """Known ones that had been lifted elsewhere, and are now."""

    hidden_items: tuple[str, ...] = ()
    """Items that were there and are gone now, as ``collection/item``."""


def merge_takedowns(engine: Engine, listed: Sequence[Takedown]) -> MergedTakedowns:
    """Bring takedowns in and carry them out, all or none.

    An item goes if a takedown names it, and also if it only has the content of one: its name may
    have been another when this catalog was saved. Items of equal content that were left alone then
    are left alone.

    Args:
        engine: `Catalog.engine`.
        listed: from another state of the same collections.
    """
    brought: list[Takedown] = []
    lifted: list[str] = []
    hidden: list[str] = []
    with write_transaction(engine) as connection:
        known = {
            one.takedown_id: one
            for one in read_takedowns(
                connection, takedowns.c.takedown_id.in_([one.takedown_id for one in listed])
            )
        }
        for takedown in listed:
            before = known.get(takedown.takedown_id)
            if before is None:
                merged, gone = _brought(connection, takedown)
                brought.append(merged)
                hidden += [f"{takedown.collection}/{item_id}" for item_id in gone]
            elif before.lifted_at is None and takedown.lifted_at is not None:
                _lift(connection, takedown)
                lifted.append(takedown.takedown_id)
    return MergedTakedowns(tuple(brought), tuple(lifted), tuple(hidden))


def _brought(connection: Connection, takedown: Takedown) -> tuple[Takedown, list[str]]:
    """Insert a takedown and remove what it forbids; return it and the ids that are gone."""
    if takedown.lifted_at is not None:
        insert_takedown(connection, takedown)
        return takedown, []
    rows: dict[str, Any] = {
        **stored_rows(connection, takedown.collection, items.c.content_sha256, takedown.contents),
        **stored_rows(connection, takedown.collection, items.c.item_id, takedown.item_ids),
    }
    for item_id in set(takedown.same_content) - set(takedown.item_ids):
        rows.pop(item_id, None)
    gone = sorted(item_id for item_id, row in rows.items() if not row.deleted)
    remove_items(connection, takedown.collection, list(rows.values()))
    # Whatever was erased then may be back: that is found out with the next snapshot.
    erased = takedown.erasures
    if gone:
        erased += (
            Erasure("vectors, words and attributes in a restored catalog", writing.utc_now()),
        )
    merged = replace(takedown, erasures=erased, erased_at=None)
    insert_takedown(connection, merged)
    return merged, gone


def _lift(connection: Connection, takedown: Takedown) -> None:
    connection.execute(
        update(takedowns)
        .where(takedowns.c.takedown_id == takedown.takedown_id)
        .values(lifted_at=takedown.lifted_at, lifted_by=takedown.lifted_by)
    )
