"""What a reindex did, for people and programs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from indexer.gate import GateReport
from indexer.manifest import Manifest

STAGES = ("check", "build", "smoke_search", "gate", "publish")
"""What a reindex spends its time on, one after the other.

- ``check``: whether anything is due, and whether there is room;
- ``build``: reading the catalog, training and filling indexes, measuring recall, checksums;
- ``smoke_search``: searching the new snapshot once in a process of its own;
- ``gate``: canary queries of the new and the live snapshot;
- ``publish``: the swap, and removing what is too old or was taken down.
"""


@dataclass(slots=True)
class ReindexReport:
    """What a reindex did."""

    collection: str

    because: list[str]
    """Why a new snapshot was due, one clause each; empty when the live one was up to date."""

    manifest: Manifest | None = None
    """Of the snapshot that is live now; ``None`` when the collection is empty and has none."""

    built: bool = False
    """A new snapshot was published; otherwise the live one was up to date."""

    stages: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    """Seconds by stage, see `STAGES`."""

    gate: GateReport | None = None
    """What the gate found; its reasons were overruled by force."""

    num_items: int = 0
    """Live items of the collection when it was done."""

    num_failed: int = 0
    """Files that failed at their latest attempt."""

    num_delta_items: int = 0
    """Items written or deleted since the live snapshot was begun."""

    peak_memory_bytes: int = 0
    """The most this process has held so far."""

    not_erased: str | None = None
    """Why taken-down items that no snapshot holds any more could not be erased, if so."""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return sum(self.stages.values())

    @property
    def overruled(self) -> tuple[str, ...]:
        """What the gate found wrong with a snapshot that was published by force."""
        return self.gate.reasons if self.gate else ()

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the time of a block to a stage."""
        started = time.perf_counter()
        yield
        self.stages[stage] += time.perf_counter() - started

    def as_json(self) -> dict[str, Any]:
        """Return the report as the command line prints it under ``--json``."""
        return {
            "collection": self.collection,
            "snapshot": self.manifest.snapshot_id if self.manifest else None,
            "built": self.built,
            "because": self.because,
            "seconds": round(self.seconds, 3),
            "stages": {name: round(seconds, 3) for name, seconds in self.stages.items()},
            "peak_memory_bytes": self.peak_memory_bytes,
            "items": self.num_items,
            "failed": self.num_failed,
            "segments": self.manifest.num_segments if self.manifest else 0,
            "through_seq": self.manifest.through_seq if self.manifest else 0,
            "delta": self.num_delta_items,
            "recall": self.manifest.recall if self.manifest else {},
            "overruled": list(self.overruled),
            "gate": self.gate.as_json() if self.gate else None,
            "warnings": list(self.gate.warnings) if self.gate else [],
            "not_erased": self.not_erased,
        }

    def sentence(self) -> str:
        """Return the report for people."""
        if self.manifest is None:
            return "nothing to index yet"
        if not self.built:
            return f"snapshot {self.manifest.snapshot_id} is up to date"
        sentence = (
            f"published snapshot {self.manifest.snapshot_id}: {self.manifest.num_segments} "
            f"segments of {self.manifest.num_items} items in {self.seconds:.1f} s"
        )
        if self.overruled:
            sentence += "; by force, although " + "; ".join(self.overruled)
        if self.gate is not None and self.gate.warnings:
            sentence += "; warning: " + "; ".join(self.gate.warnings)
        if self.not_erased:
            sentence += f"; what was taken down is not erased yet: {self.not_erased}"
        return sentence
