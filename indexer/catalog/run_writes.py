"""What a run stores while others write the same collection.

A run decides from what it read when it began. What somebody else wrote or deleted since was
acknowledged to them, so the run leaves it alone; the next run sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from indexer.catalog import encodings, writing
from indexer.catalog.catalog import Catalog
from indexer.catalog.database import write_transaction
from indexer.catalog.records import Failure, ItemWrite, Outcome, OutcomeState
from indexer.catalog.takedown_blocks import require_not_taken_down

CHANGED_MEANWHILE = "changed_meanwhile"


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """A write that a run gave up."""

    write: ItemWrite

    state: OutcomeState
    """What the run had counted it as."""

    outcome: Outcome
    """What it is instead."""


class RunWrites:
    """The catalog as one run writes it.

    Args:
        catalog: where items go.
        since_seq: the collection's number when the run read what it decides from.
        on_left: told of each write that was given up.
    """

    def __init__(
        self, catalog: Catalog, since_seq: int, on_left: Callable[[LeftAlone], object]
    ) -> None:
        self._catalog = catalog
        self._since_seq = since_seq
        self._on_left = on_left

    def failures(self, collection: str) -> Sequence[Failure]:
        """See `Catalog.failures`."""
        return self._catalog.failures(collection)

    def write(
        self,
        collection: str,
        writes: Sequence[ItemWrite],
        outcomes: Sequence[Outcome],
        *,
        run_id: str | None,
    ) -> None:
        """Store items that nobody else changed since the run began, and all outcomes.

        Raises:
            TakenDown: naming items that were taken down; nothing was stored.
        """
        by_id = {outcome.item_id: outcome for outcome in outcomes}
        with write_transaction(self._catalog.engine) as connection:
            # First: what was taken down changed as well, and shall be called what it is.
            require_not_taken_down(connection, collection, [write.item for write in writes])
            changed = writing.changed_since(
                connection, collection, [write.item.item_id for write in writes], self._since_seq
            )
            left = [_left(write, by_id) for write in writes if write.item.item_id in changed]
            instead = {one.outcome.location: one.outcome for one in left}
            encodings.store(
                connection,
                collection,
                [write for write in writes if write.item.item_id not in changed],
                [
                    *(one for one in outcomes if one.location not in instead),
                    *instead.values(),
                ],
                run_id,
            )
        for each in left:
            self._on_left(each)

    def delete(self, collection: str, item_ids: Iterable[str]) -> list[str]:
        """Delete items that nobody else changed since the run began; return those deleted."""
        wanted = list(dict.fromkeys(item_ids))
        with write_transaction(self._catalog.engine) as connection:
            changed = writing.changed_since(connection, collection, wanted, self._since_seq)
            return writing.delete_items(
                connection, collection, [each for each in wanted if each not in changed]
            )


def _left(write: ItemWrite, outcomes: dict[str | None, Outcome]) -> LeftAlone:
    item = write.item
    # An unchanged file whose attributes are new has no outcome of its own.
    unchanged = Outcome(item.location, item.item_id, "unchanged")
    outcome = outcomes.get(item.item_id, unchanged)
    instead = replace(
        outcome,
        state="skipped",
        reason=CHANGED_MEANWHILE,
        detail=f"item {item.item_id!r} was written or deleted by somebody else while this run went "
        "on, and stays as they left it",
    )
    return LeftAlone(write, outcome.state, instead)
