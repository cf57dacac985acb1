"""Who turns questions into vectors: this process (command line) or the encoder process (server)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from encoders.config import EncoderConfig, WhisperConfig
from encoders.media.sandbox import DecodeSandbox
from encoders.query_encoding import ChannelQuery, FileQuery, Loader, encode_file, encode_text
from encoders.query_plan import PlannedChannel, QueryPlan, plan_queries
from encoders.serving.encoder_process import make_thumbnail
from encoders.serving.version_maker import VersionMaker, VersionRequest
from encoders.space import Vectors
from indexer.config import CollectionConfig
from indexer.pipeline import recognizer_ids
from indexer.runners.local import ModelOpener


class QueryEncoder(Protocol):
    """Turns questions into vectors of the spaces that channels are compared in."""

    @property
    def plan(self) -> QueryPlan:
        """Which channel can be asked with which medium."""
        ...

    async def encode_text(self, text: str, channels: Sequence[str]) -> Mapping[str, ChannelQuery]:
        """Return the words in the space of each of ``channels`` that words can search."""
        ...

    async def encode_file(self, path: Path, channels: Sequence[str]) -> FileQuery:
        """Return the file in the space of each of ``channels`` that its medium can search.

        Raises:
            MediaRejected: the file is not media that Kindred reads, or is damaged.
        """
        ...


def planned_channels(config: CollectionConfig) -> dict[str, PlannedChannel]:
    """Return what query planning needs to know of a collection's channels."""
    return {
        name: PlannedChannel(
            encoder=channel.encoder, segments=channel.segments, of_fields=bool(channel.fields)
        )
        for name, channel in config.channels.items()
    }


class ItemLoader(Loader, ModelOpener, Protocol):
    """What questions and items need of `EncoderLoader`."""

    def identify_recognizer(self, config: WhisperConfig) -> str:
        """Return which recogniser ``config`` describes, without loading it."""
        ...


class LocalQueryEncoder:
    """Encodes in this process; an encoder is loaded when a question first needs it.

    Args:
        loader: opens encoders.
        config: the collection whose channels are asked.
        sandbox: decodes files; not used by words.
    """

    def __init__(
        self, loader: ItemLoader, config: CollectionConfig, sandbox: DecodeSandbox
    ) -> None:
        self.plan = plan_queries(planned_channels(config), loader.identify)
        self._loader = loader
        self._config = config
        self._sandbox = sandbox
        self._versions = VersionMaker()

    async def encode_text(self, text: str, channels: Sequence[str]) -> Mapping[str, ChannelQuery]:
        """See `QueryEncoder.encode_text`."""
        return await encode_text(text, channels, self.plan, self._encode)

    async def encode_file(self, path: Path, channels: Sequence[str]) -> FileQuery:
        """See `QueryEncoder.encode_file`."""
        return await encode_file(path, channels, self.plan, self._sandbox, self._encode)

    def recognizer_ids(self) -> Mapping[str, str]:
        """See `EncoderService.recognizer_ids`."""
        return recognizer_ids(self._config, self._loader)

    def item_models(self, timeout_seconds: float) -> ModelOpener:
        """See `EncoderService.item_models`; models of this process wait for nobody."""
        return self._loader

    async def ping(self) -> None:
        """Encoders of this process are always there."""

    async def thumbnail(
        self, path: Path, max_side_px: int, *, at_seconds: float | None = None
    ) -> bytes:
        """Return a small picture of the file, for videos of the frame at ``at_seconds``."""
        return await asyncio.wrap_future(
            make_thumbnail(self._sandbox, path, max_side_px, at_seconds)
        )

    async def version(self, request: VersionRequest) -> str:
        """See `VersionMaker.version`."""
        return await self._versions.version(request)

    async def aclose(self) -> None:
        """Stop making versions; the loader and the sandbox belong to the caller."""
        await self._versions.aclose()

    async def _encode(self, config: EncoderConfig, contents: Sequence[Any]) -> Vectors:
        encoder = await asyncio.to_thread(self._loader.open, config)
        return await asyncio.to_thread(encoder.encode, contents)
