"""What the catalog's write transactions do; each function runs inside one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar, cast

import msgspec
from sqlalchemy import Connection, Table, bindparam, case, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningInsert

from indexer.catalog.database import CatalogError
from indexer.catalog.locations import stored_location
from indexer.catalog.records import ItemRecord, Outcome
from indexer.catalog.schema import (
    collections,
    item_channels,
    items,
    outcomes,
)

_T = TypeVar("_T")

# Below the number of parameters a statement may have in any SQLite built since 2020 (32 766).
IDS_PER_STATEMENT = 5_000

_UPSERT: Mapping[str, Callable[[Table], sqlite.Insert]] = {
    "sqlite": sqlite.insert,
    # The same methods under another class, which the annotation cannot say.
    "postgresql": cast("Callable[[Table], sqlite.Insert]", postgresql.insert),
}
_CREATED_ONCE = {"collection", "item_id", "created_at"}
_LATEST_OUTCOME = ("item_id", "state", "reason", "detail", "content_sha256", "last_seen", "run_id")
_ITEM_COLUMNS = [column.name for column in items.columns if column.name != "item_key"]


def utc_now() -> str:
    """Return the current instant, UTC, ISO 8601 with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def in_chunks(values: Sequence[_T], size: int = IDS_PER_STATEMENT) -> Iterator[Sequence[_T]]:
    """Yield ``values`` in runs of at most ``size``."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


_NEXT_SEQ = (
    update(collections)
    .where(collections.c.name == bindparam("collection"))
    .values(change_seq=collections.c.change_seq + 1)
    .returning(collections.c.change_seq)
)


def next_change_seq(connection: Connection, collection: str) -> int:
    """Take the next number of a collection; other writers of it wait until this one commits.

    Raises:
        CatalogError: the collection is not registered.
    """
    change_seq = connection.scalar(_NEXT_SEQ, {"collection": collection})
    if change_seq is None:
        raise CatalogError(
            f"no collection {collection!r} in the catalog; register_collection comes first",
            collection=collection,
        )
    return int(change_seq)


def delete_items(connection: Connection, collection: str, item_ids: Sequence[str]) -> list[str]:
    """Delete items and return the ids of those that were there; see `Catalog.delete`."""
    keys = live_item_keys(connection, collection, item_ids)
    if keys:
        change_seq = next_change_seq(connection, collection)
        mark_deleted(connection, list(keys.values()), change_seq)
    return [item_id for item_id in item_ids if item_id in keys]


def changed_since(
    connection: Connection, collection: str, item_ids: Sequence[str], after_seq: int
) -> set[str]:
    """Return those items that were written or deleted after ``after_seq``."""
    found: set[str] = set()
    for some in in_chunks(list(item_ids)):
        statement = select(items.c.item_id).where(
            items.c.collection == collection,
            items.c.item_id.in_(some),
            items.c.change_seq > after_seq,
        )
        found.update(connection.scalars(statement))
    return found


def upsert_items(
    connection: Connection, collection: str, records: Sequence[ItemRecord], change_seq: int
) -> dict[str, int]:
    """Write item rows and return ``item_id -> item_key``."""
    now = utc_now()
    rows = [_item_row(collection, record, change_seq, now) for record in records]
    # One returned row per given row, but in no promised order: hence by item_id.
    returned = connection.execute(_item_upsert(connection.dialect.name), rows)
    return {row.item_id: row.item_key for row in returned}


# Statements are built once: SQLAlchemy takes longer to build and to look up one of these than
# SQLite takes to run it.
@cache
def _item_upsert(dialect: str) -> ReturningInsert[Any]:
    statement = _UPSERT[dialect](items)
    statement = statement.on_conflict_do_update(
        index_elements=[items.c.collection, items.c.item_id],
        set_={
            name: statement.excluded[name] for name in _ITEM_COLUMNS if name not in _CREATED_ONCE
        },
    )
    return statement.returning(items.c.item_id, items.c.item_key)


def _item_row(collection: str, record: ItemRecord, change_seq: int, now: str) -> dict[str, object]:
    return {
        "collection": collection,
        "item_id": record.item_id,
        "medium": record.medium,
        "format": record.format,
        "source": record.source,
        "relative_path": record.relative_path,
        "location": stored_location(record),
        "content_sha256": record.content_sha256,
        "size_bytes": record.size_bytes,
        "mtime_ns": record.mtime_ns,
        "duration_seconds": record.duration_seconds,
        "width_px": record.width_px,
        "height_px": record.height_px,
        "attributes_json": msgspec.json.encode(record.attributes).decode(),
        "deleted": False,
        "change_seq": change_seq,
        "created_at": now,
        "updated_at": now,
    }


def record_outcomes(
    connection: Connection, collection: str, found: Sequence[Outcome], run_id: str | None
) -> None:
    """Keep the latest outcome of each location, and how often in a row it has failed."""
    if not found:
        return
    now = utc_now()
    # Of two outcomes for one location in one call the later counts.
    latest = {outcome.location: outcome for outcome in found}
    rows = [_outcome_row(collection, outcome, run_id, now) for outcome in latest.values()]
    connection.execute(_outcome_upsert(connection.dialect.name), rows)


@cache
def _outcome_upsert(dialect: str) -> sqlite.Insert:
    statement = _UPSERT[dialect](outcomes)
    new = statement.excluded
    again = (new.state == "failed") & (outcomes.c.state == "failed")
    changed = {name: new[name] for name in _LATEST_OUTCOME}
    return statement.on_conflict_do_update(
        index_elements=[outcomes.c.collection, outcomes.c.location],
        set_={
            **changed,
            "attempts": case((again, outcomes.c.attempts + 1), else_=new.attempts),
            "first_seen": case((again, outcomes.c.first_seen), else_=new.first_seen),
        },
    )


def _outcome_row(
    collection: str, outcome: Outcome, run_id: str | None, now: str
) -> dict[str, object]:
    return {
        "collection": collection,
        "location": outcome.location,
        "item_id": outcome.item_id,
        "state": outcome.state,
        "reason": outcome.reason,
        "detail": outcome.detail,
        "content_sha256": outcome.content_sha256,
        "attempts": 1 if outcome.state == "failed" else 0,
        "first_seen": now,
        "last_seen": now,
        "run_id": run_id,
    }


def live_item_keys(
    connection: Connection, collection: str, item_ids: Sequence[str]
) -> dict[str, int]:
    """Return ``item_id -> item_key`` of those that are there and not deleted."""
    found: dict[str, int] = {}
    for some in in_chunks(list(dict.fromkeys(item_ids))):
        statement = select(items.c.item_id, items.c.item_key).where(
            items.c.collection == collection,
            items.c.item_id.in_(some),
            items.c.deleted.is_(False),
        )
        found.update({row.item_id: row.item_key for row in connection.execute(statement)})
    return found


def touch(connection: Connection, item_keys: Sequence[int], change_seq: int) -> None:
    """Give items the number of a new change; they stay as they are."""
    for some in in_chunks(item_keys):
        connection.execute(
            update(items).where(items.c.item_key.in_(some)).values(change_seq=change_seq)
        )


def mark_deleted(connection: Connection, item_keys: Sequence[int], change_seq: int) -> None:
    """Leave a mark of each item that says it was deleted; its vectors and words go at once."""
    now = utc_now()
    for some in in_chunks(item_keys):
        connection.execute(delete(item_channels).where(item_channels.c.item_key.in_(some)))
        connection.execute(
            update(items)
            .where(items.c.item_key.in_(some))
            .values(deleted=True, change_seq=change_seq, attributes_json="{}", updated_at=now)
        )
