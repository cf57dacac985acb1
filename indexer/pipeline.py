"""Ingest: from paths to vectors in the catalog, one outcome per file."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from encoders.config import WhisperConfig
from encoders.encoder import EncoderIdentity
from encoders.loading import EncoderLoader
from encoders.media.sandbox import DecodeLimits, DecodeSandbox
from indexer.attributes import AttributeFile
from indexer.catalog.catalog import Catalog
from indexer.catalog.records import Outcome
from indexer.catalog.run_writes import RunWrites
from indexer.config import CollectionConfig
from indexer.decode_ahead import DecodeAhead
from indexer.errors import MassDeleteRefused
from indexer.known_files import KnownFiles
from indexer.outcomes import IngestSummary
from indexer.plan import Planner
from indexer.runners.local import LocalRunner
from indexer.walk import FoundFile, find_files, is_gone

MASS_DELETE_SHARE = 0.3
"""A pruning run that would remove more than this share of what it knows is refused."""

MASS_DELETE_FLOOR = 5
"""Removing up to this many items is never called a mass delete."""


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """How to ingest."""

    attributes: Path | None = None
    prune: bool = False
    """Remove items below the given paths whose files are gone."""

    force: bool = False
    """Prune even when it removes a large share."""

    num_decode_workers: int = 1
    limits: DecodeLimits = field(default_factory=DecodeLimits)


def channel_identities(
    config: CollectionConfig, loader: EncoderLoader
) -> Mapping[str, EncoderIdentity]:
    """Return which encoder each channel of a collection uses, without loading any weights.

    Raises:
        ModelMissing: weights are not in the model folder.
    """
    return {name: loader.identify(channel.encoder) for name, channel in config.channels.items()}


class RecognizerIdentifier(Protocol):
    """Says which recogniser a configuration describes: `EncoderLoader`."""

    def identify_recognizer(self, config: WhisperConfig) -> str:
        """Return its id without loading it."""
        ...


def recognizer_ids(config: CollectionConfig, loader: RecognizerIdentifier) -> Mapping[str, str]:
    """Return which recogniser each channel of speech uses, without loading any weights.

    Raises:
        ModelMissing: the configuration names a model that does not exist.
    """
    return {
        name: loader.identify_recognizer(channel.recognizer)
        for name, channel in config.channels.items()
        if channel.recognizer is not None
    }


def ingest(
    paths: Sequence[Path],
    catalog: Catalog,
    config: CollectionConfig,
    loader: EncoderLoader,
    options: IngestOptions = IngestOptions(),
    on_progress: Callable[[IngestSummary], None] = lambda summary: None,
) -> IngestSummary:
    """Bring the catalog up to date with the files below ``paths``.

    The caller holds the collection's writer lock. Finished items are stored as the run goes on; one
    that is killed loses at most the items that were under way, and the next finds the rest
    unchanged.

    Args:
        paths: folders, files or ``@LIST`` files.
        catalog: where items and vectors go.
        config: the collection.
        loader: opens encoders, and only those that have something to encode.
        options: see `IngestOptions`.
        on_progress: called with the running summary after each file and batch.

    Returns:
        Counts that add up, and every file that failed with its reason.

    Raises:
        SourceMissing: one of ``paths`` is not there.
        AttributesError: the attribute file cannot be read.
        ModelMissing: weights are not in the model folder.
        MassDeleteRefused: pruning would remove a large share; nothing was removed.
    """
    started = time.perf_counter()
    identities = channel_identities(config, loader)
    attribute_file = AttributeFile(options.attributes) if options.attributes else None
    files = list(find_files(paths))
    catalog.register_collection(config)
    run_id = catalog.start_run(config.name, "ingest")
    summary = IngestSummary(planned=len(files))
    on_progress(summary)
    # Before the items are read: whatever comes after is none of this run's business.
    since_seq = catalog.change_seq(config.name)
    known = KnownFiles.load(catalog, config.name)
    known.look_for_exchanges(files)
    hashed_before = known.hash_seconds
    recognizers = recognizer_ids(config, loader)
    planner = Planner(catalog, config, identities, recognizers, known, attribute_file)
    store = RunWrites(catalog, since_seq, summary.leave)
    with DecodeSandbox(options.limits, num_workers=options.num_decode_workers) as sandbox:
        runner = LocalRunner(store, config.name, run_id, loader, summary, on_progress)
        ahead = DecodeAhead(files, planner, sandbox, loader.open_recognizer)
        runner.run(ahead)
        summary.stages |= {
            "plan": ahead.plan_seconds - (known.hash_seconds - hashed_before),
            "hash": known.hash_seconds,
            "decode": sandbox.cpu_seconds,
        }
    if attribute_file is not None:
        summary.num_unused_attribute_rows = attribute_file.num_unused
    _forget_or_prune(paths, files, catalog, store, config, known, summary, options)
    summary.seconds = time.perf_counter() - started
    catalog.finish_run(run_id, summary.as_json())
    return summary


def _forget_or_prune(
    paths: Sequence[Path],
    files: Sequence[FoundFile],
    catalog: Catalog,
    store: RunWrites,
    config: CollectionConfig,
    known: KnownFiles,
    summary: IngestSummary,
    options: IngestOptions,
) -> None:
    """Remove, or only count, items whose file is gone; drop failures of files that are gone."""
    seen = {file.location for file in files}
    # What vanished in the middle of this run stays listed until the next.
    listed = {file.listed_location for file in files}
    gone_failures = [
        failure.location
        for failure in catalog.failures(config.name)
        if failure.location not in listed and is_gone(failure.location)
    ]
    if gone_failures:
        catalog.forget_failures(config.name, gone_failures)
    sources = {os.fspath(path.resolve()) for path in paths if path.is_dir()}
    # What was an item and now belongs to a recording beside it can be found there.
    attached = {os.fspath(path) for file in files for path in file.transcripts}
    missing = known.missing_under(sources, seen, attached)
    if not options.prune:
        summary.missing = len(missing)
        return
    num_known = len(known.by_location)
    too_many = len(missing) > max(MASS_DELETE_FLOOR, MASS_DELETE_SHARE * num_known)
    # A folder without a single file is a share that is not mounted more often than a clean-up.
    if missing and (too_many or not files) and not options.force:
        raise MassDeleteRefused(
            f"--prune would remove {len(missing)} of {num_known} items; more than "
            f"{MASS_DELETE_SHARE:.0%}, or all of a folder, is not removed unasked. Everything else "
            "was ingested. If the removal is meant, add --force",
            would_remove=len(missing),
            known=num_known,
        )
    removed = store.delete(config.name, missing)
    locations = {entry.item.item_id: entry.item.location for entry in known.by_location.values()}
    catalog.write(
        config.name,
        (),
        [
            Outcome(
                location=locations[item_id],
                item_id=item_id,
                state="removed",
                reason="file_gone",
                detail=None,
                content_sha256=None,
            )
            for item_id in removed
        ],
    )
    summary.removed = len(removed)
