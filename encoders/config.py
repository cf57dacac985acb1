"""How a channel is segmented and encoded, as written in a collection's YAML.

The structs are tagged unions: ``kind`` picks the segmentation, ``family`` the encoder. Unknown keys
are refused, so a typo cannot silently change what is indexed.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal, TypeAlias

import msgspec

from encoders.media.content import Medium


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
    """A model of the table, or what ``kindred models pull sentence_transformers:MODEL`` took."""

    query_prompt: str | None = None
    """Put before every question; ``None``: what the model itself says, ``""``: nothing."""

    passage_prompt: str | None = None
    """Put before every text that is stored; as ``query_prompt``."""

    dim: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Only so many numbers of each vector, for models trained to be cut (Matryoshka)."""

    precision: Literal["float32", "int8"] = "float32"
    """``int8`` runs the model's own 8-bit ONNX file on the processor."""

    role: Literal["passage", "query"] = "passage"
    """Which prompt is meant. Collections leave it; questions are planned with ``query``."""


class OpenClipConfig(_Encoder, frozen=True, tag="open_clip"):
    """A CLIP model of open_clip: pictures and texts in one space."""

    model: str
    """What ``kindred models pull open_clip:MODEL`` took, such as ``ViT-B-32/laion2b_s34b_b79k``."""

    tower: Literal["image", "text"] = "image"
    """Which medium the encoder takes; frames of videos are images."""


class ClapConfig(_Encoder, frozen=True, tag="laion_clap"):
    """A CLAP model of LAION: sounds and texts in one space."""

    model: str
    """What ``kindred models pull laion_clap:MODEL`` took, such as ``laion/clap-htsat-unfused``."""

    tower: Literal["audio", "text"] = "audio"
    """Which medium the encoder takes."""


TextEncoderConfig: TypeAlias = SentenceConfig | OpenClipConfig | ClapConfig


class AdapterConfig(_Encoder, frozen=True, tag="adapter"):
    """A map from another encoder's vectors into a text space, fitted from pairs of one's own."""

    adapter: str
    """The name that ``kindred models fit-adapter`` was given."""

    medium: Literal["image", "audio"]
    """What it takes."""

    words: TextEncoderConfig = SentenceConfig()
    """The encoder of texts whose space it leads into."""


EncoderConfig: TypeAlias = (
    ConceptsConfig | FeaturesConfig | SentenceConfig | OpenClipConfig | ClapConfig | AdapterConfig
)


def medium_of_encoder(config: EncoderConfig) -> Medium:
    """Return which medium an encoder of this configuration takes."""
    if isinstance(config, ConceptsConfig | FeaturesConfig):
        return "audio" if config.classifier == "yamnet" else "image"
    if isinstance(config, OpenClipConfig | ClapConfig):
        return config.tower
    return config.medium if isinstance(config, AdapterConfig) else "text"


def as_question(config: EncoderConfig) -> EncoderConfig:
    """Return how content that asks is encoded where stored content is encoded by ``config``."""
    if isinstance(config, SentenceConfig):
        return msgspec.structs.replace(config, role="query")
    return config


def words_encoder(config: EncoderConfig) -> EncoderConfig | None:
    """Return what brings words that ask into the space of an encoder; ``None`` if nothing does."""
    if isinstance(config, ConceptsConfig):
        return as_question(SentenceConfig(model=config.text_model))
    if isinstance(config, OpenClipConfig | ClapConfig):
        return msgspec.structs.replace(config, tower="text")
    if isinstance(config, AdapterConfig):
        return words_encoder(config.words)
    return as_question(config) if isinstance(config, SentenceConfig) else None


def config_digest(config: object) -> str:
    """Return 16 hex digits that change when anything in ``config`` does."""
    return hashlib.sha256(msgspec.json.encode(config, order="sorted")).hexdigest()[:16]
