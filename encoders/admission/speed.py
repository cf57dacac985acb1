"""How fast an encoder is on this machine, measured when it is examined and kept beside its report.

On a processor the time is that of all cores together, so that the figure is what one core does and
neither the number of threads nor what else runs there changes it much; on a GPU it is the time that
passes.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import msgspec

from encoders.media.content import Medium
from encoders.models.files import keep_if_possible

MEASURE_SECONDS = 1.0
"""Rounds go on for as long, one at least; the median counts."""

CLOCK_TICK_SECONDS = 1e-6
"""The least that a round is taken to last, should the clock have stood still."""

SPEED_UNITS: Mapping[Medium, str] = {
    "text": "texts/s",
    "image": "pictures/s",
    "audio": "audio-seconds/s",
}
ContentT = TypeVar("ContentT")


class Speed(msgspec.Struct, frozen=True, kw_only=True):
    """A measured speed. JSON-ready."""

    encoder_id: str
    """Or that of a recogniser."""

    medium: Medium

    device: str
    """``cpu`` or ``cuda:N``."""

    per_second: float
    """Contents per second of one core, or of the GPU; sounds count by their seconds."""

    measured: str | None
    """When, ISO 8601 in UTC; ``None``: on another machine, before the model was shipped."""

    @property
    def unit(self) -> str:
        """What ``per_second`` counts."""
        return SPEED_UNITS[self.medium]


def measure_speed(
    encode: Callable[[Sequence[ContentT]], object],
    contents: Sequence[ContentT],
    amount: float,
    *,
    encoder_id: str,
    medium: Medium,
    device: str,
) -> Speed:
    """Return how much ``encode`` takes in per second.

    Args:
        encode: takes one batch; it has done so before and is warm.
        contents: the batch.
        amount: how much that is: the number of texts or pictures, the seconds of sounds.
        encoder_id: whose speed it is.
        medium: of the contents.
        device: where the encoder runs.
    """
    clock = time.process_time if device == "cpu" else time.perf_counter
    rates: list[float] = []
    until = time.perf_counter() + MEASURE_SECONDS
    while not rates or time.perf_counter() < until:
        # Copies, since an encoder may remember the answer to the very objects it last saw.
        batch = copy.deepcopy(contents)
        began = clock()
        encode(batch)
        rates.append(amount / max(clock() - began, CLOCK_TICK_SECONDS))
    return Speed(
        encoder_id=encoder_id,
        medium=medium,
        device=device,
        per_second=statistics.median(rates),
        measured=datetime.now(UTC).isoformat(timespec="seconds"),
    )


class SpeedRecords:
    """The speeds that this machine measured, one file for each encoder and device.

    A record that cannot be read is as good as none; a folder that cannot be written to keeps none.

    Args:
        folder: made when the first speed is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, speed: Speed) -> None:
        """Keep a speed in place of an older one of the same encoder and device."""
        content = msgspec.json.format(msgspec.json.encode(speed))
        keep_if_possible(self._path(speed.encoder_id, speed.device), content)

    def of(self, encoder_id: str) -> list[Speed]:
        """Return the speeds of an encoder, by device."""
        # Quoted ids hold no character that means something in a pattern.
        paths = self.folder.glob(f"{quote(encoder_id, safe='')}@*.json")
        speeds = (_read(path) for path in sorted(paths))
        return [speed for speed in speeds if speed is not None]

    def _path(self, encoder_id: str, device: str) -> Path:
        return self.folder / f"{quote(encoder_id, safe='')}@{quote(device, safe='')}.json"


def _read(path: Path) -> Speed | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Speed)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
