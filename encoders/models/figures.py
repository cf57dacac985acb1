"""Figures that were measured of the starter's models before they were shipped.

Nothing here is estimated: what nobody measured has no figure. The publishers' own figures of models
on the hub stand in `hub_table`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Recall:
    """How often a question finds a right answer among the first ``at``."""

    question: str
    """What asks and what is found: "text to image"."""

    at: int
    value: float

    before: float | None = None
    """The same without the adapter whose recall it is."""


@dataclass(frozen=True, slots=True)
class ShippedFigures:
    """What was measured of a model."""

    check_name: str
    """What collections make of it, as ``kindred models check`` takes it."""

    per_second: float
    """Texts, pictures or seconds of sound per second of one core."""

    recall: Recall | None
    """Of the whole search through it."""


# Speeds: `kindred models check CHECK_NAME` on one core of an AMD EPYC beside other work, median of
# 5 runs (Whisper: 3).
# Recalls: `make bench-retrieval` (785 stamps of Tux Paint, 225 sounds) and `make bench-speech` (65
# spoken captions, language detected), as the README gives them.
STARTER_FIGURES: Mapping[str, ShippedFigures] = MappingProxyType(
    {
        "minilm": ShippedFigures("sentence_transformers:minilm", 170, None),
        "efficientnet_lite2": ShippedFigures(
            "concepts:efficientnet_lite2", 18, Recall("text to image", 10, 0.302)
        ),
        "yamnet": ShippedFigures("concepts:yamnet", 360, Recall("text to sound", 10, 0.400)),
        "whisper_base": ShippedFigures("whisper:base", 6.3, Recall("text to speech", 5, 0.708)),
    }
)
