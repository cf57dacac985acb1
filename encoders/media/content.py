"""Decoded media: plain values that encoders take and decoders give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Medium: TypeAlias = Literal["image", "audio", "video", "text"]
MEDIA: tuple[Medium, ...] = ("image", "audio", "video", "text")


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A still image, upright, on a white ground."""

    pixels: NDArray[np.uint8]
    """``(height, width, 3)`` RGB."""

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or self.pixels.shape[2] != 3 or self.pixels.dtype != np.uint8:
            raise ValueError(
                f"pixels must be (height, width, 3) uint8, got {self.pixels.shape} "
                f"{self.pixels.dtype}"
            )

    def __repr__(self) -> str:
        height, width, _ = self.pixels.shape
        return f"Picture({width} x {height})"


@dataclass(frozen=True, slots=True, eq=False)
class DecodedPicture:
    """A picture as it came out of a file."""

    picture: Picture
    """Reduced to the side length that was asked for; never enlarged."""

    width_px: int
    """Width of the upright original."""

    height_px: int
    """Height of the upright original."""


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """A stretch of mono sound."""

    samples: NDArray[np.float32]
    """``(num_samples,)`` in [-1, 1]."""

    sample_rate_hz: int

    def __post_init__(self) -> None:
        if self.samples.ndim != 1 or self.samples.dtype != np.float32:
            raise ValueError(
                f"samples must be (num_samples,) float32, got {self.samples.shape} "
                f"{self.samples.dtype}"
            )

    @property
    def duration_seconds(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate_hz

    def __repr__(self) -> str:
        return f"Sound({self.duration_seconds:.3f} s at {self.sample_rate_hz} Hz)"


@dataclass(frozen=True, slots=True)
class SoundInfo:
    """What a sound file holds."""

    duration_seconds: float
    """As the header says; measured where the header is silent or wrong."""

    sample_rate_hz: int

    num_channels: int


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a video file holds. Its clock starts with the first instant of any track."""

    duration_seconds: float
    """Until the last instant of any track."""

    width_px: int
    """Of the upright picture with square pixels."""

    height_px: int

    has_sound: bool
    """There is a sound track that can be decoded."""


@dataclass(frozen=True, slots=True, eq=False)
class Keyframe:
    """A picture that stands for a part of a shot."""

    picture: Picture
    at_seconds: float
    """When it is shown, on the video's clock."""


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """A stretch of video without a cut inside."""

    start_seconds: float
    stop_seconds: float

    keyframes: tuple[Keyframe, ...]
    """Distinct pictures of the shot, in order; none when it goes on showing, unchanged, what was
    shown just before it.
    """


@dataclass(frozen=True, slots=True)
class Word:
    """A spoken word."""

    text: str
    """With the punctuation that follows it, without surrounding space."""

    start_seconds: float
    stop_seconds: float

    probability: float | None = None
    """How sure the recogniser was, 0 to 1; ``None`` for words out of a transcript file."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """Something said in one go: about a sentence, or a caption of a transcript file."""

    text: str
    start_seconds: float
    stop_seconds: float

    words: tuple[Word, ...] = ()
    """In order; empty where only the whole utterance is timed."""


TranscriptOrigin: TypeAlias = Literal["recognized", "file"]


@dataclass(frozen=True, slots=True)
class Transcript:
    """What is said in a recording, on the recording's clock."""

    utterances: tuple[Utterance, ...]
    """In order of their start."""

    language: str | None
    """ISO 639-1 code; ``None`` where nobody said and nothing was recognised."""

    origin: TranscriptOrigin
    """Recognised by a model, or read from a file beside the recording."""


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, list entry, record, heading or caption of a document."""

    text: str
    """Never empty."""

    heading_level: int = 0
    """1 to 6 for a heading, 0 for everything else."""

    start_seconds: float | None = None
    """When a caption appears; ``None`` for text without time."""

    stop_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """The readable text of a file, in reading order."""

    blocks: tuple[Block, ...]
    """A passage never crosses a record or a heading."""

    title: str | None = None
    """What the document itself calls itself (HTML ``<title>``, first Markdown heading)."""

    blocks_are_records: bool = False
    """True for JSON and JSON Lines: neighbouring blocks have nothing to do with each other, so
    short ones are not packed into one passage.
    """


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of an item that gets its own vector: a stretch of time or a passage."""

    start_seconds: float | None = None
    """First instant inside; ``None`` for still images and text."""

    stop_seconds: float | None = None
    """First instant after; ``None`` for still images and text."""

    text: str | None = None
    """The words of a passage; ``None`` where there are none."""
