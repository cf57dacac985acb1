"""Reading sound with libsndfile."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from encoders.media.rejection import MediaRejected
from encoders.media.sound_reader import BLOCK_FRAMES, require_sample_rate

if TYPE_CHECKING:
    import soundfile

UNKNOWN_LENGTH_FRAMES = 2**62
"""libsndfile answers with the largest number there is when a header leaves the length open."""


def open_with_soundfile(file: BinaryIO) -> SoundfileReader | None:
    """Open a sound, or return ``None`` if libsndfile cannot read it or tell its length."""
    import soundfile

    try:
        sound = soundfile.SoundFile(file)
    except soundfile.LibsndfileError:
        return None
    if sound.frames >= UNKNOWN_LENGTH_FRAMES:
        sound.close()
        return None
    require_sample_rate(sound.samplerate)
    return SoundfileReader(sound)


class SoundfileReader:
    """A `SoundReader` on libsndfile."""

    def __init__(self, sound: soundfile.SoundFile) -> None:
        self._sound = sound
        self.sample_rate_hz: int = sound.samplerate
        self.num_channels: int = sound.channels
        # For WAV and Ogg this is what is really there, whatever the header says.
        self.num_frames: int | None = sound.frames

    def blocks(self, first: int, stop: int) -> Iterator[NDArray[np.float32]]:
        """Yield frames ``[first, stop)``; see `SoundReader`."""
        import soundfile

        stop = min(stop, self._sound.frames)
        try:
            if first < stop:
                self._sound.seek(first)
            while first < stop:
                block = self._sound.read(
                    min(BLOCK_FRAMES, stop - first), dtype="float32", always_2d=True
                )
                if not len(block):
                    return
                yield block
                first += len(block)
        except soundfile.LibsndfileError as error:
            raise MediaRejected("corrupt", f"libsndfile: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._sound.close()
