"""Where one channel of one snapshot lies on a Qdrant server."""

from __future__ import annotations

from pathlib import Path

import msgspec

from encoders.errors import KindredError
from indexer.config import IndexConfig
from indexer.durable_files import replace_durably

GENERATION_FILE = "qdrant.json"


class GenerationUnreadable(KindredError):
    """The record of a generation is damaged, so nobody knows where it lies."""

    code = "qdrant_generation_unreadable"


class Generation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A collection on a Qdrant server that is written once and then only searched."""

    url: str

    collection: str
    """Its name on the server, from `generation_name`."""

    alias: str
    """What other programs call the generation that is live."""

    api_key_variable: str | None = None
    """The environment variable that holds the server's key: the key itself is never stored."""

    grpc: bool = True
    """Ask over gRPC, on port 6334, instead of HTTP."""


def alias_name(collection: str, channel: str) -> str:
    """Return what other programs call a channel's live generation."""
    return f"{collection}__{channel}"


def generation_name(collection: str, channel: str, snapshot_id: str) -> str:
    """Return what a channel of a snapshot is called on the server."""
    return f"{alias_name(collection, channel)}__{snapshot_id}"


def generation_of(
    config: IndexConfig, collection: str, channel: str, snapshot_id: str
) -> Generation:
    """Return where a channel of a snapshot shall lie.

    Args:
        config: of the channel's index; has a url.
        collection: the channel's.
        channel: its name.
        snapshot_id: of the snapshot that is being built.
    """
    if config.url is None:
        raise ValueError(f"channel {channel!r} names no server")
    return Generation(
        url=config.url,
        collection=generation_name(collection, channel, snapshot_id),
        alias=alias_name(collection, channel),
        api_key_variable=config.api_key_variable,
        grpc=config.grpc,
    )


def write_generation(folder: Path, generation: Generation) -> None:
    """Record a generation in its channel's folder, durably.

    To be done before it is created: what the record names can be dropped, whatever happens next.
    """
    replace_durably(folder / GENERATION_FILE, msgspec.json.encode(generation))


def read_generation(folder: Path) -> Generation:
    """Return the generation recorded in a channel's folder.

    Raises:
        GenerationUnreadable: the record is missing or damaged.
    """
    path = folder / GENERATION_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Generation)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise GenerationUnreadable(
            f"{path}: not the record of a generation in Qdrant: {error}", file=str(path)
        ) from error


def recorded_generations(folder: Path) -> list[Generation]:
    """Return every generation that is recorded anywhere in a snapshot's folder.

    Raises:
        GenerationUnreadable: a record is damaged.
    """
    return [read_generation(path.parent) for path in sorted(folder.rglob(GENERATION_FILE))]


def channel_urls(folder: Path) -> dict[str, str]:
    """Return the url of each channel of a snapshot that is on a server.

    Raises:
        GenerationUnreadable: a record is damaged.
    """
    return {
        path.parent.name: read_generation(path.parent).url
        for path in sorted(folder.rglob(GENERATION_FILE))
    }
