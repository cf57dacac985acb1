"""Writing one generation to a Qdrant server, and removing it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.ann.index_entry import IndexEntry
from indexer.ann.json_values import without_bools
from indexer.ann.payload import PayloadTable
from indexer.ann.qdrant_generation import Generation
from indexer.ann.qdrant_server import QdrantServer

STATUS_PAUSE_SECONDS = 0.5
POINTS_PER_REQUEST = 500

NO_GRAPH = 0
"""As an indexing threshold: build none."""

ALWAYS_GRAPH_KILOBYTES = 1

_INDEX_TYPES = {
    "keyword": "keyword",
    # The filter language asks of a text only whether it is this one.
    "text": "keyword",
    "int": "integer",
    # Stored as 1 and 0, as in Qdrant Edge.
    "bool": "integer",
    "float": "float",
    "datetime": "datetime",
}


class GenerationWriter:
    """Makes a generation on a server, step by step, and removes it.

    Every step may be done twice.

    Args:
        server: where it shall lie.
    """

    def __init__(self, server: QdrantServer) -> None:
        self._server = server
        self._name = server.generation.collection

    def create(self, entry: IndexEntry, quantization: str, **graph: int) -> None:
        """Create the empty collection with its payload indexes; no graph is built yet.

        Args:
            entry: dimensions and payload columns.
            quantization: ``int8`` or ``none``.
            graph: ``m`` and ``ef_construct``.

        Raises:
            QdrantServerFailed: the server says no, or does not answer.
        """
        models = self._server.models
        int8 = models.ScalarQuantization(
            scalar=models.ScalarQuantizationConfig(
                type=models.ScalarType.INT8, quantile=0.99, always_ram=True
            )
        )
        vectors = models.VectorParams(
            size=entry.dim,
            # Unit rows: the inner product is the cosine, and vectors are kept as they are.
            distance=models.Distance.DOT,
            datatype=models.Datatype.FLOAT16,
            on_disk=quantization == "int8",
        )

        def make() -> None:
            # A try whose answer was lost may have made it: the name is this build's alone.
            if not self._server.client.collection_exists(self._name):
                self._server.client.create_collection(
                    self._name,
                    vectors_config=vectors,
                    hnsw_config=models.HnswConfigDiff(**graph),
                    quantization_config=int8 if quantization == "int8" else None,
                    optimizers_config=models.OptimizersConfigDiff(indexing_threshold=NO_GRAPH),
                    on_disk_payload=True,
                )

        self._server.retried("creating a collection", make)
        for column, kind in entry.payload.items():
            add = partial(
                self._server.client.create_payload_index,
                self._name,
                column,
                field_schema=models.PayloadSchemaType(_INDEX_TYPES[kind]),
            )
            self._server.retried(f"indexing {column}", add)

    def upload(
        self,
        vectors: NDArray[np.float16],
        payload: PayloadTable,
        *,
        num_parallel: int,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """Write all rows, a row's number being its point's id, so that sending twice is no harm.

        Raises:
            QdrantServerFailed: a batch was refused, or did not get through.
        """

        def send(start: int) -> int:
            stop = min(start + POINTS_PER_REQUEST, len(vectors))
            batch = self._server.models.Batch(
                ids=list(range(start, stop)),
                vectors=vectors[start:stop].astype(np.float32).tolist(),
                payloads=[without_bools(values) for values in payload.rows(start, stop)],
            )
            self._server.retried(
                f"writing rows {start} to {stop}",
                lambda: self._server.client.upsert(self._name, batch, wait=True),
            )
            return stop - start

        done = 0
        for num_sent in _in_parallel(
            send, range(0, len(vectors), POINTS_PER_REQUEST), num_parallel
        ):
            done += num_sent
            if progress is not None:
                progress(done)

    def finish(self, num_rows: int, *, graph: bool, max_seconds: float) -> None:
        """Have the graph built where one is wanted, wait until it is, and count.

        Raises:
            QdrantServerFailed: it was not ready in time, or holds another number of rows.
        """
        if graph:
            threshold = self._server.models.OptimizersConfigDiff(
                indexing_threshold=ALWAYS_GRAPH_KILOBYTES
            )
            self._server.retried(
                "starting to build its graph",
                lambda: self._server.client.update_collection(
                    self._name, optimizers_config=threshold
                ),
            )
        deadline = time.monotonic() + max_seconds
        # Green once may mean that the optimiser has not begun.
        num_green = 0
        while num_green < 2:
            status = self._server.retried("asking whether it is ready", self._status)
            num_green = num_green + 1 if status == "green" else 0
            if status == "red":
                raise self._server.wrong("it cannot build the graph (red); look into its log")
            if num_green < 2:
                if time.monotonic() + STATUS_PAUSE_SECONDS > deadline:
                    raise self._server.wrong(
                        f"not ready in time (status {status}); allow it more, or more machines"
                    )
                time.sleep(STATUS_PAUSE_SECONDS)
        self._server.check_count(num_rows)

    def drop(self) -> None:
        """Remove the generation; one that is not there is no error.

        Raises:
            QdrantServerFailed: the server says no, or does not answer.
        """
        self._server.retried(
            "removing a collection", lambda: self._server.client.delete_collection(self._name)
        )

    def _status(self) -> str:
        return str(self._server.client.get_collection(self._name).status.value)


def point_at(server: QdrantServer, generations: Sequence[Generation]) -> None:
    """Let other programs find generations by their aliases, all of them in one step.

    Args:
        server: where all of them lie.
        generations: at least one.

    Raises:
        QdrantServerFailed: a collection has the name of an alias, or the server says no.
    """
    models = server.models
    actions: list[Any] = []
    for each in generations:
        actions += [
            models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=each.alias)),
            models.CreateAliasOperation(
                create_alias=models.CreateAlias(
                    collection_name=each.collection, alias_name=each.alias
                )
            ),
        ]
    names = ", ".join(each.alias for each in generations)
    server.retried(
        f"pointing the aliases {names}", lambda: server.client.update_collection_aliases(actions)
    )


def _in_parallel(
    send: Callable[[int], int], starts: Iterable[int], num_parallel: int
) -> Iterator[int]:
    """Yield what each call returned, with few under way at a time; the first error ends all."""
    pending: set[Future[int]] = set()
    with ThreadPoolExecutor(num_parallel, thread_name_prefix="qdrant-upload") as pool:
        try:
            for start in starts:
                pending.add(pool.submit(send, start))
                if len(pending) >= 2 * num_parallel:
                    done, pending = wait(pending, return_when=FIRST_COMPLETED)
                    yield from (one.result() for one in done)
            for future in pending:
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)
