"""Items with made-up vectors, for tests of everything from the catalog upwards."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from encoders.encoder import EncoderIdentity
from encoders.media.content import Medium, Segment
from encoders.space import Vectors, unit_rows
from indexer.catalog.records import ChannelVectors, ItemRecord, ItemWrite
from indexer.config import CollectionConfig, parse_collection

DIM = 16
COLLECTION = "tiny"

YAML = """
name: tiny
attributes: {title: text, tags: keyword, year: int, score: float, live: bool, released: datetime}
channels:
  pictures:
    media: [image]
    encoder: {family: concepts, classifier: efficientnet_lite2}
  passages:
    media: [text]
    segments: {kind: passages, max_words: 40}
    encoder: {family: sentence_transformers}
    index: {engine: exact}
"""


def tiny_config() -> CollectionConfig:
    return parse_collection(YAML)


def identities(version: int = 1, dim: int = DIM) -> dict[str, EncoderIdentity]:
    return {
        "pictures": EncoderIdentity(f"picture-encoder-{version}", "words", dim, "image"),
        "passages": EncoderIdentity(f"text-encoder-{version}", "words", dim, "text"),
    }


def random_vectors(num_rows: int, dim: int = DIM, seed: int = 0) -> Vectors:
    return unit_rows(np.random.default_rng(seed).standard_normal((num_rows, dim)))


def clustered_vectors(num_rows: int, dim: int, seed: int = 0) -> Vectors:
    """Return rows near a bent 8-dimensional surface: structure such as real embeddings have."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((64, 8))
    latent = centres[rng.integers(0, 64, num_rows)] + 0.4 * rng.standard_normal((num_rows, 8))
    bent = np.sin(latent @ rng.standard_normal((8, dim))) + latent @ rng.standard_normal((8, dim))
    return unit_rows(bent + 0.05 * rng.standard_normal((num_rows, dim)))


def record(
    item_id: str, medium: Medium = "text", attributes: Mapping[str, object] | None = None
) -> ItemRecord:
    return ItemRecord(
        item_id=item_id,
        medium=medium,
        format="plain",
        source="/media",
        relative_path=f"{item_id}.txt",
        location=f"/media/{item_id}.txt",
        content_sha256=hashlib.sha256(item_id.encode()).hexdigest(),
        size_bytes=10,
        mtime_ns=1,
        attributes=attributes or {},
    )


def channel_vectors(
    channel: str, vectors: Vectors, *, version: int = 1, source: str = "source"
) -> ChannelVectors:
    identity = identities(version)[channel]
    segments = tuple(Segment(text=f"{source} passage {number}") for number in range(len(vectors)))
    return ChannelVectors(
        channel=channel,
        encoder_id=identity.encoder_id,
        space_id=identity.space_id,
        segmentation_id="cut-1",
        source_sha256=hashlib.sha256(source.encode()).hexdigest(),
        segments=segments,
        vectors=vectors,
    )


def write_of(
    item_id: str,
    num_segments: int = 2,
    *,
    channels: Sequence[str] = ("passages",),
    seed: int = 0,
    version: int = 1,
    attributes: Mapping[str, object] | None = None,
    dim: int = DIM,
) -> ItemWrite:
    made = tuple(
        channel_vectors(
            channel,
            random_vectors(num_segments, dim, seed=seed * 10 + number),
            version=version,
            source=f"{item_id}-{seed}",
        )
        for number, channel in enumerate(channels)
    )
    return ItemWrite(record(item_id, attributes=attributes), made)
