"""Reindex: from the catalog's vectors to a published snapshot, or to a refusal in numbers."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from encoders.encoder import EncoderIdentity
from encoders.errors import KindredError
from indexer.blob_sweep import sweep_blobs
from indexer.catalog.catalog import Catalog
from indexer.config import CollectionConfig
from indexer.data_dir import DataDir
from indexer.erasure import settle_takedowns
from indexer.errors import Refused
from indexer.free_space import expected_bytes, require_free_space
from indexer.gate import GateReport, judge
from indexer.manifest import Manifest, SnapshotCorrupt, SnapshotUnreadable, read_manifest
from indexer.publish import finished_snapshots, live_snapshot_path, publish
from indexer.smoke_search import smoke_search
from indexer.snapshot import build_snapshot

log = structlog.get_logger("kindred.reindex")


class GateRefused(Refused):
    """A new snapshot is worse than it may be; the live one stays."""

    code = "gate_refused"


@dataclass(frozen=True, slots=True)
class ReindexReport:
    """What a reindex did."""

    manifest: Manifest | None
    """Of the snapshot that is live now; ``None`` when the collection is empty and has none."""

    built: bool
    """A new snapshot was published; otherwise the live one was up to date."""

    seconds: float = 0.0
    overruled: tuple[str, ...] = field(default=())
    """What the gate found wrong with a snapshot that was published by force."""

    not_erased: str | None = None
    """Why taken-down items that no snapshot holds any more could not be erased, if so."""

    def as_json(self) -> dict[str, Any]:
        """Return the report as the command line prints it under ``--json``."""
        return {
            "snapshot": self.manifest.snapshot_id if self.manifest else None,
            "built": self.built,
            "seconds": round(self.seconds, 3),
            "segments": self.manifest.num_segments if self.manifest else 0,
            "through_seq": self.manifest.through_seq if self.manifest else 0,
            "overruled": list(self.overruled),
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
        if self.not_erased:
            sentence += f"; what was taken down is not erased yet: {self.not_erased}"
        return sentence


def reindex(
    catalog: Catalog,
    data_dir: DataDir,
    config: CollectionConfig,
    identities: Mapping[str, EncoderIdentity],
    *,
    if_changed: bool = False,
    force: bool = False,
) -> ReindexReport:
    """Build a snapshot of everything in the catalog and publish it if the gate agrees.

    The caller holds the collection's writer lock.

    Args:
        catalog: where the vectors are.
        data_dir: where snapshots go.
        config: the collection.
        identities: the encoder of each channel.
        if_changed: do nothing when the live snapshot holds every change and the same channels.
        force: publish although the gate says no.

    Raises:
        NoSpace: there is no room for a new snapshot.
        SmokeSearchFailed: the snapshot cannot be searched; it is not kept, by no force.
        GateRefused: the snapshot is worse than it may be; it is not kept.
        PruneFailed: the snapshot is live, but an older one could not be removed.
    """
    started = time.perf_counter()
    if if_changed:
        manifest, damaged = _live_manifest(data_dir, config.name)
        if not damaged and _is_current(catalog, config, identities, manifest):
            return ReindexReport(manifest, built=False)
    data_dir.root.mkdir(parents=True, exist_ok=True)
    require_free_space(data_dir.root, expected_bytes(catalog, config, identities))
    overruled: list[str] = []

    def accept(folder: Path, manifest: Manifest) -> None:
        smoke_search(folder)
        overruled.extend(_overruled(manifest, config, force))

    snapshot = build_snapshot(catalog, data_dir, config, identities, accept=accept)
    before = _encoders_of_snapshots(data_dir, config.name)
    publish(snapshot, data_dir, overruled=overruled, discard_unpublished=True)
    expired = before - _encoders_of_snapshots(data_dir, config.name)
    expired -= {identity.encoder_id for identity in identities.values()}
    if expired:
        catalog.forget_encoders(config.name, expired)
    not_erased = _settled_takedowns(catalog, data_dir, config.name)
    try:
        sweep_blobs(catalog, data_dir)
    except OSError as error:
        # The snapshot is published; what could not be removed is tried again by the next.
        log.warning("cannot remove uploads that nothing refers to", error=str(error))
    return ReindexReport(
        snapshot.manifest,
        built=True,
        seconds=time.perf_counter() - started,
        overruled=tuple(overruled),
        not_erased=not_erased,
    )


def _overruled(manifest: Manifest, config: CollectionConfig, force: bool) -> Sequence[str]:
    """Return what the gate finds wrong with a snapshot, if that shall not matter.

    Raises:
        GateRefused: it does matter.
    """
    report: GateReport = judge(manifest, config)
    if report.passed or force:
        return report.reasons
    raise GateRefused(
        f"snapshot {manifest.snapshot_id} was not published: " + "; ".join(report.reasons),
        reasons=list(report.reasons),
    )


def _encoders_of_snapshots(data_dir: DataDir, collection: str) -> set[str]:
    """Return the encoders whose vectors are in a snapshot that can be served."""
    found = set()
    for path in finished_snapshots(data_dir, collection):
        try:
            manifest = read_manifest(path)
        except (SnapshotCorrupt, SnapshotUnreadable):
            continue  # it cannot be served
        found |= {entry.encoder_id for entry in manifest.channels.values()}
    return found


def _settled_takedowns(catalog: Catalog, data_dir: DataDir, collection: str) -> str | None:
    """Erase what the removal of an old snapshot has set free; return why that was not possible.

    It is no reason to call the reindex failed: the receipts go on saying what holds the items, and
    the next snapshot tries again.
    """
    try:
        settle_takedowns(catalog, data_dir, collection)
    except KindredError as error:
        return error.message
    return None


def _live_manifest(data_dir: DataDir, collection: str) -> tuple[Manifest | None, bool]:
    """Return the live snapshot's manifest, and whether it is damaged: then a new one is due."""
    try:
        live = live_snapshot_path(data_dir, collection)
        return (None if live is None else read_manifest(live)), False
    except (SnapshotCorrupt, SnapshotUnreadable):
        return None, True


def _is_current(
    catalog: Catalog,
    config: CollectionConfig,
    identities: Mapping[str, EncoderIdentity],
    manifest: Manifest | None,
) -> bool:
    change_seq = catalog.change_seq(config.name)
    if manifest is None:
        return change_seq == 0
    return (
        manifest.through_seq == change_seq
        and manifest.config_digest == config.digest
        and all(
            name in manifest.channels and manifest.channels[name].encoder_id == identity.encoder_id
            for name, identity in identities.items()
        )
        and not _is_better_covered(catalog, manifest)
    )


def _is_better_covered(catalog: Catalog, manifest: Manifest) -> bool:
    """Tell whether encoders were at items since that they had not been at: no change shows that."""
    incomplete = {
        name: entry for name, entry in manifest.channels.items() if entry.num_uncovered_items
    }
    if not incomplete:
        return False
    with catalog.state() as state:
        return any(
            state.coverage(manifest.collection, name, entry.encoder_id).other_items
            != entry.num_uncovered_items
            for name, entry in incomplete.items()
        )
