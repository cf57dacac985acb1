"""Takedowns in the catalog: items that are gone for good, and what keeps them from coming back.

A takedown blocks the ids it names and the contents these items had. An item that is there with the
same content under another id stays what it is; only new items with such content are refused.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, delete, insert, select, true, update

from indexer.catalog import writing
from indexer.catalog.database import read_transaction, write_transaction
from indexer.catalog.records import ItemRecord
from indexer.catalog.schema import items, outcomes, takedowns, taken_down_items
from indexer.catalog.takedown_blocks import (
    BLOCKING,
    blocks_of,
    require_not_taken_down,
    stored_rows,
)
from indexer.catalog.takedown_records import (
    Blocks,
    Erasure,
    Takedown,
    TakenDownItem,
    UnknownTakedown,
)


class TakedownStore:
    """The takedowns of a catalog; see `Catalog.takedowns`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def take_down(
        self,
        collection: str,
        item_ids: Sequence[str],
        *,
        same_content: bool = False,
        requested_by: str,
        reason: str | None = None,
    ) -> Takedown:
        """Remove items and block them, in one transaction: no write gets in between.

        What the catalog knew of them goes, their places included; a mark with the ``change_seq`` of
        the removal stays, so that every snapshot hides them.

        Args:
            collection: whose items.
            item_ids: ids that may be unknown: they are blocked too.
            same_content: remove and block items of equal content as well.
            requested_by: who asked.
            reason: why, for the receipt.
        """
        now = writing.utc_now()
        wanted = list(dict.fromkeys(item_ids))
        with write_transaction(self._engine) as connection:
            found = stored_rows(connection, collection, items.c.item_id, wanted)
            contents = sorted({row.content_sha256 for row in found.values()} - {""})
            equal = stored_rows(connection, collection, items.c.content_sha256, contents)
            twins = {
                item_id: row
                for item_id, row in equal.items()
                if item_id not in found and not row.deleted
            }
            targets = [_target(item_id, found.get(item_id)) for item_id in wanted]
            gone = list(found.values())
            if same_content:
                gone += twins.values()
                targets += [
                    TakenDownItem(item_id, row.content_sha256, "same_content")
                    for item_id, row in twins.items()
                ]
            remove_items(connection, collection, gone)
            takedown = Takedown(
                takedown_id=f"takedown-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}",
                collection=collection,
                requested_at=now,
                requested_by=requested_by,
                reason=reason,
                items=tuple(sorted(targets, key=lambda target: target.item_id)),
                same_content=() if same_content else tuple(sorted(twins)),
                erasures=(Erasure("vectors, words and attributes in the catalog", now),)
                if gone
                else (),
            )
            insert_takedown(connection, takedown)
        return takedown

    def get(self, collection: str, takedown_id: str) -> Takedown:
        """Return a takedown of a collection.

        Raises:
            UnknownTakedown: there is none of this id.
        """
        with read_transaction(self._engine) as connection:
            return _one(connection, collection, takedown_id)

    def active(self, collection: str) -> list[Takedown]:
        """Return the takedowns of a collection that were not lifted, oldest first."""
        with read_transaction(self._engine) as connection:
            return read_takedowns(
                connection,
                (takedowns.c.collection == collection) & takedowns.c.lifted_at.is_(None),
            )

    def all(self) -> list[Takedown]:
        """Return every takedown of every collection, lifted ones too, oldest first."""
        with read_transaction(self._engine) as connection:
            return read_takedowns(connection, true())

    def blocks(self, collection: str) -> Blocks:
        """Return everything that a collection does not take in."""
        with read_transaction(self._engine) as connection:
            rows = connection.execute(BLOCKING, {"collection": collection}).all()
        return blocks_of(rows)

    def require_not_taken_down(self, collection: str, record: ItemRecord) -> None:
        """Refuse an item that may not be stored, before anything is made for it.

        Raises:
            TakenDown: naming the takedown.
        """
        with read_transaction(self._engine) as connection:
            require_not_taken_down(connection, collection, [record])

    def lift(self, collection: str, takedown_id: str, *, lifted_by: str) -> Takedown:
        """Allow again what a takedown forbids; nothing comes back by itself.

        A second time changes nothing.

        Raises:
            UnknownTakedown: there is none of this id.
        """
        with write_transaction(self._engine) as connection:
            connection.execute(
                update(takedowns)
                .where(
                    takedowns.c.collection == collection,
                    takedowns.c.takedown_id == takedown_id,
                    takedowns.c.lifted_at.is_(None),
                )
                .values(lifted_at=writing.utc_now(), lifted_by=lifted_by)
            )
            return _one(connection, collection, takedown_id)

    def note_erased(self, takedown_id: str, what: Iterable[str], *, last: bool = False) -> None:
        """Add to a receipt what has been erased now.

        Args:
            takedown_id: whose receipt.
            what: one entry each.
            last: nothing holds the items any more.
        """
        now = writing.utc_now()
        with write_transaction(self._engine) as connection:
            where = takedowns.c.takedown_id == takedown_id
            known = read_takedowns(connection, where)[0]
            erasures = [*known.erasures, *(Erasure(one, now) for one in what)]
            erased_at = known.erased_at or (now if last else None)
            connection.execute(
                update(takedowns)
                .where(where)
                .values(erasures_json=_json(erasures), erased_at=erased_at)
            )


def insert_takedown(connection: Connection, takedown: Takedown) -> None:
    """Store a takedown; what it forbids is removed by `remove_items`."""
    connection.execute(
        insert(takedowns).values(
            takedown_id=takedown.takedown_id,
            collection=takedown.collection,
            requested_at=takedown.requested_at,
            requested_by=takedown.requested_by,
            reason=takedown.reason,
            same_content_json=_json(takedown.same_content),
            erasures_json=_json(takedown.erasures),
            erased_at=takedown.erased_at,
            lifted_at=takedown.lifted_at,
            lifted_by=takedown.lifted_by,
        )
    )
    rows = [
        {
            "takedown_id": takedown.takedown_id,
            "item_id": item.item_id,
            "collection": takedown.collection,
            "content_sha256": item.content_sha256,
            "state": item.state,
        }
        for item in takedown.items
    ]
    connection.execute(insert(taken_down_items), rows)


def _target(item_id: str, row: Any) -> TakenDownItem:
    if row is None:
        return TakenDownItem(item_id, None, "unknown")
    # An item without bytes of its own has nothing that others could have in common with it.
    content_sha256 = row.content_sha256 or None
    return TakenDownItem(item_id, content_sha256, "deleted_before" if row.deleted else "removed")


def remove_items(connection: Connection, collection: str, rows: Sequence[Any]) -> None:
    """Leave nothing of items but the mark that they are gone."""
    there = [row.item_key for row in rows if not row.deleted]
    if there:
        change_seq = writing.next_change_seq(connection, collection)
        writing.mark_deleted(connection, there, change_seq)
    for some in writing.in_chunks(rows):
        connection.execute(
            update(items)
            .where(items.c.item_key.in_([row.item_key for row in some]))
            .values(
                source="",
                relative_path="",
                location="",
                size_bytes=0,
                mtime_ns=0,
                duration_seconds=None,
                width_px=None,
                height_px=None,
            )
        )
        connection.execute(
            delete(outcomes).where(
                outcomes.c.collection == collection,
                outcomes.c.location.in_([row.location for row in some])
                | outcomes.c.item_id.in_([row.item_id for row in some]),
            )
        )


def _one(connection: Connection, collection: str, takedown_id: str) -> Takedown:
    found = read_takedowns(
        connection,
        (takedowns.c.collection == collection) & (takedowns.c.takedown_id == takedown_id),
    )
    if not found:
        raise UnknownTakedown(
            f"collection {collection!r} has no takedown {takedown_id!r}", takedown=takedown_id
        )
    return found[0]


def read_takedowns(connection: Connection, where: Any) -> list[Takedown]:
    """Return the takedowns for which a condition on their table holds, oldest first."""
    targets: dict[str, list[TakenDownItem]] = {}
    statement = (
        select(
            taken_down_items.c.takedown_id,
            taken_down_items.c.item_id,
            taken_down_items.c.content_sha256,
            taken_down_items.c.state,
        )
        .join_from(taken_down_items, takedowns)
        .where(where)
        .order_by(taken_down_items.c.item_id)
    )
    for row in connection.execute(statement):
        targets.setdefault(row.takedown_id, []).append(TakenDownItem(*row[1:]))
    rows = connection.execute(
        select(takedowns).where(where).order_by(takedowns.c.requested_at, takedowns.c.takedown_id)
    )
    return [
        Takedown(
            takedown_id=row.takedown_id,
            collection=row.collection,
            requested_at=row.requested_at,
            requested_by=row.requested_by,
            reason=row.reason,
            items=tuple(targets[row.takedown_id]),
            same_content=tuple(msgspec.json.decode(row.same_content_json, type=list[str])),
            erasures=tuple(msgspec.json.decode(row.erasures_json, type=list[Erasure])),
            erased_at=row.erased_at,
            lifted_at=row.lifted_at,
            lifted_by=row.lifted_by,
        )
        for row in rows
    ]


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
