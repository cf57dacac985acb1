"""Indexes made with Qdrant Edge, for tests."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from encoders.space import Vectors
from indexer.ann import qdrant_build
from indexer.ann.index_entry import IndexEntry, SearchSettings
from indexer.ann.opening import VECTORS_FILE, open_index
from indexer.ann.payload import PayloadTable, payload_columns
from indexer.ann.qdrant_index import QdrantIndex
from indexer.config import AttributeType, IndexConfig


class EdgeIndex(QdrantIndex):
    """A Qdrant index that knows where it lies."""

    folder: Path
    entry: IndexEntry


def payload_table(
    num_rows: int,
    attributes: Mapping[str, AttributeType] | None = None,
    columns: Mapping[str, Sequence[Any] | pa.Array] | None = None,
) -> PayloadTable:
    """Return a payload of one item per row."""
    items = pa.table({"item_id": [f"item-{row}" for row in range(num_rows)], **(columns or {})})
    return PayloadTable(items, np.arange(num_rows), payload_columns(attributes or {}))


def edge_index(
    vectors: Vectors,
    *,
    graph: bool,
    payload: PayloadTable | None = None,
    config: IndexConfig | None = None,
    settings: SearchSettings | None = None,
) -> EdgeIndex:
    """Build an index in a folder that goes when the index does.

    Args:
        vectors: ``(num_rows, dim)`` float32.
        graph: search a graph, however few the rows are; otherwise compare each.
        payload: what is stored with the rows; nothing but ids when ``None``.
        config: of the index.
        settings: how hard to look; tuned when ``None``.
    """
    holder = tempfile.TemporaryDirectory(prefix="kindred-test-")
    folder = Path(holder.name)
    stored = vectors.astype(np.float16)
    np.save(folder / VECTORS_FILE, stored)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(qdrant_build, "EXACT_BELOW_ROWS", 0 if graph else len(vectors) + 1)
        built = qdrant_build.build_edge_index(
            stored,
            "words",
            config or IndexConfig(engine="qdrant"),
            payload or payload_table(len(vectors)),
            folder,
        )
    entry = built.entry
    if settings is not None:
        entry = msgspec.structs.replace(entry, search=settings)
    opened = open_index(folder, entry, "words")
    assert isinstance(opened, QdrantIndex)
    index = EdgeIndex("words", entry, opened._points, stored)
    index.folder, index.entry = folder, entry
    weakref.finalize(index, holder.cleanup)
    return index
