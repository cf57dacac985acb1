"""May a snapshot be published? Decided from its manifest, with reasons in numbers."""

from __future__ import annotations

from dataclasses import dataclass

from indexer.config import CollectionConfig
from indexer.manifest import ChannelEntry, Manifest

MIN_COVERAGE = 0.98
"""Share of a channel's items whose vectors the current encoder must have made."""

RECALL_MARGIN = 0.01
"""How far measured recall may lie under its target: two standard errors of 256 questions."""


@dataclass(frozen=True, slots=True)
class GateReport:
    """The decision about one snapshot."""

    snapshot_id: str

    reasons: tuple[str, ...]
    """Why it is refused, one sentence each; empty when it may be published."""

    @property
    def passed(self) -> bool:
        """Whether it may be published."""
        return not self.reasons


def judge(
    manifest: Manifest,
    config: CollectionConfig,
    *,
    min_coverage: float = MIN_COVERAGE,
    recall_margin: float = RECALL_MARGIN,
) -> GateReport:
    """Decide whether a snapshot may be published.

    Args:
        manifest: of a finished snapshot.
        config: the collection it was built for.
        min_coverage: least share of each channel's items that must be in it.
        recall_margin: how far below its target a channel's recall may be.
    """
    reasons = []
    if manifest.config_digest != config.digest:
        reasons.append(
            f"built for configuration {manifest.config_digest}, the collection is at "
            f"{config.digest}"
        )
    for name, channel in config.channels.items():
        entry = manifest.channels.get(name)
        if entry is None:
            reasons.append(f"channel {name!r} is not in it")
            continue
        reasons += _reasons(name, entry, channel.index.target_recall, min_coverage, recall_margin)
    return GateReport(manifest.snapshot_id, tuple(reasons))


def _reasons(
    name: str, entry: ChannelEntry, target_recall: float, min_coverage: float, margin: float
) -> list[str]:
    reasons = []
    expected = entry.num_items + entry.num_uncovered_items
    if expected and entry.num_items / expected < min_coverage:
        reasons.append(
            f"channel {name!r} covers {entry.num_items} of {expected} items "
            f"({entry.num_items / expected:.1%}), at least {min_coverage:.1%} is asked for: the "
            f"others were encoded by another model; ingest again"
        )
    if entry.recall_at_10 is not None and entry.recall_at_10 < target_recall - margin:
        reasons.append(
            f"channel {name!r} finds {entry.recall_at_10:.3f} of the 10 nearest, its target is "
            f"{target_recall:.3f} (margin {margin:.3f})"
        )
    return reasons
