"""Media in a text space through a map that was fitted from a team's own pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

import numpy as np

from encoders.adapters.file import Adapter, AdapterRecord
from encoders.adapters.fitting import adapted
from encoders.encoder import Encoder, EncoderIdentity
from encoders.errors import SpaceMismatch
from encoders.space import Vectors

ContentT = TypeVar("ContentT")


def adapter_encoder_id(record: AdapterRecord) -> str:
    """Return the id of an adapter's encoder, whether or not its parts are on this machine."""
    return f"adapter-{record.digest}"


def adapter_identity(
    record: AdapterRecord, features: EncoderIdentity, base: EncoderIdentity | None
) -> EncoderIdentity:
    """Return what is known of an adapter's encoder without loading it.

    Args:
        record: the adapter's.
        features: what ``record.features`` identifies as on this machine.
        base: what ``record.base`` identifies as; ``None`` where there is none.

    Raises:
        SpaceMismatch: the adapter was fitted on other encoders than these.
    """
    _require_same("features", record.features_id, features.encoder_id)
    _require_same("base", record.base_id, base.encoder_id if base else None)
    return EncoderIdentity(
        adapter_encoder_id(record),
        record.space_id,
        record.dim,
        features.medium,
        features.sample_rate_hz,
    )


class AdapterEncoder(Generic[ContentT]):
    """Encodes pictures or sounds into a text space: mapped features, added to base vectors.

    Args:
        features: gives what is mapped.
        base: gives the vectors that the map is added to; ``None`` for an adapter without. Both are
            asked with the same batch object, so that two encoders of one classifier share a run
            of the network.
        adapter: the map.

    Raises:
        SpaceMismatch: the adapter was fitted on other encoders than these.
    """

    def __init__(
        self, features: Encoder[ContentT], base: Encoder[ContentT] | None, adapter: Adapter
    ) -> None:
        self._identity = adapter_identity(
            adapter.record, features.identity, base.identity if base else None
        )
        self._features = features
        self._base = base
        self._adapter = adapter

    @property
    def identity(self) -> EncoderIdentity:
        """Which encoder this is and which space it feeds."""
        return self._identity

    def encode(self, batch: Sequence[ContentT]) -> Vectors:
        """Return one unit row per content, ``(len(batch), dim)`` float32."""
        if not batch:
            return np.empty((0, self._identity.dim), dtype=np.float32)
        features = self._features.encode(batch)
        base = self._base.encode(batch) if self._base else None
        adapter = self._adapter
        return adapted(adapter.matrix, adapter.bias, adapter.record.base_weight, features, base)


def _require_same(part: str, fitted_id: str | None, given_id: str | None) -> None:
    if fitted_id != given_id:
        raise SpaceMismatch(
            f"the adapter was fitted on {part} {fitted_id}, here it is {given_id}; fit it again",
            part=part,
            left=fitted_id,
            right=given_id,
        )
