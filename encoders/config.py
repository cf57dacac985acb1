"""How a channel is segmented and encoded, as written in a collection's YAML.

The structs are tagged unions: ``kind`` picks the segmentation, ``family`` the encoder. Unknown keys
are refused, so a typo cannot silently change what is indexed.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal, TypeAlias

import msgspec


class _Segments(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    pass


class WholeSegments(_Segments, frozen=True, tag="whole"):
    """One segment: all of it."""


class WindowSegments(_Segments, frozen=True, tag="windows"):
    """Windows of equal length over time; the last one is aligned to the end."""

    length_seconds: Annotated[float, msgspec.Meta(gt=0, le=600)]
    hop_seconds: Annotated[float, msgspec.Meta(gt=0, le=600)]

    def __post_init__(self) -> None:
        if self.hop_seconds > self.length_seconds:
            raise ValueError(
                f"hop_seconds {self.hop_seconds} is longer than length_seconds "
                f"{self.length_seconds}: sound between two windows would never be heard"
            )


class PassageSegments(_Segments, frozen=True, tag="passages"):
    """Passages of text with some words shared between neighbours."""

    max_words: Annotated[int, msgspec.Meta(ge=8, le=2000)]
    overlap_words: Annotated[int, msgspec.Meta(ge=0)] = 0

    def __post_init__(self) -> None:
        if self.overlap_words >= self.max_words:
            raise ValueError(
                f"overlap_words {self.overlap_words} must be smaller than "
                f"max_words {self.max_words}"
            )


class ShotSegments(_Segments, frozen=True, tag="shots"):
    """Shots of a video, cut where the picture changes; longer ones are cut again."""

    max_seconds: Annotated[float, msgspec.Meta(ge=1, le=600)] = 10.0


class UtteranceSegments(_Segments, frozen=True, tag="utterances"):
    """What is said in one go, as a recogniser heard it or a transcript file says."""

    max_seconds: Annotated[float, msgspec.Meta(ge=1, le=600)] = 30.0


SegmentsConfig: TypeAlias = (
    WholeSegments | WindowSegments | PassageSegments | ShotSegments | UtteranceSegments
)


class WhisperConfig(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="family", tag="whisper"
):
    """Speech recognition with a Whisper model, through faster-whisper."""

    model: str = "base"
    """``NAME`` for the model that ``kindred models list`` calls ``whisper_NAME``."""

    language: Annotated[str, msgspec.Meta(pattern="^[a-z]{2,3}$")] | None = None
    """ISO 639-1 code of what is spoken; ``None``: detected for each recording."""

    @property
    def weights(self) -> str:
        """What the model table calls the model."""
        return f"whisper_{self.model}"


class _Encoder(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="family"):
    pass


ClassifierName: TypeAlias = Literal["efficientnet_lite2", "yamnet"]


class ConceptsConfig(_Encoder, frozen=True, tag="concepts"):
    """A classifier's probabilities over named classes, carried into a text space (ConSE)."""

    classifier: ClassifierName
    text_model: str = "minilm"


class FeaturesConfig(_Encoder, frozen=True, tag="features"):
    """A classifier's penultimate layer: what things look or sound like, in a space of its own."""

    classifier: ClassifierName


class SentenceConfig(_Encoder, frozen=True, tag="sentence_transformers"):
    """A sentence-transformers model."""

    model: str = "minilm"


EncoderConfig: TypeAlias = ConceptsConfig | FeaturesConfig | SentenceConfig


def config_digest(config: object) -> str:
    """Return 16 hex digits that change when anything in ``config`` does."""
    return hashlib.sha256(msgspec.json.encode(config, order="sorted")).hexdigest()[:16]
