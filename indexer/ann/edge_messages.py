"""What this process and the one that holds Qdrant Edge say to each other, as msgpack."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec


class CreateShard(msgspec.Struct, tag=True):
    """Make an empty shard in an existing folder; answered by its number."""

    folder: str
    dim: int
    columns: dict[str, str]
    """What is indexed beside the vectors, with the type of each as in a collection's YAML."""

    quantization: str
    graph_links: int
    build_width: int
    full_scan_kilobytes: int
    num_threads: int


class AddPoints(msgspec.Struct, tag=True):
    """Append rows to a shard that is being built."""

    shard: int
    first_row: int
    vectors: bytes
    """``(num_rows, dim)`` float32"""

    payloads: list[dict[str, Any]]


class FinishShard(msgspec.Struct, tag=True):
    """Build the graph, write everything out and let go of the folder."""

    shard: int


class OpenShard(msgspec.Struct, tag=True):
    """Open a packed shard for searching; answered by its number.

    Nothing below ``folder`` is changed.
    """

    folder: str
    dim: int
    num_rows: int


class SearchShard(msgspec.Struct, tag=True):
    """Find the nearest rows of some queries; answered by ``(num_queries, limit)`` int64 rows."""

    shard: int
    queries: bytes
    """``(num_queries, dim)`` float32"""

    num_queries: int
    limit: int
    exact: bool
    ef_search: int | None
    oversampling: float | None
    filter: dict[str, Any] | None


EdgeRequest: TypeAlias = CreateShard | AddPoints | FinishShard | OpenShard | SearchShard


class EdgeReply(msgspec.Struct):
    """What came of a request."""

    value: int | bytes | None = None
    error: str | None = None
