"""Collections: the channels that are searched together and the attributes their items carry.

One YAML file in ``index_configs/`` describes one collection; ``load_collection`` reads it, checks
every key, and names the one it does not like.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec
import yaml

from encoders.config import (
    ConceptsConfig,
    EncoderConfig,
    FeaturesConfig,
    PassageSegments,
    SegmentsConfig,
    WholeSegments,
    WindowSegments,
    config_digest,
)
from encoders.errors import ConfigError
from encoders.media.content import Medium

AttributeType: TypeAlias = Literal["keyword", "int", "float", "bool", "datetime", "text"]
Name: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]

DEFAULT_COLLECTION = "starter"


class IndexConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which engine keeps a channel's vectors, and how."""

    engine: Literal["faiss", "exact"] = "faiss"

    factory: str = "auto"
    """A FAISS factory string, or ``auto``: flat while small, IVF-PQ fast-scan with exact refinement
    beyond.
    """

    target_recall: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.98
    """recall@10 against exact search that search parameters are tuned for."""


class ChannelConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One way in which an item can be found."""

    media: tuple[Literal["image", "audio", "text", "any"], ...]
    encoder: EncoderConfig
    segments: SegmentsConfig = WholeSegments()

    fields: tuple[str, ...] = ()
    """When given, the channel encodes these attributes instead of the content."""

    index: IndexConfig = IndexConfig()

    def takes(self, medium: Medium) -> bool:
        """Tell whether items of ``medium`` are found through this channel."""
        return "any" in self.media or medium in self.media


class CollectionConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A collection as its YAML describes it."""

    name: Name
    channels: dict[Name, ChannelConfig]
    attributes: dict[Name, AttributeType] = {}

    def __post_init__(self) -> None:
        if not self.channels:
            raise ValueError("a collection needs at least one channel")
        for name, channel in self.channels.items():
            _check_channel(name, channel, self.attributes)

    @property
    def digest(self) -> str:
        """16 hex digits that change when anything in the file changes."""
        return config_digest(self)

    def channels_for(self, medium: Medium) -> dict[str, ChannelConfig]:
        """Return the channels that items of ``medium`` belong to, in file order."""
        return {name: channel for name, channel in self.channels.items() if channel.takes(medium)}


def _check_channel(
    name: str, channel: ChannelConfig, attributes: Mapping[str, AttributeType]
) -> None:
    where = f"channel {name!r}"
    if not channel.media:
        raise ValueError(f"{where}: media is empty; name image, audio, text or any")
    for field in channel.fields:
        if attributes.get(field) not in ("text", "keyword"):
            raise ValueError(
                f"{where}: field {field!r} is not a text or keyword attribute of this collection"
            )
    wanted = medium_of_encoder(channel.encoder)
    if channel.fields:
        if wanted != "text" or not isinstance(channel.segments, WholeSegments):
            raise ValueError(f"{where}: fields are encoded whole, by a text encoder")
        return
    if isinstance(channel.segments, WindowSegments) and channel.media != ("audio",):
        raise ValueError(
            f"{where}: windows are cut from audio, not from {', '.join(channel.media)}"
        )
    if wanted == "audio" and not isinstance(channel.segments, WindowSegments):
        raise ValueError(f"{where}: sound is cut in windows; say length_seconds and hop_seconds")
    if isinstance(channel.segments, PassageSegments) and channel.media != ("text",):
        raise ValueError(
            f"{where}: passages are cut from text, not from {', '.join(channel.media)}"
        )
    wrong = [medium for medium in channel.media if medium != wanted]
    if wrong:
        raise ValueError(
            f"{where}: its encoder takes {wanted}, the channel says {', '.join(wrong)}"
        )


def medium_of_encoder(encoder: EncoderConfig) -> Medium:
    """Return which medium an encoder of this configuration takes."""
    if isinstance(encoder, ConceptsConfig | FeaturesConfig):
        return "audio" if encoder.classifier == "yamnet" else "image"
    return "text"


def collection_path(name_or_path: str | Path) -> Path:
    """Return the YAML file of a collection.

    Args:
        name_or_path: a path that ends in ``.yaml`` or ``.yml``, or the name of a file in
            ``index_configs/``.

    Raises:
        ConfigError: there is no such file; the message lists the names there are.
    """
    path = Path(name_or_path)
    if path.suffix in {".yaml", ".yml"}:
        if not path.is_file():
            raise ConfigError(f"no collection file at {path}", path=str(path))
        return path
    folder = Path(str(resources.files("index_configs")))
    shipped = folder / f"{name_or_path}.yaml"
    if not shipped.is_file():
        names = ", ".join(sorted(found.stem for found in folder.glob("*.yaml")))
        raise ConfigError(
            f"no collection named {str(name_or_path)!r}; there are: {names}; "
            "or give the path of a .yaml file",
            name=str(name_or_path),
        )
    return shipped


def load_collection(name_or_path: str | Path = DEFAULT_COLLECTION) -> CollectionConfig:
    """Read and check a collection's YAML.

    Raises:
        ConfigError: the file is missing, is not YAML, or has a key or value that does not belong
            there.
    """
    path = collection_path(name_or_path)
    try:
        return parse_collection(path.read_text(encoding="utf-8"))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error.message}", path=str(path), **error.detail) from error


def parse_collection(text: str) -> CollectionConfig:
    """Read a collection from YAML text.

    Raises:
        ConfigError: the text is not YAML, or has a key or value that does not belong there.
    """
    try:
        return msgspec.convert(yaml.safe_load(text), CollectionConfig)
    except yaml.YAMLError as error:
        raise ConfigError(f"not YAML: {error}") from error
    except msgspec.ValidationError as error:
        raise ConfigError(str(error)) from error
