"""What the client raises."""

from __future__ import annotations

from collections.abc import Sequence

import httpx
import msgspec

from search_api.schemas import Problem
from search_api.write_schemas import JobOut, OperationResult


class ApiError(Exception):
    """The server refused a request, or could not answer it.

    Attributes:
        problem: what it said, as RFC 9457 has it.
        status: of the answer.
        code: short and stable, for programs: ``item_not_found``, ``not_authenticated``…
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.status} {problem.code or problem.title}: {problem.detail}")
        self.problem = problem
        self.status = problem.status
        self.code = problem.code


class Unreachable(Exception):
    """No whole answer came: nothing listens there, or the connection broke, or took too long."""


class JobFailed(Exception):
    """A job of which no operation succeeded.

    Attributes:
        job: as it ended.
    """

    def __init__(self, job: JobOut) -> None:
        super().__init__(f"job {job.job_id} failed: {first_error(job.results) or job.detail}")
        self.job = job


def first_error(results: Sequence[OperationResult]) -> str:
    """Return what was wrong with the first operation that failed."""
    failed = (each for each in results if each.error is not None)
    first = next(failed, None)
    return "" if first is None or first.error is None else f"{first.item_id}: {first.error.detail}"


def problem_of(response: httpx.Response) -> Problem:
    """Return what an answer that is an error says, also where something else than Kindred said it.

    Args:
        response: read whole.
    """
    try:
        return msgspec.json.decode(response.content, type=Problem)
    except msgspec.MsgspecError:
        return Problem(
            type="about:blank",
            title=response.reason_phrase or "an answer that is not Kindred's",
            status=response.status_code,
            detail=response.text[:500],
        )
