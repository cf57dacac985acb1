"""Items with made-up vectors that follow from their id and version, so that any mix-up shows.

A collection of three channels, one per kind of index: flat, graph and the exact engine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from encoders.config import EncoderConfig, WhisperConfig
from encoders.encoder import EncoderIdentity
from encoders.media.content import Segment
from encoders.space import Vectors, unit_rows
from encoders.speech.recognizer import SpeechRecognizer
from indexer.catalog.records import ChannelVectors, ItemRecord, ItemWrite
from indexer.config import CollectionConfig, parse_collection

COLLECTION = "made-up"
DIM = 16
SEGMENTS_PER_ITEM = 2

YAML = """
name: made-up
attributes: {version: int}
channels:
  flat:
    media: [text]
    encoder: {family: sentence_transformers}
  graph:
    media: [text]
    encoder: {family: sentence_transformers}
    index: {factory: HNSW16}
  exact:
    media: [text]
    encoder: {family: sentence_transformers}
    index: {engine: exact}
"""


def made_up_collection() -> CollectionConfig:
    """Return the collection; its encoder is never opened."""
    return parse_collection(YAML)


def made_up_identities() -> dict[str, EncoderIdentity]:
    """Return an encoder per channel that exists in name only."""
    identity = EncoderIdentity("made-up-encoder", "made-up-space", DIM, "text")
    return dict.fromkeys(made_up_collection().channels, identity)


def content_sha256(item_id: str, version: int) -> str:
    """Return what an item of this version has for a content."""
    return hashlib.sha256(f"{item_id} {version}".encode()).hexdigest()


@lru_cache(maxsize=4096)
def made_up_vectors(item_id: str, version: int, dim: int = DIM) -> Vectors:
    """Return ``(SEGMENTS_PER_ITEM, dim)`` float32 unit rows that belong to this version alone."""
    seed = int(content_sha256(item_id, version)[:16], 16)
    return unit_rows(np.random.default_rng(seed).standard_normal((SEGMENTS_PER_ITEM, dim)))


def made_up_write(
    item_id: str,
    version: int,
    identities: Mapping[str, EncoderIdentity],
    num_segments: int = SEGMENTS_PER_ITEM,
) -> ItemWrite:
    """Return the write that makes an item be of this version.

    Args:
        item_id: which item.
        version: which content it has; also its attribute ``version``.
        identities: the encoder of each channel.
        num_segments: how many of its vectors it has.
    """
    sha256 = content_sha256(item_id, version)
    channels = tuple(
        ChannelVectors(
            channel=name,
            encoder_id=identity.encoder_id,
            space_id=identity.space_id,
            segmentation_id="made-up",
            source_sha256=sha256,
            segments=tuple(
                Segment(text=f"{item_id} {version} {number}") for number in range(num_segments)
            ),
            vectors=made_up_vectors(item_id, version, identity.dim)[:num_segments],
        )
        for name, identity in identities.items()
    )
    return ItemWrite(made_up_record(item_id, sha256, {"version": version}), channels)


def made_up_record(item_id: str, sha256: str, attributes: Mapping[str, object]) -> ItemRecord:
    """Return an item of which there is no file."""
    return ItemRecord(
        item_id=item_id,
        medium="text",
        format="plain",
        source="made-up",
        relative_path=item_id,
        location=f"made-up/{item_id}",
        content_sha256=sha256,
        size_bytes=1,
        mtime_ns=1,
        attributes=attributes,
    )


def made_up_text(item_id: str, version: int) -> str:
    """Return words that `MadeUpEncoder` gives the first of an item's made-up vectors."""
    return f"{item_id} {version}"


class MadeUpEncoder:
    """Encodes what `made_up_text` returns, in the space of made-up vectors."""

    def __init__(self, identity: EncoderIdentity) -> None:
        self.identity = identity

    def encode(self, batch: Sequence[str]) -> Vectors:
        """Return ``(len(batch), dim)`` float32 unit rows."""
        named = [text.split() for text in batch]
        rows = [
            made_up_vectors(item_id, int(version), self.identity.dim)[:1]
            for item_id, version in named
        ]
        return np.concatenate(rows)


class MadeUpLoader:
    """Stands in for `EncoderLoader`: there are no weights to load."""

    def identify(self, config: EncoderConfig) -> EncoderIdentity:
        """Return the one encoder there is."""
        return next(iter(made_up_identities().values()))

    def open(self, config: EncoderConfig) -> MadeUpEncoder:
        """Return the one encoder there is."""
        return MadeUpEncoder(self.identify(config))

    def identify_recognizer(self, config: WhisperConfig) -> str:
        """Refuse: nobody speaks here."""
        raise LookupError("made-up items have no speech")

    def open_recognizer(self, config: WhisperConfig) -> SpeechRecognizer:
        """Refuse: nobody speaks here."""
        raise LookupError("made-up items have no speech")
