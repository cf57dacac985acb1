"""Carries jobs of writes out, one at a time in each worker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import msgspec
import structlog

from encoders.errors import KindredError
from encoders.serving.errors import DeadlineExceeded, EncoderUnavailable, Overloaded
from indexer.catalog.database import CatalogBusy
from indexer.catalog.job_records import JobLease, PendingOperation, Settled
from indexer.catalog.records import Applied, Change
from indexer.catalog.takedown_records import TakenDown
from indexer.catalog.write_jobs import WriteJobs
from indexer.errors import LeaseLost
from indexer.item_operations import JobOperation, PutUrl
from indexer.item_writer import ItemWriter
from indexer.runners.local import ModelOpener
from search_api.bounded_pool import BoundedPool
from search_api.item_intake import ItemIntake
from search_api.model_guard import ModelGuard, ModelSwitched
from search_api.operation_results import applied_result, failed_result

POLL_SECONDS = 1.0
OPERATIONS_PER_STEP = 16
"""Prepared together and committed together: what is done again if a worker dies."""

POSTPONED_SECONDS = 5.0
TEMPORARY = (Overloaded, EncoderUnavailable, DeadlineExceeded, CatalogBusy, ModelSwitched)
"""No fault of the job: it is tried again later."""

T = TypeVar("T")
log = structlog.get_logger("kindred.jobs")


class JobRunner:
    """The jobs that this worker leases.

    Args:
        collection: whose.
        jobs: where they are kept.
        intake: prepares writes.
        refresh: makes this worker find what was written.
        guard: keeps what was prepared for a model of before from being stored.
        lease_seconds: how long a job is left alone after its worker's last sign of life.
        write_seconds: how long the encoders may take for one step.
    """

    def __init__(
        self,
        collection: str,
        jobs: WriteJobs,
        intake: ItemIntake,
        refresh: Callable[[], object],
        guard: ModelGuard,
        *,
        lease_seconds: float,
        write_seconds: float,
    ) -> None:
        self._collection = collection
        self._jobs = jobs
        self._intake = intake
        self._refresh = refresh
        self._guard = guard
        self._lease_seconds = lease_seconds
        self._write_seconds = write_seconds
        self._pool = BoundedPool(1, 0, "jobs")
        self._keeping = BoundedPool(1, 1, "job-lease")

    async def run(self) -> None:
        """Take up jobs until cancelled; one that is under way then is left to another worker."""
        while True:
            try:
                found = await self._run_next()
            except LeaseLost as error:
                log.warning("job lost", error=error.message)
                continue
            except Exception as error:
                # Whatever it is (a full disk, a locked catalog): the job's lease runs out and it is
                # tried again, at most a few times.
                log.error("job broke off", exc_info=error)
                found = False
            if not found:
                await asyncio.sleep(POLL_SECONDS)

    async def aclose(self) -> None:
        """End the threads, after what they do now."""
        await asyncio.to_thread(self._pool.close)
        await asyncio.to_thread(self._keeping.close)

    async def _run_next(self) -> bool:
        """Carry one job out; ``False``: there was none."""
        lease = await self._pool.run(
            lambda: self._jobs.lease(self._collection, self._lease_seconds)
        )
        if lease is None:
            return False
        log.info("job begins", job=lease.job_id)
        try:
            while operations := await self._pool.run(
                lambda: self._jobs.pending(lease, OPERATIONS_PER_STEP)
            ):
                await self._pool.run(self._intake.writer)
                writer, models = self._intake.tools(self._write_seconds)
                step = partial(self._step, lease, operations, writer, models)
                await self._held(lease, step)
                await asyncio.to_thread(self._refresh)
            await self._pool.run(lambda: self._jobs.finish(lease))
        except TEMPORARY as error:
            log.warning("job postponed", job=lease.job_id, error=error.message)
            await self._pool.run(lambda: self._jobs.postpone(lease, POSTPONED_SECONDS))
            return False
        except LeaseLost:
            raise
        except KindredError as error:
            # A model that is not there, for one: no operation can be carried out.
            log.error("job failed", job=lease.job_id, code=error.code, error=error.message)
            code, message = error.code, error.message
            await self._pool.run(lambda: self._jobs.fail(lease, code, message))
            return True
        log.info("job over", job=lease.job_id)
        return True

    async def _held(self, lease: JobLease, work: Callable[[], T]) -> T:
        """Run ``work`` in a thread and extend the lease until it is done."""
        task = asyncio.ensure_future(self._pool.run(work))
        try:
            while not (await asyncio.wait({task}, timeout=self._lease_seconds / 3))[0]:
                await self._keeping.run(lambda: self._jobs.extend(lease))
            return await task
        finally:
            task.cancel()

    def _step(
        self,
        lease: JobLease,
        pending: Sequence[PendingOperation],
        writer: ItemWriter,
        models: ModelOpener,
    ) -> None:
        asked: list[JobOperation] = [
            msgspec.json.decode(each.operation_json, type=JobOperation) for each in pending
        ]
        ready = [self._intake.fetched(each) if isinstance(each, PutUrl) else each for each in asked]
        operations = [each for each in ready if not isinstance(each, KindredError)]
        guard = partial(self._guard.require_current, writer.identities)
        while True:
            made = iter(writer.prepare(operations, models))
            settled = []
            for each, operation, found in zip(pending, asked, ready, strict=True):
                change = found if isinstance(found, KindredError) else next(made)
                if isinstance(change, KindredError):
                    said = failed_result(operation.item_id, change)
                    settled.append(Settled(each.ordinal, None, msgspec.json.encode(said).decode()))
                else:
                    settled.append(Settled(each.ordinal, change))
            try:
                return self._jobs.settle(lease, settled, _result_json, guard)
            except TakenDown:
                continue  # since it was prepared; now that operation alone fails


def _result_json(change: Change, applied: Applied, change_seq: int) -> str:
    return msgspec.json.encode(applied_result(change, applied, change_seq)).decode()
