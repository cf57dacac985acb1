"""What a collection does not take in, asked inside the transaction that would store it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Column, Connection, bindparam, select, union_all

from indexer.catalog import writing
from indexer.catalog.records import ItemRecord
from indexer.catalog.schema import items, takedowns, taken_down_items
from indexer.catalog.takedown_records import Blocks, TakenDown

BLOCKING = (
    select(
        taken_down_items.c.takedown_id,
        taken_down_items.c.item_id,
        taken_down_items.c.content_sha256,
    )
    .join_from(taken_down_items, takedowns)
    .where(
        taken_down_items.c.collection == bindparam("collection"),
        takedowns.c.lifted_at.is_(None),
    )
)
"""What takedowns of a collection that were not lifted forbid."""

# Kept, since they are asked in each write: building them takes longer than asking.
_ANY = (
    select(taken_down_items.c.item_id)
    .where(taken_down_items.c.collection == bindparam("collection"))
    .limit(1)
)

# Two questions, so that SQLite uses the index of each; of one with "or" it uses none.
_BLOCKING_THESE = union_all(
    BLOCKING.where(taken_down_items.c.item_id.in_(bindparam("item_ids", expanding=True))),
    BLOCKING.where(taken_down_items.c.content_sha256.in_(bindparam("contents", expanding=True))),
)


def require_not_taken_down(
    connection: Connection, collection: str, records: Sequence[ItemRecord]
) -> None:
    """Refuse to store what was taken down; called inside the transaction that would store it.

    Raises:
        TakenDown: naming every item that is refused.
    """
    refused = refusals(connection, collection, records)
    if refused:
        raise TakenDown.of(refused)


def refusals(
    connection: Connection, collection: str, records: Sequence[ItemRecord]
) -> dict[str, str]:
    """Return the takedown that forbids each item that may not be stored, by item id."""
    if connection.scalar(_ANY, {"collection": collection}) is None:
        return {}
    rows: list[Any] = []
    for some in writing.in_chunks(records):
        asked = {
            "collection": collection,
            "item_ids": [record.item_id for record in some],
            "contents": [record.content_sha256 for record in some],
        }
        rows += connection.execute(_BLOCKING_THESE, asked)
    if not rows:
        return {}
    blocks = blocks_of(rows)
    stored = stored_rows(connection, collection, items.c.item_id, [one.item_id for one in records])
    refused: dict[str, str] = {}
    for record in records:
        row = stored.get(record.item_id)
        stored_sha256 = row.content_sha256 if row is not None and not row.deleted else None
        takedown_id = blocks.refusal(record.item_id, record.content_sha256, stored_sha256)
        if takedown_id is not None:
            refused[record.item_id] = takedown_id
    return refused


def blocks_of(rows: Iterable[Any]) -> Blocks:
    """Return the answer to `BLOCKING`."""
    by_item, by_content = {}, {}
    for row in rows:
        by_item[row.item_id] = row.takedown_id
        if row.content_sha256 is not None:
            by_content[row.content_sha256] = row.takedown_id
    return Blocks(by_item, by_content)


def stored_rows(
    connection: Connection, collection: str, column: Column[Any], values: Sequence[str]
) -> dict[str, Any]:
    """Return rows of items by id, the marks of deleted ones included."""
    found: dict[str, Any] = {}
    for some in writing.in_chunks(values):
        statement = select(
            items.c.item_id,
            items.c.item_key,
            items.c.content_sha256,
            items.c.location,
            items.c.deleted,
        ).where(items.c.collection == collection, column.in_(some))
        found.update({row.item_id: row for row in connection.execute(statement)})
    return found
