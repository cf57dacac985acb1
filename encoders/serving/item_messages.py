"""Contents of items that are stored, on their way to the encoder process and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from encoders.media.content import Picture, Sound
from encoders.speech.recognizer import LanguageState, RecordingLanguage, SpeechWindow


class PackedArray(msgspec.Struct, frozen=True, kw_only=True):
    """A numpy array."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes


class PackedContent(msgspec.Struct, frozen=True, kw_only=True):
    """A `Picture`, a `Sound` or words."""

    text: str | None = None
    array: PackedArray | None = None
    """Pixels or samples."""

    sample_rate_hz: int | None = None
    """Of a sound; ``None`` for a picture."""


class PackedWindow(msgspec.Struct, frozen=True, kw_only=True):
    """A `SpeechWindow`."""

    sound: PackedContent
    start_seconds: float
    voiced: tuple[tuple[float, float], ...]
    recording: int
    """Which of the recordings sent along it belongs to."""


def pack_array(array: NDArray[Any]) -> PackedArray:
    """Return ``array`` for the wire."""
    return PackedArray(dtype=array.dtype.str, shape=array.shape, data=array.tobytes())


def unpack_array(packed: PackedArray) -> NDArray[Any]:
    """Return what `pack_array` was given, not writable."""
    return np.frombuffer(packed.data, dtype=packed.dtype).reshape(packed.shape)


def pack_content(content: Picture | Sound | str) -> PackedContent:
    """Return ``content`` for the wire."""
    if isinstance(content, str):
        return PackedContent(text=content)
    if isinstance(content, Picture):
        return PackedContent(array=pack_array(content.pixels))
    return PackedContent(array=pack_array(content.samples), sample_rate_hz=content.sample_rate_hz)


def unpack_content(packed: PackedContent) -> Picture | Sound | str:
    """Return what `pack_content` was given."""
    if packed.text is not None:
        return packed.text
    if packed.array is None:
        raise ValueError("content without words and without an array")
    # Networks may want to write into what they are given.
    array = unpack_array(packed.array).copy()
    if packed.sample_rate_hz is None:
        return Picture(array)
    return Sound(array, packed.sample_rate_hz)


def pack_windows(
    windows: Sequence[SpeechWindow],
) -> tuple[list[PackedWindow], list[RecordingLanguage]]:
    """Return ``windows`` for the wire, and the recordings that they belong to."""
    recordings: list[RecordingLanguage] = []
    packed = []
    for window in windows:
        if not any(window.recording is known for known in recordings):
            recordings.append(window.recording)
        number = next(at for at, known in enumerate(recordings) if known is window.recording)
        packed.append(
            PackedWindow(
                sound=pack_content(window.sound),
                start_seconds=window.start_seconds,
                voiced=window.voiced,
                recording=number,
            )
        )
    return packed, recordings


def unpack_windows(
    packed: Sequence[PackedWindow], states: Sequence[LanguageState]
) -> tuple[list[SpeechWindow], list[RecordingLanguage]]:
    """Return the windows that `pack_windows` was given, and copies of their recordings."""
    recordings = [RecordingLanguage() for _ in states]
    for recording, state in zip(recordings, states, strict=True):
        recording.restore(state)
    windows = []
    for each in packed:
        sound = unpack_content(each.sound)
        if not isinstance(sound, Sound):
            raise ValueError("a window of speech without sound")
        windows.append(
            SpeechWindow(sound, each.start_seconds, each.voiced, recordings[each.recording])
        )
    return windows, recordings
