"""Writes that arrive one by one while others go on: each is one transaction, durable when it ends.

They need no lock of the collection. Of two writes of one item the one that commits last is what
stays, whole: no write keeps rows of the one before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, update

from indexer.catalog import encodings, reading, writing
from indexer.catalog.database import write_transaction
from indexer.catalog.idempotency import (
    KeyClaim,
    StoredAnswer,
    claim_key,
    release_key,
    settle_key,
)
from indexer.catalog.records import Applied, Change, ItemWrite
from indexer.catalog.schema import write_job_operations
from indexer.catalog.takedown_blocks import require_not_taken_down


@dataclass(frozen=True, slots=True)
class Changed:
    """What came of changes."""

    change_seq: int
    """The collection's number after them."""

    applied: tuple[Applied, ...]
    """In the order of the changes."""


class LiveWrites:
    """The write transactions of the API.

    Args:
        engine: `Catalog.engine`.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def change(
        self,
        collection: str,
        changes: Sequence[Change],
        answer: Callable[[Changed], StoredAnswer],
        claim: KeyClaim | None = None,
        guard: Callable[[], None] = lambda: None,
    ) -> tuple[Changed, StoredAnswer]:
        """Store and delete items in the order given, all or nothing.

        Args:
            collection: a registered collection.
            changes: what is to be done.
            answer: tells what to answer; when it raises, nothing is done.
            claim: under which the answer is kept, in the same transaction.
            guard: asked, if items are stored, while nobody else can write; when it raises, nothing
                is done.

        Raises:
            CatalogError: the collection is not registered.
            KeyInUse: another attempt has taken the claim over; nothing was done.
            TakenDown: an item was taken down and may not come back.
            ValueError: a vector holds NaN or infinity, or channels are to be kept.
        """
        with write_transaction(self._engine) as connection:
            if any(isinstance(change, ItemWrite) for change in changes):
                guard()
            changed = apply_changes(connection, collection, changes)
            supersede(connection, collection, [_item_id(change) for change in changes])
            answered = answer(changed)
            if claim is not None:
                settle_key(connection, claim, answered)
            return changed, answered

    def claim(self, claim: KeyClaim) -> StoredAnswer | None:
        """Claim a key, or return what its request was answered with; see `claim_key`."""
        with write_transaction(self._engine) as connection:
            return claim_key(connection, claim)

    def release(self, claim: KeyClaim) -> None:
        """Give a claim up; nothing happens where it was settled or taken over."""
        with write_transaction(self._engine) as connection:
            release_key(connection, claim)


def apply_changes(connection: Connection, collection: str, changes: Sequence[Change]) -> Changed:
    """Carry out changes inside a write transaction; see `LiveWrites.change`."""
    ids = [_item_id(change) for change in changes]
    writes = [change for change in changes if isinstance(change, ItemWrite)]
    encodings.require_finite(writes)
    require_not_taken_down(connection, collection, [write.item for write in writes])
    alive = set(writing.live_item_keys(connection, collection, ids))
    if not alive and not writes:
        # Deletions of nothing are no change that anybody has to read.
        seq = reading.change_seq(connection, collection)
        return Changed(seq, tuple("absent" for _ in changes))
    seq = writing.next_change_seq(connection, collection)
    applied: list[Applied] = []
    for change in changes:
        if isinstance(change, ItemWrite):
            applied.append("replaced" if change.item.item_id in alive else "created")
            _write_whole(connection, collection, change, seq)
            alive.add(change.item.item_id)
        elif change.item_id in alive:
            keys = writing.live_item_keys(connection, collection, [change.item_id])
            writing.mark_deleted(connection, list(keys.values()), seq)
            alive.discard(change.item_id)
            applied.append("deleted")
        else:
            applied.append("absent")
    return Changed(seq, tuple(applied))


def supersede(connection: Connection, collection: str, item_ids: Sequence[str]) -> None:
    """Drop what jobs accepted so far have still to do with items that are written now."""
    table = write_job_operations
    for some in writing.in_chunks(list(item_ids)):
        connection.execute(
            update(table)
            .where(
                table.c.collection == collection,
                table.c.item_id.in_(some),
                table.c.state == "pending",
            )
            .values(state="superseded", operation_json="")
        )


def _write_whole(connection: Connection, collection: str, write: ItemWrite, seq: int) -> None:
    if write.kept_channels:
        raise ValueError(
            f"item {write.item.item_id!r}: kept channels {sorted(write.kept_channels)} may be "
            "those of another write by now"
        )
    keys = writing.upsert_items(connection, collection, [write.item], seq)
    encodings.replace_channels(connection, [write], keys)


def _item_id(change: Change) -> str:
    return change.item.item_id if isinstance(change, ItemWrite) else change.item_id
