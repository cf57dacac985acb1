"""What became of every file of a run: counts that add up to what was planned."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from indexer.catalog.records import Outcome, OutcomeState
from indexer.catalog.run_writes import LeftAlone

STATES = ("encoded", "unchanged", "moved", "failed", "skipped")

STAGES = (
    "plan",
    "hash",
    "decode",
    "decode_wait",
    "preprocess",
    "hear",
    "load",
    "encode",
    "write",
    "publish",
)
"""What a run spends its time on, in seconds. They overlap, so they may add up to more than the run.

- ``plan``: deciding what has to be done for each file, asking the catalog included;
- ``hash``: reading files whole for the sha256 of their content;
- ``decode``: processor time of the decoder processes, their start and broken-off tasks left out;
- ``decode_wait``: waiting for them, on the thread that runs ahead of the models;
- ``preprocess``: cutting what was decoded into windows and passages and finding speech in it, on
  the same thread. What a network needs besides, as the size of a picture, belongs to ``encode``;
- ``hear``: recognising speech;
- ``load``: opening encoders that were not open yet;
- ``encode``: running them;
- ``write``: storing items and vectors in the catalog;
- ``publish``: building, checking and publishing the index; 0 where the run left it as it was.
"""


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
    stages: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    """Seconds by stage, see `STAGES`."""

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

    def recount(self, state: OutcomeState, outcome: Outcome) -> None:
        """Replace a file's outcome, which was counted as ``state``."""
        self.counts[state] -= 1
        self.count(outcome)

    def leave(self, left: LeftAlone) -> None:
        """Count a file as skipped instead: somebody else changed its item while the run went on."""
        self.counts[left.state] -= 1
        self.segments -= sum(len(channel.segments) for channel in left.write.channels)
        self.count(left.outcome)

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
