"""What became of single operations, in the words of HTTP."""

from __future__ import annotations

import msgspec
import structlog

from encoders.errors import KindredError
from indexer.catalog.job_records import JobRecord
from indexer.catalog.records import Applied, Change, ItemWrite
from search_api.errors import ItemNotFound, Superseded
from search_api.problems import kindred_problem
from search_api.write_schemas import JobOut, OperationResult

STATUS_OF: dict[Applied, int] = {"created": 201, "replaced": 200, "deleted": 204, "absent": 404}

log = structlog.get_logger("kindred.api")


def applied_result(change: Change, applied: Applied, change_seq: int) -> OperationResult:
    """Return what to say of a change that was committed."""
    if isinstance(change, ItemWrite):
        return OperationResult(
            item_id=change.item.item_id,
            status=STATUS_OF[applied],
            change_seq=change_seq,
            segments={one.channel: len(one.segments) for one in change.channels},
        )
    if applied == "absent":
        return failed_result(
            change.item_id,
            ItemNotFound(f"there is no item {change.item_id!r}", item_id=change.item_id),
        )
    return OperationResult(item_id=change.item_id, status=STATUS_OF[applied], change_seq=change_seq)


def failed_result(item_id: str, error: KindredError) -> OperationResult:
    """Return what to say of an operation that cannot be carried out."""
    problem = kindred_problem(error)
    if problem.status >= 500:
        log.error("an operation failed", item=item_id, code=error.code, error=error.message)
    return OperationResult(item_id=item_id, status=problem.status, error=problem)


def job_out(job: JobRecord) -> JobOut:
    """Return a job as the API shows it."""
    results = []
    for item_id, state, result in job.results:
        if state == "superseded" or result is None:
            error = Superseded(f"a later write of item {item_id!r} came first", item_id=item_id)
            results.append(failed_result(item_id, error))
        else:
            results.append(msgspec.json.decode(result, type=OperationResult))
    return JobOut(
        job_id=job.job_id,
        state=job.state,
        operations=job.num_operations,
        settled=job.num_settled,
        reason=job.reason,
        detail=job.detail,
        created_at=job.created_at,
        finished_at=job.finished_at,
        results=results,
    )
