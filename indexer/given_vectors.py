"""Vectors that come with an item instead of an original: checked against the channel's space."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from encoders.encoder import EncoderIdentity
from encoders.errors import SpaceMismatch
from encoders.media.content import Segment
from encoders.space import require_same_space, unit_rows
from indexer.catalog.records import ChannelVectors
from indexer.config import CollectionConfig
from indexer.errors import BadVectors, VectorSpaceMismatch
from indexer.item_operations import GivenVectors, PutVectors

GIVEN_SEGMENTATION = "given"
"""`ChannelVectors.segmentation_id` of vectors that were cut elsewhere."""


def channel_vectors(
    config: CollectionConfig,
    identities: Mapping[str, EncoderIdentity],
    operation: PutVectors,
    name: str,
    source_sha256: str,
) -> ChannelVectors:
    """Return what ``operation`` gives for the channel ``name`` as the catalog stores it.

    Raises:
        BadVectors: the channel does not take them, they have the wrong shape, or hold a row that is
            zero or not finite.
        VectorSpaceMismatch: naming both spaces.
    """
    given = operation.channels[name]
    where = f"item {operation.item_id!r}, channel {name!r}"
    channel = config.channels.get(name)
    if channel is None or not channel.takes(operation.medium):
        takers = list(config.channels_for(operation.medium))
        raise BadVectors(
            f"{where}: expected a channel that takes {operation.medium}: "
            f"{', '.join(takers) or 'none does'}; got {name!r}",
            field="channels", expected=takers, got=name,
        )  # fmt: skip
    identity = identities[name]
    dims = {len(row) for row in given.vectors}
    if len(dims) != 1:
        raise BadVectors(
            f"{where}: expected rows of {identity.dim} numbers, got rows of "
            f"{' and '.join(map(str, sorted(dims)))}",
            field="vectors", expected=identity.dim, got=sorted(dims),
        )  # fmt: skip
    try:
        require_same_space(
            f"what was given for {where}", given.space_id, dims.pop(),
            f"channel {name!r}", identity.space_id, identity.dim,
        )  # fmt: skip
    except SpaceMismatch as error:
        raise VectorSpaceMismatch(error.message, **error.detail) from error
    rows = np.array(given.vectors, dtype=np.float64)
    lengths = np.linalg.norm(rows, axis=1)
    if not np.isfinite(lengths).all() or not (lengths > 0).all():
        raise BadVectors(
            f"{where}: expected finite rows that are not zero, got lengths "
            f"{', '.join(f'{length:g}' for length in lengths[:8])}",
            field="vectors", expected="finite, not zero", got=[str(one) for one in lengths[:8]],
        )  # fmt: skip
    return ChannelVectors(
        channel=name,
        encoder_id=identity.encoder_id,
        space_id=identity.space_id,
        segmentation_id=GIVEN_SEGMENTATION,
        source_sha256=source_sha256,
        segments=_segments(where, given),
        vectors=unit_rows(rows / lengths[:, np.newaxis]),
    )


def _segments(where: str, given: GivenVectors) -> tuple[Segment, ...]:
    if given.segments is None and len(given.vectors) == 1:
        return (Segment(),)
    segments = given.segments or []
    if len(segments) != len(given.vectors):
        raise BadVectors(
            f"{where}: expected one segment per row, {len(given.vectors)}, got {len(segments)}",
            field="segments", expected=len(given.vectors), got=len(segments),
        )  # fmt: skip
    for each in segments:
        times = (each.start_seconds, each.stop_seconds)
        if (times[0] is None) != (times[1] is None) or (
            times[0] is not None and times[1] is not None and times[0] > times[1]
        ):
            raise BadVectors(
                f"{where}: expected start_seconds and a later stop_seconds, or neither; got "
                f"{times[0]} and {times[1]}",
                field="segments", expected="start_seconds <= stop_seconds", got=list(times),
            )  # fmt: skip
    return tuple(Segment(each.start_seconds, each.stop_seconds, each.text) for each in segments)
