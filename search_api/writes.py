"""Storing and deleting single items while the collection serves.

A write is answered when its transaction is durable and this worker finds it; the others find it
with their next refresh.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import PurePosixPath
from typing import TypeAlias

import msgspec
from litestar.datastructures import UploadFile

from encoders.errors import KindredError
from encoders.media.item import check_item_id
from indexer.blob_store import BlobStore
from indexer.catalog.catalog import Catalog
from indexer.catalog.idempotency import KeyClaim, StoredAnswer
from indexer.catalog.job_records import JobEntry, JobRecord
from indexer.catalog.live_writes import Changed, LiveWrites
from indexer.catalog.records import Change, ItemWrite
from indexer.catalog.takedown_records import TakenDown
from indexer.catalog.write_jobs import WriteJobs
from indexer.item_operations import DeleteItem, JobOperation, Operation, PutUrl
from indexer.item_writer import ItemWriter, Prepared
from indexer.runners.local import ModelOpener
from search_api.batch_operations import read_operation
from search_api.bounded_pool import BoundedPool
from search_api.errors import ItemNotFound, JobNotFound
from search_api.item_intake import ItemIntake, Serving, described_file
from search_api.job_runner import JobRunner
from search_api.keyed_requests import Answer, KeyedRequests, request_digest
from search_api.linked_files import LinkedFiles, fetch_limits
from search_api.model_guard import ModelGuard, ModelSwitched
from search_api.operation_results import applied_result, failed_result
from search_api.settings import Settings
from search_api.uploads import spooled
from search_api.write_schemas import (
    BatchAnswer,
    BatchOperation,
    DeleteOperation,
    ItemWritten,
    JobAccepted,
    OperationResult,
    PutFileOptions,
    PutItem,
)

SWITCH_POLL_SECONDS = 0.1

Guard: TypeAlias = Callable[[], None]
"""Raises where what was prepared may not be stored any more."""


class Writes:
    """The writes of one worker.

    Args:
        settings: of the server.
        collection: the name of the collection.
        catalog: where items go.
        serving: gives the collection and the models that serve now.
        refresh: makes this worker find what was written.
        guard: keeps what was prepared for a model of before from being stored.
    """

    def __init__(
        self,
        settings: Settings,
        collection: str,
        catalog: Catalog,
        serving: Serving,
        refresh: Callable[[], object],
        guard: ModelGuard,
    ) -> None:
        self._settings = settings
        self._guard = guard
        self._collection = collection
        self._refresh = refresh
        self._live = LiveWrites(catalog.engine)
        self._jobs = WriteJobs(catalog.engine)
        self._intake = ItemIntake(
            serving,
            catalog,
            BlobStore(settings.data.blobs),
            settings.max_sync_media_seconds,
            LinkedFiles(fetch_limits(settings)),
        )
        self._pool = BoundedPool(settings.write_threads, settings.max_waiting_writes, "write")
        # Not in the pool of writes: a request repeated while all of them are busy is answered.
        self._keys = KeyedRequests(
            collection,
            self._live,
            BoundedPool(1, settings.max_waiting_searches, "keys"),
            settings.write_seconds,
        )
        self.job_runner = JobRunner(
            collection,
            self._jobs,
            self._intake,
            refresh,
            guard,
            lease_seconds=settings.job_lease_seconds,
            write_seconds=settings.job_write_seconds,
        )

    async def put(
        self, item_id: str, body: PutItem, key: str | None, *, respond_async: bool
    ) -> Answer:
        """Store an item of words or vectors.

        Raises:
            InvalidItemId, AttributesError, BadVectors, VectorSpaceMismatch, NoChannelForItem: the
                request does not fit.
            UrlNotTaken, UrlRefused: it names a URL that is not fetched.
            MediaRejected: the text cannot be taken.
            Overloaded, DeadlineExceeded, EncoderUnavailable: nothing was done; try again.
        """
        check_item_id(item_id)
        digest = request_digest("put", item_id, body, respond_async)

        async def work(claim: KeyClaim | None) -> StoredAnswer:
            operation = await self._pool.run(lambda: self._intake.content(item_id, body))
            return await self._put(operation, claim, respond_async)

        return await self._keys.answer(key, digest, work)

    async def put_file(
        self,
        item_id: str,
        upload: UploadFile,
        options: PutFileOptions,
        key: str | None,
        *,
        respond_async: bool,
    ) -> Answer:
        """Store an item of which ``upload`` is the original.

        Raises:
            UploadTooLarge: it is larger than what is taken. The others as `put`.
        """
        check_item_id(item_id)
        async with spooled(
            upload,
            self._intake.blobs.incoming,
            max_bytes=self._settings.max_upload_bytes,
            pool=self._pool,
        ) as path:
            name = PurePosixPath(upload.filename.replace("\\", "/")).name or item_id
            found = await self._pool.run(lambda: described_file(item_id, path, name, options))
            digest = request_digest("put", item_id, found.sha256, name, options, respond_async)

            async def work(claim: KeyClaim | None) -> StoredAnswer:
                operation = await self._pool.run(lambda: self._intake.file(found, path))
                return await self._put(operation, claim, respond_async)

            return await self._keys.answer(key, digest, work)

    async def delete(self, item_id: str, key: str | None) -> Answer:
        """Remove an item from search; a later write or ingest brings it back.

        Raises:
            InvalidItemId: the id is not of the agreed form.
            ItemNotFound: there is no such item.
        """
        check_item_id(item_id)

        def answer(changed: Changed) -> StoredAnswer:
            if changed.applied == ("absent",):
                raise ItemNotFound(
                    f"collection {self._collection} has no item {item_id!r}", item_id=item_id
                )
            return StoredAnswer(204, "")

        async def work(claim: KeyClaim | None) -> StoredAnswer:
            return await self._change([DeleteItem(item_id=item_id)], answer, claim)

        return await self._keys.answer(key, request_digest("delete", item_id), work)

    async def batch(
        self, operations: Sequence[msgspec.Raw], key: str | None, *, respond_async: bool
    ) -> Answer:
        """Carry operations out in order; one that cannot be fails alone.

        Raises:
            Overloaded, DeadlineExceeded, EncoderUnavailable: nothing was done; try again.
        """
        read = [read_operation(raw) for raw in operations]
        digest = request_digest("batch", list(operations), respond_async)
        as_job = respond_async or len(read) > self._settings.max_sync_operations

        async def work(claim: KeyClaim | None) -> StoredAnswer:
            taken = await self._pool.run(lambda: [self._taken(each) for each in read])
            now = [each for each in taken if not isinstance(each, PutUrl)]
            if as_job or len(now) < len(taken):
                entries = [_entry(each) for each in taken]
                return await self._pool.run(lambda: self._new_job(entries, claim))
            return await self._batch(now, claim)

        return await self._keys.answer(key, digest, work)

    async def job(self, job_id: str) -> JobRecord:
        """Return a job.

        Raises:
            JobNotFound: there is none of this id.
        """
        job = await self._pool.run(lambda: self._jobs.get(self._collection, job_id))
        if job is None:
            raise JobNotFound(f"collection {self._collection} has no job {job_id!r}", job=job_id)
        return job

    async def aclose(self) -> None:
        """End the threads, after what they do now."""
        await asyncio.to_thread(self._pool.close)
        await asyncio.to_thread(self._keys.close)
        await self.job_runner.aclose()
        await asyncio.to_thread(self._intake.close)

    async def _put(
        self, operation: JobOperation, claim: KeyClaim | None, respond_async: bool
    ) -> StoredAnswer:
        if (
            isinstance(operation, PutUrl)
            or respond_async
            or await self._pool.run(lambda: self._intake.takes_long(operation))
        ):
            entries = [_entry(operation)]
            return await self._pool.run(lambda: self._new_job(entries, claim))
        item_id = operation.item_id
        segments: dict[str, int] = {}

        def answer(changed: Changed) -> StoredAnswer:
            created = changed.applied == ("created",)
            written = ItemWritten(
                item_id=item_id, created=created, change_seq=changed.change_seq, segments=segments
            )
            status = 201 if created else 200
            return StoredAnswer(status, _json(written), f"/v1/items/{item_id}")

        return await self._change([operation], answer, claim, segments)

    async def _change(
        self,
        operations: Sequence[Operation],
        answer: Callable[[Changed], StoredAnswer],
        claim: KeyClaim | None,
        segments: dict[str, int] | None = None,
    ) -> StoredAnswer:
        """Carry one operation out and let this worker find it."""

        def work(writer: ItemWriter, models: ModelOpener, guard: Guard) -> StoredAnswer:
            (prepared,) = writer.prepare(operations, models)
            change = _required(prepared)
            if segments is not None and isinstance(change, ItemWrite):
                segments.update({one.channel: len(one.segments) for one in change.channels})
            return self._live.change(self._collection, [change], answer, claim, guard)[1]

        return await self._with_current_models(work)

    async def _batch(
        self, taken: Sequence[Operation | OperationResult], claim: KeyClaim | None
    ) -> StoredAnswer:
        operations = [each for each in taken if not isinstance(each, OperationResult)]

        def work(writer: ItemWriter, models: ModelOpener, guard: Guard) -> StoredAnswer:
            while True:
                try:
                    return attempt(writer, models, guard)
                except TakenDown:
                    continue  # since it was prepared; now that operation alone fails

        def attempt(writer: ItemWriter, models: ModelOpener, guard: Guard) -> StoredAnswer:
            prepared = writer.prepare(operations, models)
            changes = [each for each in prepared if not isinstance(each, KindredError)]

            def answer(changed: Changed) -> StoredAnswer:
                applied = iter(zip(changes, changed.applied, strict=True))
                made = iter(zip(operations, prepared, strict=True))
                results = []
                for each in taken:
                    if isinstance(each, OperationResult):
                        results.append(each)
                        continue
                    operation, change = next(made)
                    if isinstance(change, KindredError):
                        results.append(failed_result(operation.item_id, change))
                    else:
                        results.append(applied_result(*next(applied), changed.change_seq))
                return StoredAnswer(200, _json(BatchAnswer(results=results)))

            return self._live.change(self._collection, changes, answer, claim, guard)[1]

        return await self._with_current_models(work)

    async def _with_current_models(
        self, work: Callable[[ItemWriter, ModelOpener, Guard], StoredAnswer]
    ) -> StoredAnswer:
        """Run ``work`` in a thread, again if other models took over before it was stored.

        Raises:
            ModelSwitched: this worker has not taken them up in the time that a write may take.
        """
        deadline = time.monotonic() + self._settings.write_seconds
        while True:
            await self._pool.run(self._intake.writer)
            writer, models = self._intake.tools(self._settings.write_seconds)
            guard = partial(self._guard.require_current, writer.identities)
            try:
                answered = await self._pool.run(partial(work, writer, models, guard))
            except ModelSwitched:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(SWITCH_POLL_SECONDS)
            else:
                await asyncio.to_thread(self._refresh)
                return answered

    def _taken(self, read: BatchOperation | OperationResult) -> JobOperation | OperationResult:
        """Return an operation that can be carried out, or why it cannot."""
        if isinstance(read, OperationResult):
            return read
        try:
            check_item_id(read.item_id)
            if isinstance(read, DeleteOperation):
                return DeleteItem(item_id=read.item_id)
            return self._intake.content(read.item_id, read)
        except KindredError as error:
            return failed_result(read.item_id, error)

    def _new_job(self, entries: Sequence[JobEntry], claim: KeyClaim | None) -> StoredAnswer:
        def answer(job_id: str) -> StoredAnswer:
            accepted = JobAccepted(job_id=job_id, operations=len(entries))
            return StoredAnswer(202, _json(accepted), f"/v1/jobs/{job_id}")

        self._intake.writer()  # a collection that nobody wrote to is not registered yet
        return self._jobs.create(
            self._collection, entries, answer, claim, max_open=self._settings.max_open_jobs
        )


def _entry(taken: JobOperation | OperationResult) -> JobEntry:
    if isinstance(taken, OperationResult):
        return JobEntry(taken.item_id, "", _json(taken))
    return JobEntry(taken.item_id, _json(taken))


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _required(prepared: Prepared) -> Change:
    if isinstance(prepared, KindredError):
        raise prepared
    return prepared
