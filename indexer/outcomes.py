"""What became of every file of a run: counts that add up to what was planned."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from indexer.catalog.records import Outcome

STATES = ("encoded", "unchanged", "moved", "failed", "skipped")


@dataclass(frozen=True, slots=True)
class FailedFile:
    """One line of a run's list of failures."""

    location: str
    reason: str
    detail: str


@dataclass(slots=True)
class IngestSummary:
    """The outcome of an ingest.

    ``planned = encoded + unchanged + moved + failed + skipped`` holds for every finished run, in
    items.
    """

    planned: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    removed: int = 0
    missing: int = 0
    """Items whose file is gone but which stay, because the run was not asked to prune."""

    num_unused_attribute_rows: int = 0
    """Rows of the attribute file that belong to no file of this run."""

    segments: int = 0
    encoder_calls: int = 0
    seconds: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)
    """Seconds by stage; stages overlap, so they may add up to more than ``seconds``."""

    failures: list[FailedFile] = field(default_factory=list)
    skipped: list[FailedFile] = field(default_factory=list)

    def count(self, outcome: Outcome) -> None:
        """Add one file's outcome."""
        self.counts[outcome.state] += 1
        if outcome.state in ("failed", "skipped"):
            listed = self.failures if outcome.state == "failed" else self.skipped
            listed.append(
                FailedFile(outcome.location, outcome.reason or "unknown", outcome.detail or "")
            )

    @property
    def num_settled(self) -> int:
        """How many files have an outcome."""
        return sum(self.counts[state] for state in STATES)

    def as_json(self) -> dict[str, Any]:
        """Return the summary as the command line prints it under ``--json``."""
        return {
            "planned": self.planned,
            **{state: self.counts[state] for state in STATES},
            "removed": self.removed,
            "missing": self.missing,
            "unused_attribute_rows": self.num_unused_attribute_rows,
            "segments": self.segments,
            "encoder_calls": self.encoder_calls,
            "seconds": round(self.seconds, 3),
            "stages": {name: round(seconds, 3) for name, seconds in self.stages.items()},
            "failures": [_failed_json(failed) for failed in self.failures],
            "skipped_files": [_failed_json(failed) for failed in self.skipped],
        }


def _failed_json(failed: FailedFile) -> dict[str, str]:
    return {"location": failed.location, "reason": failed.reason, "detail": failed.detail}
