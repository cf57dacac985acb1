"""A generation that is written and searched over gRPC, as long as nobody says otherwise."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import numpy as np
import pytest

from indexer.ann import qdrant_server, qdrant_writer
from indexer.ann.qdrant_errors import QdrantServerFailed
from indexer.ann.qdrant_server import Patience
from indexer.ann.qdrant_writer import GenerationWriter, point_at
from tests.indexer.ann.edge_indexes import payload_table
from tests.indexer.ann.fake_qdrant_grpc import FakeGrpc
from tests.indexer.ann.server_indexes import server_index
from tests.indexer.stored_items import random_vectors

# What Qdrant's client says when it plays the server itself.
pytestmark = pytest.mark.filterwarnings("ignore:Local mode", "ignore:Payload indexes")

DIM = 12
NUM_ROWS = 300
ATOL = 1e-5  # float32 sums in another order
HASTE = Patience(request_seconds=5, retry_seconds=0.3)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qdrant_server, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(qdrant_writer, "STATUS_PAUSE_SECONDS", 0.01)


@pytest.fixture
def fake() -> Iterator[FakeGrpc]:
    server = FakeGrpc()
    yield server
    server.stop()


def test_it_is_written_searched_pointed_at_and_dropped(fake: FakeGrpc) -> None:
    vectors = random_vectors(NUM_ROWS, DIM).astype(np.float16).astype(np.float32)
    payload = payload_table(NUM_ROWS, {"size": "int"}, {"attributes.size": list(range(NUM_ROWS))})
    server = fake.asked(HASTE)
    index = server_index(server, vectors, graph=True, payload=payload)
    created, indexed, started = fake.requests
    assert created.optimizers_config.indexing_threshold == 0
    assert created.quantization_config.HasField("scalar")
    assert (indexed.field_name, indexed.field_type) == ("attributes.size", 1), "an integer"
    assert started.optimizers_config.indexing_threshold == 1
    queries = random_vectors(7, DIM, seed=1)
    truth = -np.sort(-(queries @ vectors.T), axis=1)[:, :5]
    np.testing.assert_allclose(index.search(queries, 5).scores, truth, atol=ATOL)

    point_at(server, [server.generation])
    (alias,) = fake.local.get_aliases().aliases
    assert (alias.alias_name, alias.collection_name) == ("words__text", "words__text__1")
    index.check()
    GenerationWriter(server).drop()
    with pytest.raises(QdrantServerFailed, match="not there; reindex, or roll back"):
        index.check()


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (grpc.StatusCode.UNAVAILABLE, "check that it runs"),
        (grpc.StatusCode.UNAUTHENTICATED, "api_key_variable"),
        (grpc.StatusCode.NOT_FOUND, "roll back"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "took too long"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "server's log"),
    ],
)
def test_a_failure_says_what_to_do(fake: FakeGrpc, code: grpc.StatusCode, advice: str) -> None:
    vectors = random_vectors(NUM_ROWS, DIM)
    server = fake.asked(HASTE)
    index = server_index(server, vectors)
    fake.fault = code
    with pytest.raises(QdrantServerFailed, match=advice) as caught:
        index.search(vectors[:2], 3)
    assert "http://127.0.0.1:6333" in caught.value.message
    assert "made to fail" in caught.value.message
    fake.fault = None
    assert index.search(vectors[:2], 3).rows[:, 0].tolist() == [0, 1]
