"""From a question to vectors: words, or a file of any medium, for the channels that it can search.

The steps are the same in the command line's own process and in the encoder process; only who runs
the models differs, so that is passed in as ``encode``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar

from encoders.config import (
    EncoderConfig,
    PassageSegments,
    SegmentsConfig,
    ShotSegments,
    WindowSegments,
)
from encoders.encoder import Encoder, EncoderIdentity
from encoders.media.content import Document, Medium, Picture, VideoInfo
from encoders.media.passages import passages
from encoders.media.sandbox import DecodeSandbox
from encoders.media.segmentation import window_ranges
from encoders.media.sniff import Sniffed, sniff
from encoders.query_plan import QueryPlan, QuerySource
from encoders.space import Vectors

T = TypeVar("T")

Encode: TypeAlias = Callable[[EncoderConfig, Sequence[Any]], Awaitable[Vectors]]
"""Runs an encoder on contents of its medium."""

MAX_QUERY_SEGMENTS = 16
"""Most segments of one file that ask: a long file is heard or read at evenly spaced places."""


class Loader(Protocol):
    """What questions need of `EncoderLoader`."""

    def identify(self, config: EncoderConfig) -> EncoderIdentity:
        """Return which encoder ``config`` describes, without loading it."""
        ...

    def open(self, config: EncoderConfig) -> Encoder[Any]:
        """Return the loaded encoder."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class ChannelQuery:
    """A question in the space of a channel."""

    space_id: str

    vectors: Vectors
    """``(num_segments, dim)``: one row per segment of the question."""


@dataclass(frozen=True, slots=True, eq=False)
class FileQuery:
    """A file as a question."""

    medium: Medium
    format: str
    channels: Mapping[str, ChannelQuery]
    """Only those that can be asked with ``medium``."""


async def encode_text(
    text: str, channels: Sequence[str], plan: QueryPlan, encode: Encode
) -> dict[str, ChannelQuery]:
    """Return ``text`` in the space of each of ``channels`` that words can search."""
    sources = {
        name: plan.sources["text"][name] for name in channels if name in plan.sources["text"]
    }

    async def contents_of(_source: QuerySource) -> Sequence[str]:
        return [text]

    return await _encode_once_per_source(sources, contents_of, encode, whole=True)


async def encode_file(
    path: Path, channels: Sequence[str], plan: QueryPlan, sandbox: DecodeSandbox, encode: Encode
) -> FileQuery:
    """Return the file at ``path`` in the space of each of ``channels`` that it can search.

    Raises:
        MediaRejected: the file is not media that Kindred reads, or is damaged.
    """
    sniffed = await asyncio.to_thread(sniff, path)
    sources = {
        name: plan.sources[sniffed.medium][name]
        for name in channels
        if name in plan.sources[sniffed.medium]
    }

    async def contents_of(source: QuerySource) -> Sequence[Any]:
        return await file_contents(path, sniffed, source, sandbox)

    return FileQuery(
        medium=sniffed.medium,
        format=sniffed.format,
        channels=await _encode_once_per_source(sources, contents_of, encode, whole=False),
    )


async def file_contents(
    path: Path, sniffed: Sniffed, source: QuerySource, sandbox: DecodeSandbox
) -> Sequence[Any]:
    """Decode and cut a file the way ``source`` takes it.

    Returns:
        At most `MAX_QUERY_SEGMENTS` of `Picture`, `Sound` or ``str``.
    """
    if sniffed.medium == "image":
        decoded = await asyncio.wrap_future(sandbox.picture(path))
        return [decoded.picture]
    if sniffed.medium == "text":
        document = await asyncio.wrap_future(sandbox.document(path, sniffed.format))
        return evenly_spaced(_texts(document, source.segments), MAX_QUERY_SEGMENTS)
    if sniffed.medium == "video":
        video = await asyncio.wrap_future(sandbox.video_info(path))
        if source.identity.medium == "image":
            return await _keyframes(path, video, source.segments, sandbox)
        if not video.has_sound:
            return []
    info = await asyncio.wrap_future(sandbox.sound_info(path))
    ranges = [(0.0, info.duration_seconds)]
    if isinstance(source.segments, WindowSegments):
        ranges = window_ranges(
            info.duration_seconds, source.segments.length_seconds, source.segments.hop_seconds
        )
    rate = source.identity.sample_rate_hz
    if rate is None:
        raise ValueError(f"encoder {source.identity.encoder_id} takes sound but names no rate")
    return [
        await asyncio.wrap_future(sandbox.sound(path, start, stop, rate))
        for start, stop in evenly_spaced(ranges, MAX_QUERY_SEGMENTS)
    ]


async def _keyframes(
    path: Path, video: VideoInfo, segments: SegmentsConfig, sandbox: DecodeSandbox
) -> list[Picture]:
    """Return pictures from shots all over a video, decoding only some seconds of a long one."""
    cut = segments if isinstance(segments, ShotSegments) else ShotSegments()
    ranges = window_ranges(video.duration_seconds, cut.max_seconds, cut.max_seconds)
    pictures: list[Picture] = []
    for start, stop in evenly_spaced(ranges, MAX_QUERY_SEGMENTS):
        shots = await asyncio.wrap_future(sandbox.shots(path, start, stop, cut.max_seconds))
        pictures += [keyframe.picture for shot in shots for keyframe in shot.keyframes]
    return evenly_spaced(pictures, MAX_QUERY_SEGMENTS)


def evenly_spaced(values: Sequence[T], max_values: int) -> list[T]:
    """Return at most ``max_values`` of ``values``: first, last and evenly between."""
    if len(values) <= max_values:
        return list(values)
    step = (len(values) - 1) / (max_values - 1)
    return [values[round(position * step)] for position in range(max_values)]


def _texts(document: Document, segments: SegmentsConfig) -> list[str]:
    if isinstance(segments, PassageSegments):
        cut = passages(document, segments.max_words, segments.overlap_words)
        return [segment.text for segment in cut if segment.text]
    return [" ".join(block.text for block in document.blocks)]


async def _encode_once_per_source(
    sources: Mapping[str, QuerySource],
    contents_of: Callable[[QuerySource], Awaitable[Sequence[Any]]],
    encode: Encode,
    *,
    whole: bool,
) -> dict[str, ChannelQuery]:
    """Encode each distinct source once and hand the vectors to all channels that share it.

    Args:
        sources: for each channel, how it is asked.
        contents_of: decodes and cuts the question for a source.
        encode: runs the models.
        whole: the question is not cut, so how a source would cut it makes no difference.
    """
    contents: dict[tuple[SegmentsConfig, Medium, int | None], Sequence[Any]] = {}
    encoded: dict[tuple[str, SegmentsConfig | None], ChannelQuery] = {}
    queries: dict[str, ChannelQuery] = {}
    for channel, source in sources.items():
        key = (source.identity.encoder_id, None if whole else source.segments)
        if key not in encoded:
            cut = (source.segments, source.identity.medium, source.identity.sample_rate_hz)
            if cut not in contents:
                contents[cut] = await contents_of(source)
            if not contents[cut]:
                continue  # a video without sound asks with its pictures alone
            vectors = await encode(source.encoder, contents[cut])
            encoded[key] = ChannelQuery(source.identity.space_id, vectors)
        queries[channel] = encoded[key]
    return queries
