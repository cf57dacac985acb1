"""From operations on items to changes of the catalog, through the pipeline of ingest.

Planning, decoding, cutting and encoding are those of `pipeline.ingest`; only where an item comes
from and who commits it differ.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias, get_args

import msgspec

from encoders.encoder import EncoderIdentity
from encoders.errors import KindredError
from encoders.media.item import check_item_id
from encoders.media.rejection import MediaRejected, Reason
from encoders.media.sandbox import DecodeSandbox
from indexer.attributes import typed_attributes
from indexer.blob_store import BlobStore
from indexer.catalog.catalog import Catalog
from indexer.catalog.locations import UPLOADED
from indexer.catalog.records import (
    Change,
    ChannelVectors,
    Failure,
    ItemDeletion,
    ItemRecord,
    ItemWrite,
    Outcome,
)
from indexer.config import CollectionConfig
from indexer.decode_ahead import DecodeAhead
from indexer.given_vectors import channel_vectors
from indexer.item_operations import DeleteItem, Operation, PutBlob, PutUrl, PutVectors
from indexer.known_files import KnownFiles
from indexer.outcomes import IngestSummary
from indexer.plan import Planner
from indexer.planned_item import PlannedItem
from indexer.runners.local import EncodeFailed, LocalRunner, ModelOpener
from indexer.walk import FoundFile

VECTORS_FORMAT = "vectors"
"""Format of items that have no original."""

Prepared: TypeAlias = Change | KindredError
"""The change an operation asks for, or why it cannot be made."""

_REASONS = frozenset(get_args(Reason))


@dataclass(frozen=True, slots=True)
class _Planned:
    """An operation that stores an item."""

    item: PlannedItem
    given: tuple[ChannelVectors, ...] = ()
    name: str = ""

    def write(self, encoded: ItemWrite | None = None) -> ItemWrite:
        """Return the change, with what was encoded if something had to be."""
        write = encoded or self.item.write()
        return ItemWrite(write.item, write.channels + self.given)


class ItemWriter:
    """Prepares changes of one collection; safe to use from several threads.

    Args:
        catalog: where vectors of equal content are looked up.
        config: the collection.
        identities: the encoder of each channel.
        recognizer_ids: the recogniser of each channel of speech.
        blobs: where originals lie.
        sandbox: decodes.
    """

    def __init__(
        self,
        catalog: Catalog,
        config: CollectionConfig,
        identities: Mapping[str, EncoderIdentity],
        recognizer_ids: Mapping[str, str],
        blobs: BlobStore,
        sandbox: DecodeSandbox,
    ) -> None:
        self.identities = identities
        self._takedowns = catalog.takedowns
        self._config = config
        self._blobs = blobs
        self._sandbox = sandbox
        self._planner = Planner(catalog, config, identities, recognizer_ids, KnownFiles())

    def check(self, operation: Operation) -> None:
        """Refuse an operation that could never be carried out.

        Raises:
            InvalidItemId: the id is not of the agreed form.
            AttributesError: an attribute does not fit the schema.
            NoChannelForItem: nothing could find the item.
            BadVectors: given vectors have the wrong shape, or a channel does not take them.
            VectorSpaceMismatch: given vectors are of another space.
            TakenDown: the item, or its content, was taken down.
        """
        check_item_id(operation.item_id)
        if not isinstance(operation, DeleteItem):
            self._plan(operation)

    def check_attributes(self, operation: PutUrl | PutBlob | PutVectors) -> dict[str, object]:
        """Return the attributes of an operation as the collection types them.

        Raises:
            AttributesError: one does not fit the schema.
        """
        return typed_attributes(
            operation.attributes, self._config.attributes, origin=f"item {operation.item_id!r}"
        )

    def prepare(self, operations: Sequence[Operation], models: ModelOpener) -> list[Prepared]:
        """Return the change that each operation asks for, or why there is none.

        Args:
            operations: those on the same item take effect in order.
            models: what to encode with.

        Raises:
            KindredError: nothing could be encoded now, whatever the item: no operation failed.
        """
        return [
            change for run in _distinct_runs(operations) for change in self._prepare(run, models)
        ]

    def media_seconds(self, operation: PutBlob) -> float:
        """Return how long an original is; 0 for still pictures and texts.

        Raises:
            MediaRejected: it cannot be read.
        """
        path = self._blobs.path(operation.sha256)
        try:
            if operation.medium == "video":
                return self._sandbox.video_info(path).result().duration_seconds
            if operation.medium == "audio":
                return self._sandbox.sound_info(path).result().duration_seconds
        except MediaRejected as error:
            raise _renamed(error, str(path), operation.name) from error
        return 0.0

    def _prepare(self, operations: Sequence[Operation], models: ModelOpener) -> list[Prepared]:
        planned: dict[str, _Planned] = {}
        prepared: dict[str, Prepared] = {}
        for operation in operations:
            item_id = operation.item_id
            if isinstance(operation, DeleteItem):
                prepared[item_id] = ItemDeletion(item_id)
                continue
            try:
                plan = self._plan(operation)
            except KindredError as error:
                prepared[item_id] = error
                continue
            if plan.item.tasks:
                planned[item_id] = plan
            else:
                prepared[item_id] = plan.write()
        if planned:
            prepared |= self._encode(planned, models)
        return [prepared[operation.item_id] for operation in operations]

    def _encode(self, planned: Mapping[str, _Planned], models: ModelOpener) -> dict[str, Prepared]:
        """Decode and encode what is planned, as one run that shares batches."""
        files = [
            FoundFile(Path(plan.item.item.location), UPLOADED, item_id)
            for item_id, plan in planned.items()
        ]
        made = _Made()
        ahead = DecodeAhead(files, _PlansById(planned), self._sandbox, models.open_recognizer)
        LocalRunner(made, self._config.name, "", models, IngestSummary(), _unwatched).run(ahead)
        prepared: dict[str, Prepared] = {}
        for item_id, plan in planned.items():
            failed = made.failed.get(item_id)
            if failed is None:
                prepared[item_id] = plan.write(made.writes[item_id])
            else:
                prepared[item_id] = _renamed(
                    _error_of(failed), plan.item.item.location, plan.name or item_id
                )
        return prepared

    def _plan(self, operation: PutBlob | PutVectors) -> _Planned:
        attributes = self.check_attributes(operation)
        if isinstance(operation, PutBlob):
            path = self._blobs.path(operation.sha256)
            item = ItemRecord(
                item_id=operation.item_id,
                medium=operation.medium,
                format=operation.format,
                source=UPLOADED,
                relative_path=operation.name,
                location=str(path),
                content_sha256=operation.sha256,
                size_bytes=operation.size_bytes,
                mtime_ns=operation.mtime_ns,
                attributes=attributes,
            )
            self._takedowns.require_not_taken_down(self._config.name, item)
            return _Planned(self._planner.plan_item(item), name=operation.name)
        sha256 = hashlib.sha256(msgspec.json.encode(operation.channels)).hexdigest()
        given = tuple(
            channel_vectors(self._config, self.identities, operation, name, sha256)
            for name in operation.channels
        )
        stops = [each.stop_seconds or 0.0 for one in given for each in one.segments]
        item = ItemRecord(
            item_id=operation.item_id,
            medium=operation.medium,
            format=VECTORS_FORMAT,
            source=UPLOADED,
            relative_path=operation.item_id,
            location="",
            content_sha256=sha256,
            size_bytes=0,
            mtime_ns=0,
            duration_seconds=max(stops, default=0.0) or None,
            attributes=attributes,
        )
        self._takedowns.require_not_taken_down(self._config.name, item)
        return _Planned(self._planner.plan_item(item, operation.channels.keys()), given)


@dataclass(slots=True)
class _Made:
    """Takes what a run made instead of the catalog, which the asker writes to."""

    writes: dict[str, ItemWrite] = field(default_factory=dict)
    failed: dict[str, Outcome] = field(default_factory=dict)

    def failures(self, collection: str) -> Sequence[Failure]:
        """Return nothing: a write that fails is told to whoever asked, and not listed."""
        return ()

    def write(
        self,
        collection: str,
        writes: Sequence[ItemWrite],
        outcomes: Sequence[Outcome],
        *,
        run_id: str | None,
    ) -> None:
        """Keep finished items and failures by item."""
        self.writes.update({write.item.item_id: write for write in writes})
        for outcome in outcomes:
            if outcome.state == "failed" and outcome.item_id is not None:
                self.failed[outcome.item_id] = outcome


@dataclass(frozen=True, slots=True)
class _PlansById:
    """Plans that were made beforehand; a file is called by the id of its item."""

    planned: Mapping[str, _Planned]

    def plan(self, found: FoundFile) -> PlannedItem:
        return self.planned[found.relative_path].item


def _distinct_runs(operations: Sequence[Operation]) -> Iterator[list[Operation]]:
    """Yield runs of operations in which no item occurs twice."""
    run: list[Operation] = []
    seen: set[str] = set()
    for operation in operations:
        if operation.item_id in seen:
            yield run
            run, seen = [], set()
        run.append(operation)
        seen.add(operation.item_id)
    if run:
        yield run


def _error_of(outcome: Outcome) -> KindredError:
    message = outcome.detail or "it could not be encoded"
    if outcome.reason in _REASONS:
        return MediaRejected(outcome.reason, message)  # type: ignore[arg-type]
    return EncodeFailed(message)


def _renamed(error: KindredError, path: str, name: str) -> KindredError:
    """Return an error that calls a blob what its sender does."""
    if not path:
        return error
    message = error.message.replace(path, name).replace(Path(path).name, name)
    if isinstance(error, MediaRejected):
        return MediaRejected(error.reason, message, **error.detail)
    return type(error)(message, **error.detail)


def _unwatched(_summary: IngestSummary) -> None:
    pass
