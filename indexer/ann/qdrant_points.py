"""Searching one generation on a Qdrant server."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from encoders.space import Vectors
from indexer.ann.index_entry import SearchSettings
from indexer.ann.json_values import without_bools
from indexer.ann.qdrant_server import Patience, QdrantServer
from indexer.ann.vector_index import NO_ROW, PayloadCondition, Rows

SEARCH_PATIENCE = Patience(request_seconds=10, retry_seconds=2.0)
"""Whoever waits for an answer is better served by an error than by another try."""

QUERIES_PER_REQUEST = 64


class ServerPoints:
    """The rows of a generation on a server. Safe to use from several threads.

    The generation is asked for by its own name, never by the alias: no answer mixes snapshots.

    Args:
        server: where it lies.
        num_rows: how many it must hold.

    Raises:
        QdrantServerFailed: it is not there, or holds another number of rows.
    """

    def __init__(self, server: QdrantServer, num_rows: int) -> None:
        self._server = server
        server.check_version()
        server.check_count(num_rows)

    def check(self) -> None:
        """Ask once whether the generation is there.

        Raises:
            QdrantServerFailed: it is not, or the server does not answer.
        """
        self._server.check_there()

    def search(
        self,
        queries: Vectors,
        limit: int,
        *,
        exact: bool,
        settings: SearchSettings,
        condition: PayloadCondition | None,
    ) -> Rows:
        """Return ``(num_queries, limit)`` row numbers, nearest first, -1 where there are none.

        Raises:
            QdrantServerFailed: no answer, or the server says no.
        """
        requests = self._requests(queries, limit, exact, settings, condition)
        rows = np.full((len(queries), limit), NO_ROW, np.int64)
        for start in range(0, len(requests), QUERIES_PER_REQUEST):
            part = requests[start : start + QUERIES_PER_REQUEST]
            ask = partial(
                self._server.client.query_batch_points,
                self._server.generation.collection,
                part,
                timeout=self._server.patience.request_seconds,
            )
            answers = self._server.retried("searching", ask)
            for row, answer in zip(rows[start:], answers, strict=False):
                row[: len(answer.points)] = [point.id for point in answer.points]
        return rows

    def _requests(
        self,
        queries: Vectors,
        limit: int,
        exact: bool,
        settings: SearchSettings,
        condition: PayloadCondition | None,
    ) -> list[Any]:
        models = self._server.models
        oversampling = None if settings.k_factor is None else float(settings.k_factor)
        parameters = models.SearchParams(
            exact=exact,
            hnsw_ef=settings.ef_search,
            quantization=models.QuantizationSearchParams(rescore=True, oversampling=oversampling),
        )
        wanted = None
        if condition is not None:
            wanted = models.Filter.model_validate(without_bools(condition.filter))
        return [
            models.QueryRequest(
                query=query, limit=limit, filter=wanted, params=parameters, with_payload=False
            )
            for query in queries.tolist()
        ]
