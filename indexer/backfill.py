"""Backfill: bring a new model's vectors of every item into the catalog while the old one serves.

What a text encoder needs is in the catalog already: passages, words heard and attributes are stored
with their segments, so a recording need not be heard again because the encoder of words changed.
Everything else is decoded again from the originals.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from encoders.config import medium_of_encoder
from encoders.encoder import EncoderIdentity
from encoders.loading import EncoderLoader
from encoders.media.segmentation import segmentation_id
from indexer.catalog.catalog import Catalog
from indexer.catalog.records import ChannelState, ChannelVectors, ItemRecord, ItemWrite
from indexer.catalog.state import ChannelCoverage
from indexer.config import ChannelConfig, CollectionConfig
from indexer.errors import Refused
from indexer.outcomes import IngestSummary
from indexer.pipeline import IngestOptions, channel_identities, ingest, recognizer_ids
from indexer.walk import is_gone
from indexer.wanted_channels import fields_text

WORDS_PER_BATCH = 256
"""Segments whose words are encoded and stored together."""

MAX_NAMED = 20
"""Items named in a refusal; ``--check --json`` lists all."""


class OriginalsGone(Refused):
    """Switching to the new model would lose items whose originals are not there any more."""

    code = "originals_gone"


@dataclass(frozen=True, slots=True)
class GoneOriginal:
    """An item that cannot be encoded again."""

    item_id: str
    location: str

    channels: tuple[str, ...]
    """Channels in which it would not be found any more."""

    def as_json(self) -> dict[str, Any]:
        """Return it as the command line prints it."""
        return {
            "item_id": self.item_id,
            "location": self.location,
            "channels": list(self.channels),
        }


@dataclass(frozen=True, slots=True)
class Rewording:
    """A channel of an item whose stored words another encoder shall take."""

    item: ItemRecord
    channel: str

    stored: ChannelState
    """What the words are read from."""


@dataclass(frozen=True, slots=True)
class BackfillPlan:
    """What is missing of the encoders that a collection names."""

    coverage: Mapping[str, ChannelCoverage]
    """By channel, how much its encoder has done."""

    rewordings: tuple[Rewording, ...]
    originals: tuple[Path, ...]
    """Files to decode again."""

    gone: tuple[GoneOriginal, ...]

    item_ids: frozenset[str] = frozenset()
    """Items of which something is missing that can be made."""

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left that could be done."""
        return not self.rewordings and not self.originals

    def as_json(self) -> dict[str, Any]:
        """Return it as ``kindred backfill --check --json`` prints it."""
        return {
            "coverage": coverage_json(self.coverage),
            "from_words": len(self.rewordings),
            "from_originals": len(self.originals),
            "complete": self.is_complete,
            "gone": [gone.as_json() for gone in self.gone],
        }


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


def coverage_json(coverage: Mapping[str, ChannelCoverage]) -> dict[str, dict[str, int]]:
    """Return by channel how many items its encoder has been at, and how many others have."""
    return {
        name: {"items": found.current_items, "other_items": found.other_items}
        for name, found in coverage.items()
    }


def plan_backfill(
    catalog: Catalog, config: CollectionConfig, loader: EncoderLoader
) -> BackfillPlan:
    """Find out what the encoders of a collection have not been at; nothing is changed.

    Raises:
        ModelMissing: weights are not in the model folder.
    """
    identities = channel_identities(config, loader)
    cuts = _segmentation_ids(config, loader)
    rewordings: list[Rewording] = []
    originals: list[Path] = []
    gone: list[GoneOriginal] = []
    item_ids: set[str] = set()
    for known in catalog.known_items(config.name):
        missing: list[str] = []
        for name, channel in config.channels_for(known.item.medium).items():
            states = known.channels.get(name, ())
            encoder_id = identities[name].encoder_id
            if any(state.encoder_id == encoder_id for state in states):
                continue
            if not states and channel.fields and not fields_text(known.item.attributes, channel):
                continue  # nothing is said about it
            words = _stored_words(channel, states, cuts[name])
            if words is None:
                missing.append(name)
            else:
                rewordings.append(Rewording(known.item, name, words))
                item_ids.add(known.item.item_id)
        if missing and is_gone(known.item.location):
            gone.append(GoneOriginal(known.item.item_id, known.item.location, tuple(missing)))
        elif missing:
            originals.append(Path(known.item.location))
            item_ids.add(known.item.item_id)
    return BackfillPlan(
        channel_coverage(catalog, config, identities),
        tuple(rewordings),
        tuple(originals),
        tuple(gone),
        frozenset(item_ids),
    )


def channel_coverage(
    catalog: Catalog, config: CollectionConfig, identities: Mapping[str, EncoderIdentity]
) -> dict[str, ChannelCoverage]:
    """Return by channel how many live items its encoder has been at, and how many only others."""
    with catalog.state() as state:
        return {
            name: state.coverage(config.name, name, identities[name].encoder_id)
            for name in config.channels
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


def require_originals(plan: BackfillPlan) -> None:
    """Refuse a switch that would lose items.

    Raises:
        OriginalsGone: naming them.
    """
    if not plan.gone:
        return
    named = ", ".join(gone.item_id for gone in plan.gone[:MAX_NAMED])
    more = f" and {len(plan.gone) - MAX_NAMED} more" if len(plan.gone) > MAX_NAMED else ""
    raise OriginalsGone(
        f"{len(plan.gone)} items would not be found any more in channels whose encoder changed, "
        f"for their originals are gone: {named}{more}. The live index stays. Bring the files back "
        "and run this again, or add --force to switch without them",
        gone=[gone.as_json() for gone in plan.gone],
    )


def _segmentation_ids(config: CollectionConfig, loader: EncoderLoader) -> dict[str, str]:
    recognizers = recognizer_ids(config, loader)
    return {
        name: segmentation_id(
            channel.segments, fields=channel.fields, recognizer_id=recognizers.get(name)
        )
        for name, channel in config.channels.items()
    }


def _stored_words(
    channel: ChannelConfig, states: Sequence[ChannelState], cut: str
) -> ChannelState | None:
    """Return where the words lie that an encoder of text would be given, ``None`` if nowhere."""
    if medium_of_encoder(channel.encoder) != "text":
        return None
    return next((state for state in states if state.segmentation_id == cut), None)


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
    cuts = _segmentation_ids(config, loader)
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
