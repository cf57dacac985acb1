"""The catalog: the one truth about items, their vectors and what became of every file.

Everything that belongs together commits in one transaction, and a call that returned is durable.
Several threads and processes may use it at the same time; writers wait for each other.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from sqlalchemy import Engine, delete, insert, update

from encoders.media.content import Medium, Transcript
from indexer.catalog import encodings, reading, writing
from indexer.catalog.database import (
    CatalogError,
    open_engine,
    read_transaction,
    rewrite_database,
    sqlite_url,
    write_transaction,
)
from indexer.catalog.locations import located
from indexer.catalog.records import (
    ChannelVectors,
    CollectionRow,
    Counts,
    Failure,
    ItemRecord,
    ItemWrite,
    KnownItem,
    Outcome,
)
from indexer.catalog.schema import collections, outcomes, runs
from indexer.catalog.state import CatalogState
from indexer.catalog.takedowns import TakedownStore
from indexer.config import CollectionConfig
from indexer.data_dir import BLOBS_FOLDER, DataDir


class Catalog:
    """Items, vectors, outcomes and runs of every collection in a data folder.

    Args:
        engine: the database.
        root: the data folder, below which uploads lie.
    """

    def __init__(self, engine: Engine, root: Path) -> None:
        self._engine = engine
        self._root = root

    @classmethod
    def open(cls, data_dir: DataDir) -> Self:
        """Open the catalog of a data folder, creating it or bringing its schema up to date.

        Raises:
            CatalogError: the file is not a catalog, or a newer version of this program wrote it.
        """
        engine = open_engine(sqlite_url(data_dir.catalog_path), data_dir.catalog_lock)
        return cls(engine, data_dir.root.absolute())

    @property
    def engine(self) -> Engine:
        """The database, for `LiveWrites`."""
        return self._engine

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def register_collection(self, config: CollectionConfig) -> None:
        """Make a collection known, or note that its configuration changed."""
        now = writing.utc_now()
        config_json = msgspec.json.encode(config).decode()
        with write_transaction(self._engine) as connection:
            changed = connection.execute(
                update(collections)
                .where(collections.c.name == config.name)
                .values(config_json=config_json, config_digest=config.digest, updated_at=now)
            )
            if changed.rowcount == 0:
                connection.execute(
                    insert(collections).values(
                        name=config.name,
                        config_json=config_json,
                        config_digest=config.digest,
                        change_seq=0,
                        created_at=now,
                        updated_at=now,
                    )
                )

    def write(
        self,
        collection: str,
        writes: Sequence[ItemWrite],
        outcomes: Sequence[Outcome] = (),
        *,
        run_id: str | None = None,
    ) -> int:
        """Store items with their vectors and what became of each location, all or nothing.

        Args:
            collection: a registered collection.
            writes: items as they shall be from now on; a deleted item among them lives again.
            outcomes: the latest word on each location.
            run_id: the run they belong to.

        Returns:
            The collection's ``change_seq`` after this write. Outcomes, and vectors of further
            encoders, do not change it.

        Raises:
            CatalogError: the collection is not registered.
            TakenDown: an item, or its content under another id, may not come back.
            ValueError: an item is given twice, or a vector holds NaN or infinity.
        """
        item_ids = [write.item.item_id for write in writes]
        if len(set(item_ids)) != len(item_ids):
            twice = sorted({item_id for item_id in item_ids if item_ids.count(item_id) > 1})
            raise ValueError(f"items given twice in one write: {', '.join(twice)}")
        encodings.require_finite(writes)
        with write_transaction(self._engine) as connection:
            return encodings.store(connection, collection, writes, outcomes, run_id)

    def delete(self, collection: str, item_ids: Iterable[str]) -> list[str]:
        """Delete items and return the ids of those that were there, in the order given.

        A mark with the ``change_seq`` of the deletion stays, so that servers and older snapshots
        learn of it; vectors, words and attributes are gone.
        """
        wanted = list(dict.fromkeys(item_ids))
        with write_transaction(self._engine) as connection:
            return writing.delete_items(connection, collection, wanted)

    def forget_encoders(self, collection: str, encoder_ids: Collection[str]) -> int:
        """Remove the vectors that some encoders made, and return of how many items' channels.

        Items stay as they are: where no other encoder has been at a channel, it is as if nothing
        had been encoded yet.
        """
        with write_transaction(self._engine) as connection:
            return encodings.forget_encoders(connection, collection, encoder_ids)

    def encodings_beside(
        self, collection: str, needed: Collection[str]
    ) -> list[tuple[str, str, int, int, int]]:
        """Return what other encoders than those ``needed`` made; see `encodings.beside`."""
        with read_transaction(self._engine) as connection:
            return encodings.beside(connection, collection, needed)

    def drop_encodings_beside(self, collection: str, needed: Collection[str]) -> int:
        """Remove what other encoders than those ``needed`` made, where one of these was, too."""
        with write_transaction(self._engine) as connection:
            return encodings.drop_beside(connection, collection, needed)

    def touch(self, collection: str, item_ids: Iterable[str]) -> None:
        """Let whoever follows the collection read items again whose vectors were added to."""
        with write_transaction(self._engine) as connection:
            keys = list(writing.live_item_keys(connection, collection, list(item_ids)).values())
            if keys:
                writing.touch(connection, keys, writing.next_change_seq(connection, collection))

    @contextmanager
    def writes_held(self) -> Iterator[None]:
        """Keep everybody from writing for a moment; whoever waits goes on afterwards.

        Raises:
            CatalogBusy: somebody else has been writing for too long.
        """
        with write_transaction(self._engine):
            yield

    @property
    def takedowns(self) -> TakedownStore:
        """What was taken down and may not come back."""
        return TakedownStore(self._engine)

    def rewrite(self) -> None:
        """Leave no rest of deleted rows in the database's files; see `rewrite_database`."""
        rewrite_database(self._engine)

    def item(self, collection: str, item_id: str) -> ItemRecord | None:
        """Return an item, ``None`` if it is unknown or deleted."""
        with read_transaction(self._engine) as connection:
            item = reading.live_item(connection, collection, item_id)
        return None if item is None else located(item, self._root)

    def transcript(self, collection: str, item_id: str) -> Transcript | None:
        """Return what is said in an item, ``None`` if nobody listened or it is not there."""
        with read_transaction(self._engine) as connection:
            return reading.transcript(connection, collection, item_id)

    def list_items(
        self,
        collection: str,
        *,
        after_item_id: str | None = None,
        limit: int,
        medium: Medium | None = None,
    ) -> list[ItemRecord]:
        """Return a page of items in the order of their ids.

        Args:
            collection: which one.
            after_item_id: the last id of the page before.
            limit: the most items to return.
            medium: only items of this medium.
        """
        with read_transaction(self._engine) as connection:
            found = reading.live_items(connection, collection, after_item_id, limit, medium)
        return [located(item, self._root) for item in found]

    def known_items(self, collection: str) -> Iterator[KnownItem]:
        """Yield every live item with the state of its channels, in the order of the ids.

        The items belong to the state of the catalog when the first was taken; writing meanwhile is
        allowed.
        """
        with read_transaction(self._engine) as connection:
            for known in reading.known_items(connection, collection):
                yield replace(known, item=located(known.item, self._root))

    def reusable(
        self, source_sha256: str, segmentation_id: str, encoder_id: str
    ) -> ChannelVectors | None:
        """Return a copy of stored vectors of equal content, from any collection.

        ``channel`` names the one they were found in; `dataclasses.replace` it with the one they are
        for.
        """
        with read_transaction(self._engine) as connection:
            return reading.reusable(connection, source_sha256, segmentation_id, encoder_id)

    def item_of_content(self, content_sha256: str) -> ItemRecord | None:
        """Return an item with this content from any collection, ``None`` if nothing has it."""
        with read_transaction(self._engine) as connection:
            item = reading.item_of_content(connection, content_sha256)
        return None if item is None else located(item, self._root)

    def failures(self, collection: str) -> list[Failure]:
        """Return the locations whose latest outcome is a failure, by location."""
        with read_transaction(self._engine) as connection:
            return reading.failures(connection, collection)

    def forget_failures(self, collection: str, locations: Iterable[str]) -> None:
        """Drop what is remembered about locations: their files are gone."""
        with write_transaction(self._engine) as connection:
            for some in writing.in_chunks(list(locations)):
                connection.execute(
                    delete(outcomes).where(
                        outcomes.c.collection == collection, outcomes.c.location.in_(some)
                    )
                )

    def counts(self, collection: str) -> Counts:
        """Count live items, their segments, and failures."""
        with read_transaction(self._engine) as connection:
            return reading.counts(connection, collection)

    def collections(self) -> list[CollectionRow]:
        """Return every registered collection, by name."""
        with read_transaction(self._engine) as connection:
            return reading.all_collections(connection)

    def change_seq(self, collection: str) -> int:
        """Return the number of a collection's latest change; 0 before the first."""
        with read_transaction(self._engine) as connection:
            return reading.change_seq(connection, collection)

    def num_changed_since(self, collection: str, change_seq: int) -> int:
        """Count the items written or deleted after ``change_seq``."""
        with read_transaction(self._engine) as connection:
            return reading.num_changed_since(connection, collection, change_seq)

    def num_segments_since(self, collection: str, change_seq: int) -> int:
        """Count the segments of items written after ``change_seq``."""
        with read_transaction(self._engine) as connection:
            return reading.num_segments_since(connection, collection, change_seq)

    def blob_contents(self) -> set[str]:
        """Return the sha256 of every live item's content that may lie in the blob store."""
        with read_transaction(self._engine) as connection:
            return reading.blob_contents(connection, f"{self._root / BLOBS_FOLDER}/")

    def check_integrity(self) -> None:
        """Read the whole database and check that it holds together.

        Raises:
            CatalogError: naming the first thing that is wrong.
        """
        with read_transaction(self._engine) as connection:
            problem = reading.integrity_problem(connection)
        if problem is not None:
            raise CatalogError(f"the catalog is damaged: {problem}", problem=problem)

    @contextmanager
    def state(self) -> Iterator[CatalogState]:
        """Hold one state of the catalog open: whatever is read inside belongs together.

        Hold it only while reading: the log of later writes cannot shrink meanwhile.
        """
        with read_transaction(self._engine) as connection:
            yield CatalogState(connection)

    def start_run(self, collection: str, kind: str) -> str:
        """Note that a run has begun and return its id.

        Args:
            collection: what it works on.
            kind: ``ingest``, ``reindex``.
        """
        run_id = f"{kind}-{writing.utc_now()}-{secrets.token_hex(3)}"
        with write_transaction(self._engine) as connection:
            connection.execute(
                insert(runs).values(
                    run_id=run_id, collection=collection, kind=kind, started_at=writing.utc_now()
                )
            )
        return run_id

    def finish_run(self, run_id: str, summary: Mapping[str, object]) -> None:
        """Note that a run has ended and what came of it.

        Raises:
            CatalogError: no such run was started.
        """
        with write_transaction(self._engine) as connection:
            done = connection.execute(
                update(runs)
                .where(runs.c.run_id == run_id)
                .values(
                    finished_at=writing.utc_now(),
                    summary_json=msgspec.json.encode(summary).decode(),
                )
            )
            if done.rowcount == 0:
                raise CatalogError(f"no run {run_id!r} was started", run_id=run_id)
