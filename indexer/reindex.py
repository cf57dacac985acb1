"""Reindex: from the catalog's vectors to a published snapshot, or to a refusal in numbers."""

from __future__ import annotations

import resource
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

import msgspec
import structlog

from encoders.encoder import EncoderIdentity
from encoders.errors import KindredError
from indexer.blob_sweep import sweep_blobs
from indexer.catalog.catalog import Catalog
from indexer.config import CollectionConfig
from indexer.data_dir import DataDir
from indexer.encoder_leftovers import encoders_of_snapshots
from indexer.erasure import settle_takedowns
from indexer.errors import Refused
from indexer.free_space import expected_bytes, require_free_space
from indexer.gate import GateReport, judge
from indexer.gate_measurements import measure
from indexer.lock import Lease, require_newest, take_lease
from indexer.manifest import Manifest, SnapshotCorrupt, SnapshotUnreadable, read_manifest
from indexer.publish import clear_up, live_snapshot_path, publish
from indexer.reindex_report import ReindexReport
from indexer.served_collection import is_made_by
from indexer.smoke_search import smoke_search
from indexer.snapshot import Snapshot, build_snapshot

log = structlog.get_logger("kindred.reindex")


class GateRefused(Refused):
    """A new snapshot is worse than it may be; the live one stays."""

    code = "gate_refused"


def reindex(
    catalog: Catalog,
    data_dir: DataDir,
    config: CollectionConfig,
    identities: Mapping[str, EncoderIdentity],
    *,
    if_changed: bool = False,
    force: bool = False,
    erasing: str | None = None,
    lease: Lease | None = None,
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
        erasing: what must be erased, and so cannot wait: publish although the gate says no, unless
            the index itself is worse than it may be; the gate's report keeps this word.
        lease: what came with the writer lock; ``None`` takes the next one now.

    Raises:
        WriterLeaseLost: another writer has begun since; nothing was published.
        NoSpace: there is no room for a new snapshot.
        SmokeSearchFailed: the snapshot cannot be searched; it is not kept, by no force.
        GateRefused: the snapshot is worse than it may be; it is not kept.
        PruneFailed: the snapshot is live, but an older one could not be removed.
    """
    report = ReindexReport(config.name, [])
    with report.timed("check"):
        clear_up(data_dir, config.name)
        report.manifest, report.because = _live_and_due(catalog, data_dir, config, identities)
    if report.because or not if_changed:
        report.because = report.because or ["it was asked for"]
        lease = lease or take_lease(data_dir, config.name, "reindex")
        _build_and_publish(
            catalog, data_dir, config, identities, report, lease, force=force, erasing=erasing
        )
    counts = catalog.counts(config.name)
    report.num_items, report.num_failed = counts.items, counts.failed
    if report.manifest is not None:
        report.num_delta_items = catalog.num_changed_since(config.name, report.manifest.through_seq)
    report.peak_memory_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return report


def _build_and_publish(
    catalog: Catalog,
    data_dir: DataDir,
    config: CollectionConfig,
    identities: Mapping[str, EncoderIdentity],
    report: ReindexReport,
    lease: Lease,
    *,
    force: bool,
    erasing: str | None,
) -> None:
    def accept(folder: Path, manifest: Manifest) -> None:
        with report.timed("smoke_search"):
            smoke_search(folder)
        with report.timed("gate"):
            report.gate = _gate(catalog, data_dir, config, identities, Snapshot(folder, manifest))
        if report.gate.passed or force:
            return
        if erasing is not None and not report.gate.of_index:
            report.gate = msgspec.structs.replace(report.gate, overruled_for=erasing)
        else:
            raise GateRefused(
                f"snapshot {manifest.snapshot_id} was not published: "
                + "; ".join(report.gate.reasons),
                **report.gate.as_json(),
            )

    with report.timed("check"):
        require_newest(data_dir, lease)
        data_dir.root.mkdir(parents=True, exist_ok=True)
        require_free_space(data_dir.root, expected_bytes(catalog, config, identities))
    with report.timed("build"):
        try:
            snapshot = build_snapshot(catalog, data_dir, config, identities, accept=accept)
        except GateRefused:
            raise
        except Exception:
            # A later writer removes what is being built: it looks like the remains of a dead run.
            require_newest(data_dir, lease)
            raise
    report.stages["build"] -= report.stages["smoke_search"] + report.stages["gate"]
    with report.timed("publish"):
        encoders_before = encoders_of_snapshots(data_dir, config.name)
        changes_model = report.manifest is not None and not is_made_by(report.manifest, identities)
        publish(
            snapshot,
            data_dir,
            report=report.gate,
            lease=lease,
            discard_unpublished=True,
            # No write that was prepared with the model of before is being stored at that moment.
            while_swapping=catalog.writes_held if changes_model else nullcontext,
        )
        report.manifest, report.built = snapshot.manifest, True
        expired = encoders_before - encoders_of_snapshots(data_dir, config.name)
        expired -= {identity.encoder_id for identity in identities.values()}
        if expired:
            catalog.forget_encoders(config.name, expired)
        report.not_erased = _settled_takedowns(catalog, data_dir, config.name)
        try:
            sweep_blobs(catalog, data_dir)
        except OSError as error:
            # The snapshot is published; what could not be removed is tried again by the next.
            log.warning("cannot remove uploads that nothing refers to", error=str(error))


def _gate(
    catalog: Catalog,
    data_dir: DataDir,
    config: CollectionConfig,
    identities: Mapping[str, EncoderIdentity],
    snapshot: Snapshot,
) -> GateReport:
    try:
        live = live_snapshot_path(data_dir, config.name)
    except SnapshotCorrupt:  # what was served cannot be found, so there is nothing to compare with
        live = None
    return judge(snapshot.manifest, config, measure(catalog, config, identities, snapshot, live))


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


def _live_and_due(
    catalog: Catalog,
    data_dir: DataDir,
    config: CollectionConfig,
    identities: Mapping[str, EncoderIdentity],
) -> tuple[Manifest | None, list[str]]:
    """Return the live snapshot's manifest, and why a new snapshot is due."""
    change_seq = catalog.change_seq(config.name)
    try:
        live = live_snapshot_path(data_dir, config.name)
        manifest = None if live is None else read_manifest(live)
    except (SnapshotCorrupt, SnapshotUnreadable) as error:
        return None, [f"the live snapshot cannot be read: {error.message}"]
    if manifest is None:
        return None, ["there is no snapshot yet"] if change_seq else []
    due = []
    if manifest.through_seq != change_seq:
        num_changed = catalog.num_changed_since(config.name, manifest.through_seq)
        due.append(f"changes of items since the live snapshot: {num_changed}")
    if manifest.config_digest != config.digest:
        due.append("the configuration changed")
    encoder_ids = {name: entry.encoder_id for name, entry in manifest.channels.items()}
    due += [
        f"channel {name!r} has another encoder than in the live snapshot"
        for name, identity in identities.items()
        if encoder_ids.get(name) != identity.encoder_id
    ]
    if _is_better_covered(catalog, manifest):
        due.append("encoders have been at items since that they had not been at")
    return manifest, due


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
