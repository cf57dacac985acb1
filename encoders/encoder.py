"""What an encoder is: something that turns a batch of one medium into unit vectors of one space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from encoders.media.content import Medium
from encoders.space import Vectors

ContentT_contra = TypeVar("ContentT_contra", contravariant=True)


@dataclass(frozen=True, slots=True)
class EncoderIdentity:
    """Everything about an encoder that can be known without loading its weights."""

    encoder_id: str
    """Digest of weights, preprocessing and parameters: equal ids give interchangeable vectors."""

    space_id: str
    """Which vectors the output may be compared with."""

    dim: int

    medium: Medium
    """What it takes: ``image`` a `Picture`, ``audio`` a `Sound`, ``text`` a ``str``."""

    sample_rate_hz: int | None = None
    """For audio encoders, the rate of the sounds it takes; ``None`` otherwise."""


class Encoder(Protocol[ContentT_contra]):
    """Turns content of one medium into vectors."""

    @property
    def identity(self) -> EncoderIdentity:
        """Which encoder this is and which space it feeds."""
        ...

    def encode(self, batch: Sequence[ContentT_contra]) -> Vectors:
        """Return one unit row per content.

        Args:
            batch: `Picture`, `Sound` or ``str``, after ``identity.medium``; may be empty.

        Returns:
            ``(len(batch), identity.dim)`` float32 unit rows, independent of how contents are
            batched.
        """
        ...
