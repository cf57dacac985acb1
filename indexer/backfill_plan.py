"""What a backfill has to do: what the encoders of a collection have not been at, and from where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from encoders.config import medium_of_encoder
from encoders.encoder import EncoderIdentity
from encoders.loading import EncoderLoader
from encoders.media.segmentation import segmentation_id
from indexer.catalog.catalog import Catalog
from indexer.catalog.records import ChannelState, ItemRecord
from indexer.catalog.state import ChannelCoverage
from indexer.config import ChannelConfig, CollectionConfig
from indexer.errors import Refused
from indexer.pipeline import channel_identities, recognizer_ids
from indexer.walk import is_gone
from indexer.wanted_channels import fields_text

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
    cuts = segmentation_ids(config, loader)
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


def segmentation_ids(config: CollectionConfig, loader: EncoderLoader) -> dict[str, str]:
    """Return by channel how contents are cut; see `ChannelVectors.segmentation_id`."""
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
