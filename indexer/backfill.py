"""Backfill: bring a new model's vectors of every item into the catalog while the old one serves.

What a text encoder needs is in the catalog already: passages, words heard and attributes are stored
with their segments, so a recording need not be heard again because the encoder of words changed.
Everything else is decoded again from the originals.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from encoders.loading import EncoderLoader
from indexer.backfill_plan import (
    BackfillPlan,
    Rewording,
    coverage_json,
    plan_backfill,
    segmentation_ids,
)
from indexer.catalog.catalog import Catalog
from indexer.catalog.records import ChannelVectors, ItemWrite
from indexer.config import CollectionConfig
from indexer.outcomes import IngestSummary
from indexer.pipeline import IngestOptions, channel_identities, ingest

WORDS_PER_BATCH = 256
"""Segments whose words are encoded and stored together."""


@dataclass(frozen=True, slots=True)
class BackfillReport:
    """What a backfill did."""

    num_from_words: int
    """Channels of items that were encoded from stored words."""

    ingested: IngestSummary
    """What became of the originals."""

    plan: BackfillPlan
    """What is still missing."""

    def as_json(self) -> dict[str, Any]:
        """Return the report as the command line prints it under ``--json``."""
        return {
            "from_words": self.num_from_words,
            "from_originals": self.ingested.as_json(),
            "coverage": coverage_json(self.plan.coverage),
            "gone": [gone.as_json() for gone in self.plan.gone],
        }


def backfill(
    catalog: Catalog,
    config: CollectionConfig,
    loader: EncoderLoader,
    options: IngestOptions,
    on_progress: Callable[[IngestSummary], None] = lambda summary: None,
) -> BackfillReport:
    """Encode what the encoders of a collection have not been at; publishing is another step.

    The caller holds the collection's writer lock. What is stored is added to what other encoders
    made: whoever serves from theirs notices nothing. One that is killed loses one batch.

    Args:
        catalog: where items and vectors are.
        config: the collection, with the new encoders.
        loader: opens them.
        options: how originals are decoded.
        on_progress: called with the running summary of the originals.

    Raises:
        ModelMissing: weights are not in the model folder.
    """
    plan = plan_backfill(catalog, config, loader)
    for batch in _batches(plan.rewordings):
        _reword(catalog, config, loader, batch)
    ingested = IngestSummary()
    if plan.originals:
        ingested = ingest(
            plan.originals, catalog, config, loader, replace(options, prune=False), on_progress
        )
    _copy_equal_content(catalog, config, loader)
    return BackfillReport(len(plan.rewordings), ingested, plan_backfill(catalog, config, loader))


def catch_up(
    catalog: Catalog, config: CollectionConfig, loader: EncoderLoader, options: IngestOptions
) -> int:
    """Encode what was written with the models of before until the new ones took over.

    Called once they are asked: nothing is stored with those of before any more. Servers read these
    items again. The caller holds the collection's writer lock.

    Returns:
        How many items there were.
    """
    late = plan_backfill(catalog, config, loader).item_ids
    if late:
        backfill(catalog, config, loader, options)
        catalog.touch(config.name, late)
    return len(late)


def _batches(rewordings: Sequence[Rewording]) -> Iterator[list[Rewording]]:
    """Yield rewordings of one channel at a time, about `WORDS_PER_BATCH` segments together."""
    by_channel: dict[str, list[Rewording]] = defaultdict(list)
    for rewording in rewordings:
        by_channel[rewording.channel].append(rewording)
    for of_channel in by_channel.values():
        batch: list[Rewording] = []
        num_segments = 0
        for rewording in of_channel:
            batch.append(rewording)
            num_segments += rewording.stored.num_segments
            if num_segments >= WORDS_PER_BATCH or len(batch) >= WORDS_PER_BATCH:
                yield batch
                batch, num_segments = [], 0
        if batch:
            yield batch


def _copy_equal_content(catalog: Catalog, config: CollectionConfig, loader: EncoderLoader) -> None:
    """Give items what was made of equal content: uploads of the same bytes are one file."""
    identities = channel_identities(config, loader)
    cuts = segmentation_ids(config, loader)
    for known in list(catalog.known_items(config.name)):
        copied = []
        for name, states in known.channels.items():
            if name not in config.channels:
                continue
            encoder_id = identities[name].encoder_id
            if any(state.encoder_id == encoder_id for state in states):
                continue
            twin = catalog.reusable(states[0].source_sha256, cuts[name], encoder_id)
            if twin is not None:
                copied.append(replace(twin, channel=name))
        if copied:
            write = ItemWrite(known.item, tuple(copied), adds_encodings=True)
            catalog.write(config.name, [write])


def _reword(
    catalog: Catalog, config: CollectionConfig, loader: EncoderLoader, batch: Sequence[Rewording]
) -> None:
    """Encode the stored words of some items of one channel and store the vectors."""
    found: list[tuple[Rewording, ChannelVectors]] = []
    for rewording in batch:
        stored = rewording.stored
        vectors = catalog.reusable(stored.source_sha256, stored.segmentation_id, stored.encoder_id)
        if vectors is not None:  # deleted since the plan was made
            found.append((rewording, vectors))
    encoder = loader.open(config.channels[batch[0].channel].encoder)
    identity = encoder.identity
    texts = [segment.text or "" for _, vectors in found for segment in vectors.segments]
    encoded = encoder.encode(texts) if texts else np.empty((0, identity.dim), np.float32)
    writes = []
    first = 0
    for rewording, vectors in found:
        last = first + len(vectors.segments)
        made = replace(
            vectors,
            channel=rewording.channel,
            encoder_id=identity.encoder_id,
            space_id=identity.space_id,
            vectors=encoded[first:last],
        )
        writes.append(ItemWrite(rewording.item, (made,), adds_encodings=True))
        first = last
    catalog.write(config.name, writes)
