"""Qdrant Edge in a process of its own: ``python -m indexer.ann.edge_process FD``.

Edge holds Python's global lock in everything it does: building the graph of 15 000 vectors stopped
all other threads for 40 s. Here there are none to stop.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from indexer.ann.edge_files import unpack_shard
from indexer.ann.edge_messages import (
    AddPoints,
    CreateShard,
    EdgeReply,
    EdgeRequest,
    FinishShard,
    OpenShard,
    SearchShard,
)
from indexer.ann.json_values import without_bools
from indexer.ann.vector_index import NO_ROW


class EdgeShards:
    """The shards that this process holds, by number."""

    def __init__(self) -> None:
        import qdrant_edge

        self._edge: Any = qdrant_edge
        self._shards: list[tuple[Any, int]] = []

    def answer(self, request: EdgeRequest) -> int | bytes | None:
        """Do what is asked."""
        if isinstance(request, SearchShard):
            return self._search(request)
        if isinstance(request, CreateShard):
            return self._create(request)
        if isinstance(request, OpenShard):
            return self._open(request)
        if isinstance(request, AddPoints):
            self._add(request)
        else:
            self._finish(request)
        return None

    def _create(self, request: CreateShard) -> int:
        edge = self._edge
        shard = edge.EdgeShard.create(request.folder, self._config(request))
        for column, kind in request.columns.items():
            shard.update(edge.UpdateOperation.create_field_index(column, self._payload_index(kind)))
        self._shards.append((shard, request.dim))
        return len(self._shards) - 1

    def _config(self, request: CreateShard) -> Any:
        edge = self._edge
        scalar = edge.ScalarQuantizationConfig(
            type=edge.ScalarType.Int8, quantile=0.99, memory=edge.Memory.Pinned
        )
        return edge.EdgeConfig(
            vectors=edge.EdgeVectorParams(
                size=request.dim,
                # Unit rows: the inner product is the cosine, and vectors are kept as they are.
                distance=edge.Distance.Dot,
                # The catalog keeps float16, so nothing is lost.
                datatype=edge.VectorStorageDatatype.Float16,
                memory=edge.Memory.Cold if request.quantization == "int8" else edge.Memory.Cached,
            ),
            hnsw_config=edge.HnswIndexConfig(
                m=request.graph_links,
                ef_construct=request.build_width,
                full_scan_threshold=request.full_scan_kilobytes,
                max_indexing_threads=request.num_threads,
            ),
            quantization_config=scalar if request.quantization == "int8" else None,
            optimizers=edge.EdgeOptimizersConfig(default_segment_number=1, indexing_threshold=1),
            on_disk_payload=True,
            # What dies before it is finished is thrown away as a whole.
            wal_enabled=False,
        )

    def _payload_index(self, kind: str) -> Any:
        edge = self._edge
        parameters = {
            # The filter language asks of a text only whether it is this one, as of a keyword.
            "keyword": edge.KeywordIndexParams,
            "text": edge.KeywordIndexParams,
            "int": edge.IntegerIndexParams,
            # Edge's binding turns true into 1 on its way into a condition.
            "bool": edge.IntegerIndexParams,
            "float": edge.FloatIndexParams,
            "datetime": edge.DatetimeIndexParams,
        }
        return parameters[kind](on_disk=True)

    def _add(self, request: AddPoints) -> None:
        edge = self._edge
        shard, dim = self._shards[request.shard]
        vectors = np.frombuffer(request.vectors, np.float32).reshape(-1, dim).tolist()
        points = [
            edge.Point(request.first_row + number, vector, without_bools(payload))
            for number, (vector, payload) in enumerate(zip(vectors, request.payloads, strict=True))
        ]
        shard.update(edge.UpdateOperation.upsert_points(points))

    def _finish(self, request: FinishShard) -> None:
        shard, _ = self._shards[request.shard]
        shard.optimize()
        shard.flush()
        shard.close()

    def _open(self, request: OpenShard) -> int:
        private = Path(tempfile.mkdtemp(prefix="kindred-edge-"))
        try:
            unpack_shard(Path(request.folder), private)
            shard = self._edge.EdgeShard.load(str(private))
        finally:
            # Edge has every file open or mapped by now. So nothing is left behind, however this
            # process ends.
            shutil.rmtree(private)
        num_rows = shard.info().points_count
        if num_rows != request.num_rows:
            raise ValueError(f"expected {request.num_rows} rows, got {num_rows}")
        self._shards.append((shard, request.dim))
        return len(self._shards) - 1

    def _search(self, request: SearchShard) -> bytes:
        edge = self._edge
        shard, dim = self._shards[request.shard]
        queries = np.frombuffer(request.queries, np.float32).reshape(request.num_queries, dim)
        parameters = edge.SearchParams(
            exact=request.exact,
            hnsw_ef=request.ef_search,
            quantization=edge.QuantizationSearchParams(
                rescore=True, oversampling=request.oversampling
            ),
        )
        wanted = None if request.filter is None else edge_filter(edge, request.filter)
        answers = shard.query_batch(
            edge.QueryBatchRequest(
                [
                    edge.QueryRequest(
                        limit=request.limit,
                        query=edge.Query.Nearest(query),
                        filter=wanted,
                        params=parameters,
                    )
                    for query in queries.tolist()
                ]
            )
        )
        rows = np.full((request.num_queries, request.limit), NO_ROW, np.int64)
        for row, found in zip(rows, answers, strict=True):
            row[: len(found)] = [point.id for point in found]
        return rows.tobytes()


def edge_filter(edge: Any, wanted: Mapping[str, Any]) -> Any:
    """Return a filter in the form of Qdrant's HTTP API as Edge takes it."""
    parts = {clause: [_condition(edge, each) for each in wanted[clause]] for clause in wanted}
    return edge.Filter(**parts)


def _condition(edge: Any, wanted: Mapping[str, Any]) -> Any:
    if "is_empty" in wanted:
        return edge.IsEmptyCondition(wanted["is_empty"]["key"])
    if "match" in wanted:
        return edge.FieldCondition(key=wanted["key"], match=_match(edge, wanted["match"]))
    if "range" in wanted:
        bounds = wanted["range"]
        is_time = isinstance(next(iter(bounds.values())), str)
        kind = edge.RangeDateTime if is_time else edge.RangeFloat
        return edge.FieldCondition(key=wanted["key"], range=kind(**bounds))
    return edge_filter(edge, wanted)


def _match(edge: Any, wanted: Mapping[str, Any]) -> Any:
    if "any" in wanted:
        return edge.MatchAny(without_bools(wanted["any"]))
    return edge.MatchValue(without_bools(wanted["value"]))


def main() -> None:
    """Answer the parent at the other end of the descriptor given as the only argument."""
    connection: Connection[Any, Any] = Connection(int(sys.argv[1]))
    decoder = msgspec.msgpack.Decoder(EdgeRequest)
    try:
        shards = EdgeShards()
    except ImportError as error:
        connection.send_bytes(msgspec.msgpack.encode(EdgeReply(error=str(error))))
        return
    connection.send_bytes(msgspec.msgpack.encode(EdgeReply()))
    while True:
        try:
            request = decoder.decode(connection.recv_bytes())
        except EOFError:
            # The parent is gone or has no more questions; there is nothing that must be written.
            os._exit(0)
        try:
            reply = EdgeReply(shards.answer(request))
        except BaseException as error:  # a panic of the Rust library is not an Exception
            reply = EdgeReply(error=f"{type(error).__name__}: {error}")
        connection.send_bytes(msgspec.msgpack.encode(reply))


if __name__ == "__main__":
    main()
