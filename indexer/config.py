"""Collections: the channels that are searched together and the attributes their items carry.

One YAML file in ``index_configs/`` describes one collection; ``load_collection`` reads it, checks
every key, and names the one it does not like.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, TypeAlias
from urllib.parse import urlsplit

import msgspec
import yaml

from encoders.config import (
    EncoderConfig,
    PassageSegments,
    SegmentsConfig,
    SentenceConfig,
    ShotSegments,
    UtteranceSegments,
    WhisperConfig,
    WholeSegments,
    WindowSegments,
    config_digest,
    medium_of_encoder,
)
from encoders.errors import ConfigError
from encoders.media.content import Medium
from encoders.models.lookup import recognizer_model, required_models
from indexer.gate_config import GateConfig

AttributeType: TypeAlias = Literal["keyword", "int", "float", "bool", "datetime", "text"]
Name: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
EnvironmentVariable: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]

DEFAULT_COLLECTION = "starter"

_UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_SIZE = re.compile(rf"(\d+(?:\.\d+)?) ?({'|'.join(_UNITS)})")


class IndexConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which engine keeps a channel's vectors, and how."""

    engine: Literal["faiss", "exact", "qdrant"] = "faiss"

    factory: str = "auto"
    """A FAISS factory string, or ``auto``: flat while small, IVF-PQ fast-scan with exact refinement
    beyond.
    """

    target_recall: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.98
    """recall@10 against exact search that search parameters are tuned for."""

    memory_budget: int | str | None = None
    """What ``auto`` may take for the channel's index file, which is memory-mapped: bytes, or like
    ``2GiB``. No limit where it is left out.
    """

    quantization: Literal["int8", "none"] = "int8"
    """What Qdrant looks through first: candidates are always compared again in full."""

    url: str | None = None
    """Of the Qdrant server or cluster that keeps the vectors; the embedded engine does without."""

    api_key_variable: EnvironmentVariable | None = None
    """The environment variable that holds the server's key, wherever it is written or searched."""

    grpc: bool = True
    """Ask the server over gRPC, on its port 6334; over HTTP otherwise."""

    def __post_init__(self) -> None:
        self._check_server()
        if self.engine == "qdrant" and self.factory != "auto":
            raise ValueError(f"index: factory {self.factory!r} is FAISS's; qdrant has none")
        if self.engine != "qdrant" and self.quantization != "int8":
            raise ValueError("index: quantization is only for engine: qdrant")
        if self.memory_budget is not None and (self.engine, self.factory) != ("faiss", "auto"):
            raise ValueError(
                f"memory_budget is what the factory `auto` of faiss chooses by, got "
                f"{self.factory!r} of {self.engine}"
            )
        if self.memory_budget_bytes is not None and self.memory_budget_bytes < 1:
            raise ValueError(f"memory_budget must be at least 1 byte, got {self.memory_budget!r}")

    def _check_server(self) -> None:
        if self.url is None:
            if self.api_key_variable is not None or not self.grpc:
                raise ValueError("index: api_key_variable and grpc belong to the url of a server")
            return
        if self.engine != "qdrant":
            raise ValueError(f"index: url is only for engine: qdrant, got {self.engine}")
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"index: url must be like http://host:6333, got {self.url!r}")
        if parts.username is not None or parts.password is not None or parts.query:
            raise ValueError(
                "index: url must hold no key; api_key_variable names the environment variable that "
                "does"
            )

    @property
    def memory_budget_bytes(self) -> int | None:
        """`memory_budget` in bytes.

        Raises:
            ValueError: it is neither a whole number of bytes nor one with a unit.
        """
        if self.memory_budget is None or isinstance(self.memory_budget, int):
            return self.memory_budget
        written = _SIZE.fullmatch(self.memory_budget)
        if written is None:
            raise ValueError(
                f"memory_budget must be bytes or like 500MiB or 2.5GiB (units: "
                f"{', '.join(_UNITS)}), got {self.memory_budget!r}"
            )
        return int(float(written[1]) * _UNITS[written[2]])


SERVER_DEFAULTS = {"url": None, "api_key_variable": None, "grpc": True}
"""Left out of digests, so that indexes of collections without a server keep those they had before
there were these keys.
"""


class ChannelConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One way in which an item can be found."""

    media: tuple[Literal["image", "audio", "video", "text", "any"], ...]
    encoder: EncoderConfig
    segments: SegmentsConfig = WholeSegments()

    fields: tuple[str, ...] = ()
    """When given, the channel encodes these attributes instead of the content."""

    recognizer: WhisperConfig | None = None
    """When given, the channel encodes what is said."""

    index: IndexConfig = IndexConfig()

    def takes(self, medium: Medium) -> bool:
        """Tell whether items of ``medium`` are found through this channel."""
        return "any" in self.media or medium in self.media


class CollectionConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A collection as its YAML describes it."""

    name: Name
    channels: dict[Name, ChannelConfig]
    attributes: dict[Name, AttributeType] = {}
    gate: GateConfig = GateConfig()

    def __post_init__(self) -> None:
        if not self.channels:
            raise ValueError("a collection needs at least one channel")
        for name, channel in self.channels.items():
            _check_channel(name, channel, self.attributes)
        for canary in self.gate.canaries:
            if canary.channel not in self.channels:
                raise ValueError(
                    f"gate: canary {canary.item_id!r} asks channel {canary.channel!r}; there are: "
                    f"{', '.join(self.channels)}"
                )

    @property
    def digest(self) -> str:
        """16 hex digits that change when anything changes that indexes are made from."""
        fields = msgspec.to_builtins(self)
        del fields["gate"]
        for channel in fields["channels"].values():
            for name, unset in SERVER_DEFAULTS.items():
                if channel["index"][name] == unset:
                    del channel["index"][name]
        return config_digest(fields)

    @property
    def models(self) -> list[str]:
        """What its channels stand on, each once, as ``kindred models pull`` takes it."""
        names: list[str] = []
        for channel in self.channels.values():
            names += required_models(channel.encoder)
            if channel.recognizer is not None:
                names.append(recognizer_model(channel.recognizer))
        return list(dict.fromkeys(names))

    def channels_for(self, medium: Medium) -> dict[str, ChannelConfig]:
        """Return the channels that items of ``medium`` belong to, in file order."""
        return {name: channel for name, channel in self.channels.items() if channel.takes(medium)}


def _check_channel(
    name: str, channel: ChannelConfig, attributes: Mapping[str, AttributeType]
) -> None:
    where = f"channel {name!r}"
    if not channel.media:
        raise ValueError(f"{where}: media is empty; name image, audio, video, text or any")
    for field in channel.fields:
        if attributes.get(field) not in ("text", "keyword"):
            raise ValueError(
                f"{where}: field {field!r} is not a text or keyword attribute of this collection"
            )
    if isinstance(channel.encoder, SentenceConfig) and channel.encoder.role != "passage":
        raise ValueError(f"{where}: role is for questions; what a channel stores are passages")
    taken = medium_of_encoder(channel.encoder)
    if (channel.recognizer is not None) != isinstance(channel.segments, UtteranceSegments):
        raise ValueError(
            f"{where}: a recognizer and segments of kind utterances belong together; it has "
            f"{'only the one' if channel.recognizer else 'only the other'}"
        )
    if channel.fields:
        if taken != "text" or not isinstance(channel.segments, WholeSegments):
            raise ValueError(f"{where}: fields are encoded whole, by a text encoder")
        return
    _check_content(where, channel, taken)


class _Cut(NamedTuple):
    """What a kind of segmentation is good for."""

    media: tuple[Medium, ...]
    """What it can be cut from."""

    encoded_as: Medium
    """What its segments are to an encoder."""


_CUTS: Mapping[type[SegmentsConfig], _Cut] = {
    WindowSegments: _Cut(("audio", "video"), "audio"),
    ShotSegments: _Cut(("video",), "image"),
    UtteranceSegments: _Cut(("audio", "video"), "text"),
    PassageSegments: _Cut(("text",), "text"),
}


def _check_content(where: str, channel: ChannelConfig, taken: Medium) -> None:
    """Hold that media, segmentation and encoder of a channel over content fit together."""
    if isinstance(channel.segments, WholeSegments):
        if taken == "audio":
            raise ValueError(
                f"{where}: sound is cut in windows; say length_seconds and hop_seconds"
            )
        wrong = [medium for medium in channel.media if medium != taken]
        if wrong:
            raise ValueError(
                f"{where}: its encoder takes {taken}, the channel says {', '.join(wrong)}"
            )
        return
    kind = channel.segments.__struct_config__.tag
    cut = _CUTS[type(channel.segments)]
    wrong = [medium for medium in channel.media if medium not in cut.media]
    if wrong:
        raise ValueError(
            f"{where}: {kind} are cut from {' and '.join(cut.media)}, not from {', '.join(wrong)}"
        )
    if taken != cut.encoded_as:
        raise ValueError(
            f"{where}: its encoder takes {taken}, but {kind} are encoded as {cut.encoded_as}"
        )


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
