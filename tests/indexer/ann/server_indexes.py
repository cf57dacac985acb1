"""Indexes on Qdrant servers, for tests: one that its client plays, and one that was named."""

from __future__ import annotations

import os
import tempfile
import uuid
import weakref
from pathlib import Path

import numpy as np
import pytest
from qdrant_client import QdrantClient

from encoders.space import Vectors
from indexer.ann import qdrant_build
from indexer.ann.payload import PayloadTable
from indexer.ann.qdrant_generation import Generation
from indexer.ann.qdrant_index import QdrantIndex
from indexer.ann.qdrant_server import Patience, QdrantServer
from indexer.ann.qdrant_server_build import build_server_index, drop_generations
from indexer.config import IndexConfig
from tests.indexer.ann.edge_indexes import payload_table

PATIENCE = Patience(request_seconds=20, retry_seconds=20.0)

needs_named_server = pytest.mark.skipif(
    "QDRANT_URL" not in os.environ, reason="QDRANT_URL names no server to test on"
)


def played_server() -> QdrantServer:
    """Return one that Qdrant's client plays in memory: it compares every row."""
    generation = Generation("http://memory", "words__text__1", "words__text", grpc=False)
    return QdrantServer(generation, PATIENCE, QdrantClient(":memory:"))


def named_server() -> QdrantServer:
    """Return the one at ``QDRANT_URL``, asked about a collection that nobody else knows."""
    name = f"kindred-test-{uuid.uuid4().hex}"
    return QdrantServer(Generation(os.environ["QDRANT_URL"], name, f"{name}-alias"), PATIENCE)


def server_index(
    server: QdrantServer,
    vectors: Vectors,
    *,
    graph: bool = False,
    payload: PayloadTable | None = None,
) -> QdrantIndex:
    """Build an index on a server, whose collection goes when the index does.

    Args:
        server: where to.
        vectors: ``(num_rows, dim)`` float32.
        graph: search a graph and index the payload, however few the rows are.
        payload: what is stored with the rows; nothing but ids when ``None``.
    """
    folder = tempfile.TemporaryDirectory(prefix="kindred-test-")
    with pytest.MonkeyPatch.context() as patch:
        if graph:
            patch.setattr(qdrant_build, "EXACT_BELOW_ROWS", 0)
        built = build_server_index(
            vectors.astype(np.float16),
            "words",
            IndexConfig(engine="qdrant"),
            payload or payload_table(len(vectors)),
            Path(folder.name),
            server,
            num_parallel=1,
        ).index
    assert isinstance(built, QdrantIndex)
    weakref.finalize(built, _removed, server, folder)
    return built


def _removed(server: QdrantServer, folder: tempfile.TemporaryDirectory[str]) -> None:
    if server.generation.url == os.environ.get("QDRANT_URL"):
        drop_generations(Path(folder.name))
    folder.cleanup()
