"""Which encoder turns a question of each medium into a vector for each channel.

Pure planning over identities: no weights are loaded, so API workers plan queries without any
machine learning library.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from encoders.config import (
    EncoderConfig,
    PassageSegments,
    SegmentsConfig,
    ShotSegments,
    UtteranceSegments,
    as_question,
    words_encoder,
)
from encoders.encoder import EncoderIdentity
from encoders.media.content import MEDIA, Medium

_TAKEN_FROM: Mapping[Medium, tuple[Medium, ...]] = {
    "image": ("image",),
    "audio": ("audio",),
    "video": ("image", "audio"),
    "text": ("text",),
}
"""What encoders are given of a question of each medium: a video asks with pictures and sound."""

DEFAULT_PASSAGES = PassageSegments(max_words=120, overlap_words=20)
"""How a text file that asks is cut where no channel of the collection says so."""


class PlannedChannel(msgspec.Struct, frozen=True):
    """What planning needs to know of a channel; JSON-ready, it is sent to the encoder process."""

    encoder: EncoderConfig
    segments: SegmentsConfig

    of_fields: bool = False
    """The channel encodes attributes, so its segmentation says nothing about files."""


@dataclass(frozen=True, slots=True)
class QuerySource:
    """How a question of one medium enters one channel's space."""

    encoder: EncoderConfig
    identity: EncoderIdentity

    segments: SegmentsConfig
    """How a long question (a file) is cut before it is encoded."""


@dataclass(frozen=True, slots=True)
class QueryPlan:
    """For each medium, the channels that can be asked with it and how."""

    identities: Mapping[str, EncoderIdentity]
    """Each channel's own encoder."""

    sources: Mapping[Medium, Mapping[str, QuerySource]]

    def channels_for(self, medium: Medium) -> list[str]:
        """Return the channels that a question of ``medium`` can search, in collection order."""
        return list(self.sources[medium])

    def media_for(self, channel: str) -> list[Medium]:
        """Return the media that ``channel`` can be asked with."""
        return [medium for medium in MEDIA if channel in self.sources[medium]]


def plan_queries(
    channels: Mapping[str, PlannedChannel], identify: Callable[[EncoderConfig], EncoderIdentity]
) -> QueryPlan:
    """Return how each channel can be asked.

    A channel's own encoder is preferred when it takes the question's medium; otherwise the first
    encoder of the collection that feeds the same space from that medium; at last, what brings words
    into the space of an encoder of pictures or sounds, so that a collection of pictures alone
    answers words.

    Args:
        channels: in collection order.
        identify: gives an encoder's identity without loading it.
    """
    identities = {name: identify(channel.encoder) for name, channel in channels.items()}
    offers = [
        _source(as_question(channel.encoder), _cut_of_files(channel.segments), identify)
        for channel in sorted(channels.values(), key=_ignorance)
    ]
    for channel in channels.values():
        words = words_encoder(channel.encoder)
        if words is not None:
            offers.append(_source(words, DEFAULT_PASSAGES, identify))
    sources: dict[Medium, dict[str, QuerySource]] = {medium: {} for medium in MEDIA}
    for name, channel in channels.items():
        own = identities[name]
        for medium in MEDIA:
            fitting = [
                offer
                for offer in offers
                if offer.identity.medium in _TAKEN_FROM[medium]
                and offer.identity.space_id == own.space_id
            ]
            fitting.sort(
                key=lambda offer: (
                    offer.encoder != as_question(channel.encoder),
                    # A video that asks is cut into shots, and only once for all channels.
                    medium == "video" and not isinstance(offer.segments, ShotSegments),
                    not channel.of_fields and offer.segments != channel.segments,
                )
            )
            if fitting:
                sources[medium][name] = fitting[0]
    return QueryPlan(identities=identities, sources=sources)


def _source(
    encoder: EncoderConfig,
    segments: SegmentsConfig,
    identify: Callable[[EncoderConfig], EncoderIdentity],
) -> QuerySource:
    return QuerySource(encoder, identify(encoder), segments)


def _ignorance(channel: PlannedChannel) -> int:
    """Return how little a channel knows of how files that ask are cut: 0, 1 or 2."""
    if channel.of_fields:
        return 2
    return 1 if isinstance(channel.segments, UtteranceSegments) else 0


def _cut_of_files(segments: SegmentsConfig) -> SegmentsConfig:
    """Return how a file that asks is cut: a text that asks a channel of speech is read."""
    return DEFAULT_PASSAGES if isinstance(segments, UtteranceSegments) else segments
