"""Items of which some change with every generation, so that an answer tells what it came from.

All that change do so in one transaction: whoever finds two generations in one answer has mixed two
states. What is right in a generation follows from the items' names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.made_up_items import made_up_record
from encoders.encoder import EncoderIdentity
from encoders.loading import EncoderLoader
from encoders.media.content import Segment
from encoders.models.folder import ModelFolder
from encoders.space import Vectors, unit_rows
from indexer.catalog.catalog import Catalog
from indexer.catalog.records import ChannelVectors, ItemWrite
from indexer.config import CollectionConfig, parse_collection
from indexer.pipeline import channel_identities

COLLECTION = "swapped"
EXACT_CHANNEL = "flat"
YAML = """
name: swapped
attributes: {generation: int, kind: keyword}
channels:
  flat:
    media: [text]
    encoder: {family: sentence_transformers}
    index: {factory: Flat}
  graph:
    media: [text]
    encoder: {family: sentence_transformers}
    index: {factory: HNSW16}
"""
FIXED, CHANGING, OWN = "fixed", "changing", "own"
"""Values of the attribute ``kind``."""

TOLERANCE = 4e-3
"""Vectors are stored in float16, which moves a cosine by up to so much."""


def swap_collection() -> CollectionConfig:
    """Return the collection: one exact and one approximate channel."""
    return parse_collection(YAML)


def swap_identity() -> EncoderIdentity:
    """Return the encoder of its channels, whose weights only questions in words need."""
    loader = EncoderLoader(ModelFolder.from_environment())
    return channel_identities(swap_collection(), loader)[EXACT_CHANNEL]


@dataclass(frozen=True)
class SwapItems:
    """The items of every generation.

    Args:
        identity: the encoder that the vectors are said to come from.
        num_fixed: items that stay as they are.
        num_changing: items of which each generation has another version.
    """

    identity: EncoderIdentity
    num_fixed: int
    num_changing: int

    @cached_property
    def fixed_ids(self) -> list[str]:
        """Ids of items that stay as they are."""
        return [f"{FIXED}-{number:06d}" for number in range(self.num_fixed)]

    @cached_property
    def changing_ids(self) -> list[str]:
        """Ids of items that change."""
        return [f"{CHANGING}-{number:06d}" for number in range(self.num_changing)]

    @cached_property
    def _fixed(self) -> Vectors:
        return unit_rows(_generator(FIXED).standard_normal((self.num_fixed, self.identity.dim)))

    @lru_cache(maxsize=4)  # noqa: B019  (few of these objects are made, and they live to the end)
    def _changing(self, generation: int) -> Vectors:
        # All lean the same way, so that they are each other's neighbours.
        dim = self.identity.dim
        noise = unit_rows(
            _generator(CHANGING, generation).standard_normal((self.num_changing, dim))
        )
        return unit_rows(_generator(CHANGING).standard_normal(dim)[np.newaxis] / dim**0.5 + noise)

    @lru_cache(maxsize=512)  # noqa: B019
    def cosines(self, item_id: str, generation: int) -> NDArray[np.float32]:
        """Return ``(num_fixed + num_changing,)`` cosines of a changing item with all others.

        Its own is -inf: an item is not found by itself.
        """
        row = self.row(item_id) - self.num_fixed
        changing = self._changing(generation)
        cosines = np.concatenate([self._fixed @ changing[row], changing @ changing[row]])
        cosines[self.num_fixed + row] = -np.inf
        return cosines

    def row(self, item_id: str) -> int:
        """Return where an item stands: fixed ones first."""
        number = int(item_id.rpartition("-")[2])
        return number + (self.num_fixed if kind_of(item_id) == CHANGING else 0)

    def write_generation(self, catalog: Catalog, generation: int) -> int:
        """Write what a generation changes in one transaction; return its ``change_seq``.

        Generation 0 writes everything.
        """
        rows = [] if generation else list(zip(self.fixed_ids, self._fixed, strict=True))
        rows += zip(self.changing_ids, self._changing(generation), strict=True)
        writes = [self._write(item_id, vector, generation) for item_id, vector in rows]
        catalog.write(COLLECTION, writes)
        return catalog.change_seq(COLLECTION)

    def _write(self, item_id: str, vector: Vectors, generation: int) -> ItemWrite:
        sha256 = hashlib.sha256(f"{item_id} {generation}".encode()).hexdigest()
        channels = tuple(
            ChannelVectors(
                channel=name,
                encoder_id=self.identity.encoder_id,
                space_id=self.identity.space_id,
                segmentation_id="made-up",
                source_sha256=sha256,
                segments=(Segment(text=item_id),),
                vectors=vector[np.newaxis],
            )
            for name in swap_collection().channels
        )
        attributes = {"generation": generation, "kind": kind_of(item_id)}
        return ItemWrite(made_up_record(item_id, sha256, attributes), channels)

    def own_body(self, number: int) -> dict[str, Any]:
        """Return the request that puts an item which is like no other."""
        vector = _generator(OWN, number).standard_normal(self.identity.dim)
        given = {"space_id": self.identity.space_id, "vectors": [vector.tolist()]}
        return {
            "medium": "text",
            "channels": {EXACT_CHANNEL: given},
            "attributes": {"kind": OWN, "generation": 0},
        }


def kind_of(item_id: str) -> str:
    """Return which kind of item an id belongs to."""
    return item_id.partition("-")[0]


def generation_of(hits: Sequence[Mapping[str, Any]]) -> set[int]:
    """Return the generations of those hits that change; one, if the answer is of one state."""
    return {hit["attributes"]["generation"] for hit in hits if kind_of(hit["item_id"]) == CHANGING}


def wrong_in_exact_answer(
    items: SwapItems, item_id: str, hits: Sequence[Mapping[str, Any]], generation: int, limit: int
) -> str | None:
    """Return what an exact answer to a changing item of a generation has wrong, if anything."""
    cosines = items.cosines(item_id, generation)
    least = float(np.partition(cosines, -limit)[-limit])
    if len(hits) != limit:
        return f"{len(hits)} hits for {item_id}, expected {limit}"
    for hit in hits:
        if kind_of(hit["item_id"]) == OWN:
            continue
        expected = float(cosines[items.row(hit["item_id"])])
        got = hit["moments"][0]["score"]
        if abs(got - expected) > TOLERANCE:
            return (
                f"{hit['item_id']} has {got:.4f} with {item_id}, in generation {generation} "
                f"it is {expected:.4f}"
            )
        if expected < least - TOLERANCE:
            return f"{hit['item_id']} is none of the {limit} nearest of {item_id}: {expected:.4f}"
    return None


def _generator(*name: object) -> np.random.Generator:
    digest = hashlib.sha256(" ".join(map(str, name)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))
