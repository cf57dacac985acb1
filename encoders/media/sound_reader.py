"""What the two libraries that read sound have in common."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from encoders.media.rejection import MediaRejected

BLOCK_FRAMES = 262_144
"""Frames decoded at a time: memory does not grow with the length of a stretch's source."""

SAMPLE_RATES_HZ = range(100, 1_000_001)


class SoundReader(Protocol):
    """An open sound. A frame is one sample of every channel."""

    @property
    def sample_rate_hz(self) -> int:
        """Frames per second."""
        ...

    @property
    def num_channels(self) -> int:
        """Samples per frame."""
        ...

    @property
    def num_frames(self) -> int | None:
        """Length; ``None`` if the header does not state it."""
        ...

    def blocks(self, first: int, stop: int) -> Iterator[NDArray[np.float32]]:
        """Yield frames ``[first, stop)`` as ``(num_frames, num_channels)``, fewer at the end.

        Raises:
            MediaRejected: ``corrupt``.
        """
        ...

    def __enter__(self) -> SoundReader: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


def require_sample_rate(sample_rate_hz: int) -> None:
    """Refuse a rate that no sound has.

    Raises:
        MediaRejected: ``corrupt``.
    """
    if sample_rate_hz not in SAMPLE_RATES_HZ:
        raise MediaRejected(
            "corrupt", f"a sample rate of {sample_rate_hz} Hz", sample_rate_hz=sample_rate_hz
        )
