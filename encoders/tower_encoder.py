"""One tower of a network that has two: pictures and texts, or sounds and texts, in one space."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from encoders.encoder import EncoderIdentity
from encoders.space import Vectors

ContentT = TypeVar("ContentT")


class TowerEncoder(Generic[ContentT]):
    """Encodes contents with one tower of a shared network.

    Args:
        encode: runs the tower: ``(len(batch), identity.dim)`` float32 unit rows of a batch.
        identity: of this tower.
    """

    def __init__(
        self, encode: Callable[[Sequence[ContentT]], Vectors], identity: EncoderIdentity
    ) -> None:
        self._encode = encode
        self._identity = identity

    @property
    def identity(self) -> EncoderIdentity:
        """Which encoder this is and which space it feeds."""
        return self._identity

    def encode(self, batch: Sequence[ContentT]) -> Vectors:
        """Return the ``(len(batch), dim)`` float32 unit rows of a batch."""
        return self._encode(batch)
