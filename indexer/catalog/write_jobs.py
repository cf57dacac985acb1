"""Writes that take long: kept in the catalog, carried out by whichever process leases them.

A lease that is not extended runs out, so the job of a process that died is taken up by another. All
that the new holder does commits only while it holds the lease. A later write of an item supersedes
what jobs accepted before have still to do with it: of two writes the one accepted last stays.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Engine, delete, func, insert, select, update

from indexer.catalog import writing
from indexer.catalog.database import read_transaction, write_transaction
from indexer.catalog.idempotency import KeyClaim, StoredAnswer, settle_key
from indexer.catalog.job_records import (
    JobEntry,
    JobLease,
    JobRecord,
    JobState,
    PendingOperation,
    Settled,
)
from indexer.catalog.live_writes import Changed, apply_changes, supersede
from indexer.catalog.records import Applied, Change, ItemWrite
from indexer.catalog.schema import write_job_operations, write_jobs
from indexer.errors import LeaseLost, TooManyJobs

OPEN_STATES = ("queued", "running")
MAX_ATTEMPTS = 3
"""How often a job is begun without getting any further before it is given up."""

KEPT_DAYS = 7
"""How long a finished job can be asked about."""


class WriteJobs:
    """The jobs of a catalog.

    Args:
        engine: `Catalog.engine`.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def create(
        self,
        collection: str,
        entries: Sequence[JobEntry],
        answer: Callable[[str], StoredAnswer],
        claim: KeyClaim | None = None,
        *,
        max_open: int,
    ) -> StoredAnswer:
        """Accept a job and return what to say of it; it is kept whatever happens to this process.

        Args:
            collection: a registered collection.
            entries: its operations, in order.
            answer: tells what to answer, given the job's id.
            claim: under which the answer is kept.
            max_open: most jobs that may wait or run.

        Raises:
            TooManyJobs: there are as many already.
            KeyInUse: another attempt has taken the claim over.
        """
        job_id = f"job-{secrets.token_hex(12)}"
        answered = answer(job_id)
        with write_transaction(self._engine) as connection:
            self._remove_old(connection)
            is_open = write_jobs.c.state.in_(OPEN_STATES)
            num_open = connection.scalar(select(func.count()).where(is_open)) or 0
            if num_open >= max_open:
                raise TooManyJobs(f"{num_open} jobs wait already; try again later", jobs=num_open)
            supersede(connection, collection, [entry.item_id for entry in entries])
            connection.execute(
                insert(write_jobs).values(
                    job_id=job_id, collection=collection, state="queued", attempts=0,
                    lease_until_seconds=0.0, created_at=writing.utc_now(),
                )
            )  # fmt: skip
            connection.execute(
                insert(write_job_operations),
                [
                    {
                        "job_id": job_id,
                        "ordinal": ordinal,
                        "collection": collection,
                        "item_id": entry.item_id[:200],
                        "state": "pending" if entry.result_json is None else "failed",
                        "operation_json": entry.operation_json,
                        "result_json": entry.result_json,
                    }
                    for ordinal, entry in enumerate(entries)
                ],
            )
            if claim is not None:
                settle_key(connection, claim, answered)
        return answered

    def lease(self, collection: str, seconds: float) -> JobLease | None:
        """Take up the oldest job that nobody works on; ``None``: there is none."""
        now = time.time()
        table = write_jobs
        free = (
            (table.c.collection == collection)
            & table.c.state.in_(OPEN_STATES)
            & (table.c.lease_until_seconds < now)
        )
        oldest = select(table).where(free).order_by(table.c.created_at, table.c.job_id).limit(1)
        with read_transaction(self._engine) as connection:
            if connection.execute(oldest).one_or_none() is None:
                return None
        with write_transaction(self._engine) as connection:
            job = connection.execute(oldest).one_or_none()
            if job is None:
                return None
            lease = JobLease(job.job_id, collection, secrets.token_hex(16), seconds)
            connection.execute(
                update(table)
                .where(table.c.job_id == job.job_id)
                .values(
                    state="running",
                    owner=lease.owner,
                    attempts=job.attempts + 1,
                    lease_until_seconds=now + seconds,
                )
            )
            if job.attempts >= MAX_ATTEMPTS:
                detail = f"whoever worked on it died or stalled, {MAX_ATTEMPTS} times"
                _finish(connection, lease, "failed", "gave_up", detail)
                return None
        return lease

    def pending(self, lease: JobLease, limit: int) -> list[PendingOperation]:
        """Return the next operations to carry out, in order; none: the job can be finished."""
        table = write_job_operations
        statement = (
            select(table.c.ordinal, table.c.operation_json)
            .where(table.c.job_id == lease.job_id, table.c.state == "pending")
            .order_by(table.c.ordinal)
            .limit(limit)
        )
        with read_transaction(self._engine) as connection:
            return [PendingOperation(*row) for row in connection.execute(statement)]

    def extend(self, lease: JobLease) -> None:
        """Hold a lease for longer.

        Raises:
            LeaseLost: it ran out and somebody else has the job.
        """
        with write_transaction(self._engine) as connection:
            _require(connection, lease)

    def settle(
        self,
        lease: JobLease,
        settled: Sequence[Settled],
        result: Callable[[Change, Applied, int], str],
        guard: Callable[[], None] = lambda: None,
    ) -> None:
        """Commit what operations change, unless they were superseded meanwhile.

        Args:
            lease: of their job.
            settled: the operations that were tried.
            result: what to say of a change that was applied, and under which number.
            guard: as in `LiveWrites.change`.

        Raises:
            LeaseLost: somebody else has the job; nothing was done.
        """
        table = write_job_operations
        with write_transaction(self._engine) as connection:
            _require(connection, lease)
            if any(isinstance(each.change, ItemWrite) for each in settled):
                guard()
            still = set(
                connection.scalars(
                    select(table.c.ordinal).where(
                        table.c.job_id == lease.job_id, table.c.state == "pending"
                    )
                )
            )
            wanted = [each for each in settled if each.ordinal in still]
            changing = [(each, each.change) for each in wanted if each.change is not None]
            results: dict[int, tuple[str, str | None]] = {
                each.ordinal: ("failed", each.failed_json) for each in wanted
            }
            if changing:
                changes = [change for _, change in changing]
                changed: Changed = apply_changes(connection, lease.collection, changes)
                for (each, change), applied in zip(changing, changed.applied, strict=True):
                    became = "failed" if applied == "absent" else "done"
                    said = result(change, applied, changed.change_seq)
                    results[each.ordinal] = (became, said)
            for ordinal, (state, result_json) in results.items():
                connection.execute(
                    update(table)
                    .where(table.c.job_id == lease.job_id, table.c.ordinal == ordinal)
                    .values(state=state, result_json=result_json, operation_json="")
                )
            # It gets on, so what happened before does not count against it.
            connection.execute(
                update(write_jobs).where(write_jobs.c.job_id == lease.job_id).values(attempts=1)
            )

    def finish(self, lease: JobLease) -> None:
        """Close a job that has nothing pending: failed if none of its operations succeeded.

        Raises:
            LeaseLost: somebody else has the job.
        """
        table = write_job_operations
        with write_transaction(self._engine) as connection:
            _require(connection, lease)
            counted = (
                select(table.c.state, func.count())
                .where(table.c.job_id == lease.job_id)
                .group_by(table.c.state)
            )
            states = {row[0]: int(row[1]) for row in connection.execute(counted)}
            if states.get("done"):
                _finish(connection, lease, "done")
            elif states.get("failed"):
                detail = f"{states['failed']} operations failed; results say why"
                _finish(connection, lease, "failed", "operations_failed", detail)
            else:
                detail = "later writes of the same items came first"
                _finish(connection, lease, "failed", "superseded", detail)

    def fail(self, lease: JobLease, reason: str, detail: str) -> None:
        """Close a job that cannot be carried out, whatever its operations are.

        Raises:
            LeaseLost: somebody else has the job.
        """
        with write_transaction(self._engine) as connection:
            _require(connection, lease)
            _finish(connection, lease, "failed", reason, detail)

    def postpone(self, lease: JobLease, seconds: float) -> None:
        """Give a job back for a while: nothing is wrong with it, but it cannot be done now."""
        table = write_jobs
        with write_transaction(self._engine) as connection:
            connection.execute(
                update(table)
                .where(table.c.job_id == lease.job_id, table.c.owner == lease.owner)
                .values(
                    state="queued",
                    owner=None,
                    attempts=table.c.attempts - 1,
                    lease_until_seconds=time.time() + seconds,
                )
            )

    def get(self, collection: str, job_id: str) -> JobRecord | None:
        """Return a job and its results so far; ``None``: there is none of this id."""
        table = write_job_operations
        with read_transaction(self._engine) as connection:
            job = connection.execute(
                select(write_jobs).where(
                    write_jobs.c.job_id == job_id, write_jobs.c.collection == collection
                )
            ).one_or_none()
            if job is None:
                return None
            rows = connection.execute(
                select(table.c.item_id, table.c.state, table.c.result_json)
                .where(table.c.job_id == job_id)
                .order_by(table.c.ordinal)
            ).all()
        settled = tuple((row[0], row[1], row[2]) for row in rows if row.state != "pending")
        return JobRecord(
            job_id, job.state, job.reason, job.detail, job.created_at, job.finished_at,
            len(rows), len(settled), settled,
        )  # fmt: skip

    def pending_operations(self, prefix: str) -> list[str]:
        """Return every operation that some job has still to carry out, as JSON.

        Args:
            prefix: how its JSON begins.
        """
        table = write_job_operations
        statement = select(table.c.operation_json).where(
            table.c.state == "pending", table.c.operation_json.startswith(prefix, autoescape=True)
        )
        with read_transaction(self._engine) as connection:
            return list(connection.scalars(statement))

    def _remove_old(self, connection: Connection) -> None:
        before = (datetime.now(UTC) - timedelta(days=KEPT_DAYS)).isoformat()
        connection.execute(delete(write_jobs).where(write_jobs.c.finished_at < before))


def _require(connection: Connection, lease: JobLease) -> None:
    """Extend a lease; what the caller does in this transaction counts only if that succeeds."""
    held = connection.execute(
        update(write_jobs)
        .where(write_jobs.c.job_id == lease.job_id, write_jobs.c.owner == lease.owner)
        .values(lease_until_seconds=time.time() + lease.seconds)
    )
    if held.rowcount == 0:
        raise LeaseLost(f"somebody else works on {lease.job_id} by now", job=lease.job_id)


def _finish(
    connection: Connection,
    lease: JobLease,
    state: JobState,
    reason: str | None = None,
    detail: str | None = None,
) -> None:
    connection.execute(
        update(write_jobs)
        .where(write_jobs.c.job_id == lease.job_id)
        .values(
            state=state, reason=reason, detail=detail, owner=None, finished_at=writing.utc_now()
        )
    )
