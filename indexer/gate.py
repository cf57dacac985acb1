"""May a snapshot be published? Decided from measured numbers, with reasons that give them."""

from __future__ import annotations

from typing import Any

import msgspec

from indexer.canaries import ChannelCanaries
from indexer.config import CollectionConfig
from indexer.gate_config import GateConfig
from indexer.gate_measurements import Measured
from indexer.manifest import ChannelEntry, Manifest

SHORTEST_SECONDS = 1e-3
"""Processor time of a question from which its growth is worth a warning."""

NOTHING_MEASURED = Measured()


class GateReport(msgspec.Struct, frozen=True):
    """The decision about one snapshot, and the numbers it rests on."""

    snapshot_id: str

    reasons: tuple[str, ...]
    """Why it is refused, one sentence each; empty when it may be published."""

    warnings: tuple[str, ...] = ()
    """What someone should look at, and what could not be looked at; refuses nothing."""

    measured: Measured = NOTHING_MEASURED

    of_index: tuple[str, ...] = ()
    """Those of the reasons that say that the index itself is worse than it may be. The others are
    about the collection, and as true of the snapshot before: failed files, coverage, and answers
    that somebody expects.
    """

    overruled_for: str | None = None
    """What it was published for although there are reasons; ``None``: nothing, or by force."""

    @property
    def passed(self) -> bool:
        """Whether it may be published."""
        return not self.reasons

    def as_json(self) -> dict[str, Any]:
        """Return it as the command line and the API print it."""
        return {
            "reasons": list(self.reasons),
            "overruled_for": self.overruled_for,
            "warnings": list(self.warnings),
            "failed": self.measured.num_failed,
            "failed_share": round(self.measured.failed_share, 4),
            "channels": {
                name: {
                    "known_items": canaries.num_known,
                    "known_item_share": _rounded(canaries.known_item_share),
                    "compared": canaries.num_compared,
                    "overlap_at_10": _rounded(canaries.overlap_at_10),
                    "latency_ratio": _rounded(canaries.latency_ratio),
                }
                for name, canaries in self.measured.channels.items()
            },
        }


def judge(
    manifest: Manifest, config: CollectionConfig, measured: Measured = NOTHING_MEASURED
) -> GateReport:
    """Decide whether a snapshot may be published.

    Args:
        manifest: of a finished snapshot.
        config: the collection it was built for; its ``gate`` says how bad it may be.
        measured: what is known beside the manifest.
    """
    gate = config.gate
    reasons: list[str] = []
    of_index: list[str] = []
    warnings = list(measured.notes)
    if manifest.config_digest != config.digest:
        of_index.append(
            f"built for configuration {manifest.config_digest}, the collection is at "
            f"{config.digest}"
        )
    if (
        measured.num_failed > gate.max_failed_files
        and measured.failed_share > gate.max_failed_share
    ):
        reasons.append(_of_failures(measured, gate))
    for name, channel in config.channels.items():
        entry = manifest.channels.get(name)
        if entry is None:
            of_index.append(f"channel {name!r} is not in it")
            continue
        target = channel.index.target_recall
        reasons += _of_coverage(name, entry, gate)
        of_index += _of_recall(name, entry, target, gate)
        if name in measured.channels:
            canaries = measured.channels[name]
            of_index += _of_canaries(name, canaries, target, gate)
            warnings += _warnings(name, canaries, gate)
    reasons += [*of_index, *measured.wrong_canaries]
    return GateReport(
        manifest.snapshot_id, tuple(reasons), tuple(warnings), measured, tuple(of_index)
    )


def _of_failures(measured: Measured, gate: GateConfig) -> str:
    by_reason = ", ".join(f"{count} {reason}" for reason, count in measured.failed.items())
    return (
        f"{measured.num_failed} of {measured.num_items + measured.num_failed} files failed "
        f"({measured.failed_share:.1%}), at most {gate.max_failed_files} or "
        f"{gate.max_failed_share:.1%} may: {by_reason}; `kindred failures` lists them"
    )


def _of_coverage(name: str, entry: ChannelEntry, gate: GateConfig) -> list[str]:
    expected = entry.num_items + entry.num_uncovered_items
    if not expected or entry.num_items / expected >= gate.min_coverage:
        return []
    return [
        f"channel {name!r} covers {entry.num_items} of {expected} items "
        f"({entry.num_items / expected:.1%}), at least {gate.min_coverage:.1%} is asked for: "
        "the others were encoded by another model; ingest again"
    ]


def _of_recall(name: str, entry: ChannelEntry, target: float, gate: GateConfig) -> list[str]:
    if entry.recall_at_10 is None or entry.recall_at_10 >= target - gate.recall_margin:
        return []
    return [
        f"channel {name!r} finds {entry.recall_at_10:.3f} of the 10 nearest, its target is "
        f"{target:.3f} (margin {gate.recall_margin:.3f})"
    ]


def _of_canaries(
    name: str, canaries: ChannelCanaries, target: float, gate: GateConfig
) -> list[str]:
    reasons = []
    known, overlap = canaries.known_item_share, canaries.overlap_at_10
    if known is not None and known < target - gate.known_item_margin:
        reasons.append(
            f"channel {name!r}: {known:.3f} of {canaries.num_known} segments find their own item "
            f"among the first 10, its target is {target:.3f} (margin {gate.known_item_margin:.3f})"
        )
    if overlap is not None and overlap < target - gate.overlap_margin:
        reasons.append(
            f"channel {name!r}: {overlap:.3f} of the 10 items nearest in the live snapshot are "
            f"found again, over {canaries.num_compared} questions; its target is {target:.3f} "
            f"(margin {gate.overlap_margin:.3f})"
        )
    return reasons


def _warnings(name: str, canaries: ChannelCanaries, gate: GateConfig) -> list[str]:
    warnings = []
    if canaries.not_compared:
        warnings.append(
            f"channel {name!r} was not compared with the live snapshot: {canaries.not_compared}"
        )
    ratio, seconds = canaries.latency_ratio, canaries.new_seconds
    if ratio and seconds and ratio > gate.max_latency_ratio and seconds >= SHORTEST_SECONDS:
        warnings.append(
            f"channel {name!r}: a question takes {1000 * seconds:.1f} ms of processor time, "
            f"{ratio:.1f} times as long as in the live snapshot"
        )
    return warnings


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
