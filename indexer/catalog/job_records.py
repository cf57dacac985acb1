"""The values that jobs of writes are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from indexer.catalog.records import Change

JobState: TypeAlias = Literal["queued", "running", "done", "failed"]


@dataclass(frozen=True, slots=True)
class JobEntry:
    """One operation of a new job."""

    item_id: str
    operation_json: str

    result_json: str | None = None
    """Given if it is already known to have failed."""


@dataclass(frozen=True, slots=True)
class JobLease:
    """The right to work on a job."""

    job_id: str
    collection: str
    owner: str
    seconds: float


@dataclass(frozen=True, slots=True)
class PendingOperation:
    """An operation that is still to be carried out."""

    ordinal: int
    operation_json: str


@dataclass(frozen=True, slots=True)
class Settled:
    """An operation that was tried: what it changes, or what to say of its failure."""

    ordinal: int
    change: Change | None
    failed_json: str | None = None


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job and what became of its operations."""

    job_id: str
    state: JobState
    reason: str | None
    detail: str | None
    created_at: str
    finished_at: str | None
    num_operations: int
    num_settled: int
    results: tuple[tuple[str, str, str | None], ...]
    """Item, state and result of each settled operation, in order."""
