"""A generation on a Qdrant server: written whole, or refused with what to do."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from qdrant_client import QdrantClient

from indexer.ann import qdrant_build, qdrant_server, qdrant_server_build, qdrant_writer
from indexer.ann.building import BuiltIndex
from indexer.ann.payload import PayloadTable
from indexer.ann.qdrant_errors import QdrantServerFailed
from indexer.ann.qdrant_generation import (
    GENERATION_FILE,
    Generation,
    GenerationUnreadable,
    alias_name,
    generation_name,
    read_generation,
    write_generation,
)
from indexer.ann.qdrant_points import ServerPoints
from indexer.ann.qdrant_server import Patience, QdrantServer
from indexer.ann.qdrant_server_build import build_server_index, drop_generations, point_aliases
from indexer.ann.qdrant_writer import GenerationWriter
from indexer.ann.vector_index import PayloadCondition, Selection
from indexer.config import IndexConfig
from tests.indexer.ann.edge_indexes import payload_table
from tests.indexer.ann.fake_qdrant import FakeQdrant
from tests.indexer.stored_items import random_vectors

DIM = 12
NUM_ROWS = 300
ATOL = 1e-5  # float32 sums in another order
PATIENCE = Patience(request_seconds=20, retry_seconds=20.0)
HASTE = Patience(request_seconds=2, retry_seconds=0.1)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qdrant_server, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(qdrant_writer, "STATUS_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(qdrant_writer, "POINTS_PER_REQUEST", 50)
    monkeypatch.setattr(qdrant_server_build, "CHANGE_PATIENCE", Patience(20, 0.5))


@pytest.fixture
def fake() -> Iterator[FakeQdrant]:
    server = FakeQdrant()
    yield server
    server.stop()


@pytest.fixture
def vectors() -> np.ndarray:
    return random_vectors(NUM_ROWS, DIM).astype(np.float16)


def generation(url: str, snapshot_id: str = "20260101", *, grpc: bool = False) -> Generation:
    name = generation_name("words", "text", snapshot_id)
    return Generation(url, name, alias_name("words", "text"), grpc=grpc)


def server_at(
    fake: FakeQdrant, patience: Patience = PATIENCE, snapshot_id: str = "20260101"
) -> QdrantServer:
    return QdrantServer(generation(fake.url, snapshot_id), patience)


def build(
    server: QdrantServer,
    vectors: np.ndarray,
    folder: Path,
    *,
    payload: PayloadTable | None = None,
    num_parallel: int = 3,
) -> BuiltIndex:
    return build_server_index(
        vectors,
        "words",
        IndexConfig(engine="qdrant"),
        payload or payload_table(len(vectors)),
        folder,
        server,
        num_parallel=num_parallel,
    )


def assert_finds_the_nearest(built: BuiltIndex, vectors: np.ndarray) -> None:
    queries = random_vectors(7, DIM, seed=1)
    found = built.index.search(queries, 5)
    truth = -np.sort(-(queries @ vectors.astype(np.float32).T), axis=1)[:, :5]
    np.testing.assert_allclose(found.scores, truth, atol=ATOL)


# Local mode says what has no effect there.
@pytest.mark.filterwarnings("ignore:Local mode", "ignore:Payload indexes")
def test_local_mode_takes_every_request(
    vectors: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qdrant_build, "EXACT_BELOW_ROWS", 0)
    client = QdrantClient(":memory:")
    server = QdrantServer(generation("http://memory"), PATIENCE, client)
    # Few rows, so Qdrant itself is asked with the filter and not the stored vectors.
    monkeypatch.setattr("indexer.ann.qdrant_index.EXACT_SURVIVORS", 0)
    monkeypatch.setattr("indexer.ann.qdrant_index.COMPARED_PER_CANDIDATE", 0)
    seen = [row % 2 == 0 for row in range(NUM_ROWS)]
    payload = payload_table(NUM_ROWS, {"seen": "bool"}, {"attributes.seen": seen})
    built = build(server, vectors, tmp_path, payload=payload, num_parallel=1)
    assert built.recall_at_10 == 1.0
    assert_finds_the_nearest(built, vectors)
    condition = PayloadCondition(
        {"must": [{"key": "attributes.seen", "match": {"value": True}}]},
        {"attributes.seen": "bool"},
    )
    queries = random_vectors(3, DIM, seed=2)
    found = built.index.search(queries, 5, among=Selection(np.array(seen), condition))
    truth = queries @ vectors.astype(np.float32).T
    truth[:, 1::2] = -np.inf
    np.testing.assert_allclose(found.scores, -np.sort(-truth, axis=1)[:, :5], atol=ATOL)
    assert found.mode == "approximate"


def test_a_generation_is_written_counted_and_searched(
    fake: FakeQdrant, vectors: np.ndarray, tmp_path: Path
) -> None:
    at = generation(fake.url)
    assert_finds_the_nearest(build(QdrantServer(at, PATIENCE), vectors, tmp_path), vectors)
    assert read_generation(tmp_path) == at
    created = next(body for method, path, body in fake.requests if method == "PUT")
    assert created["optimizers_config"]["indexing_threshold"] == 0
    assert created["quantization_config"]["scalar"]["type"] == "int8"
    assert created["vectors"]["datatype"] == "float16"


def test_payload_indexes_are_typed_and_the_graph_is_built_after_the_upload(
    fake: FakeQdrant, vectors: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qdrant_build, "EXACT_BELOW_ROWS", 0)
    payload = payload_table(NUM_ROWS, {"size": "int"}, {"attributes.size": list(range(NUM_ROWS))})
    build(server_at(fake), vectors, tmp_path, payload=payload)
    typed = [body for _, path, body in fake.requests if path.endswith("/index")]
    assert typed == [{"field_name": "attributes.size", "field_schema": "integer"}]
    steps = [method for method, path, _ in fake.requests if path.endswith(("/points", "20260101"))]
    uploads = [number for number, method in enumerate(steps) if method == "PUT"]
    assert steps.count("PATCH") == 1
    assert steps.index("PATCH") > max(uploads)


def test_the_record_is_there_before_the_collection(
    fake: FakeQdrant, vectors: np.ndarray, tmp_path: Path
) -> None:
    recorded: list[bool] = []

    def look(method: str, path: str) -> int | None:
        if method == "PUT" and path.count("/") == 2:
            recorded.append((tmp_path / GENERATION_FILE).exists())
        return None

    fake.fault = look
    build(server_at(fake), vectors, tmp_path)
    assert recorded == [True]


def test_passing_faults_are_tried_again(
    fake: FakeQdrant, vectors: np.ndarray, tmp_path: Path
) -> None:
    asked: dict[tuple[str, str], int] = {}

    def first_time(method: str, path: str) -> int | None:
        asked[method, path] = asked.get((method, path), 0) + 1
        return {1: 500, 2: 429, 3: 0}.get(asked[method, path])

    fake.fault = first_time
    built = build(server_at(fake), vectors, tmp_path)
    assert_finds_the_nearest(built, vectors)


@pytest.mark.parametrize(
    ("status", "advice"),
    [(401, "api_key_variable"), (403, "api_key_variable"), (503, "check that it runs")],
)
def test_a_refusal_names_the_server_and_what_to_do(
    fake: FakeQdrant, vectors: np.ndarray, tmp_path: Path, status: int, advice: str
) -> None:
    fake.fault = lambda method, path: status
    with pytest.raises(QdrantServerFailed, match=advice) as caught:
        build(server_at(fake, HASTE), vectors, tmp_path)
    assert fake.url in caught.value.message
    assert caught.value.detail["status"] == status


@pytest.mark.parametrize("grpc", [False, True])
def test_nobody_listening_is_told(vectors: np.ndarray, tmp_path: Path, grpc: bool) -> None:
    at = generation("http://127.0.0.1:1", grpc=grpc)
    refused = QdrantClient(
        url=at.url, grpc_port=1, prefer_grpc=grpc, timeout=2, check_compatibility=False
    )
    server = QdrantServer(at, HASTE, refused)
    with pytest.raises(QdrantServerFailed, match="check that it runs") as caught:
        build(server, vectors, tmp_path)
    assert "http://127.0.0.1:1" in caught.value.message


def test_a_server_that_hangs_is_given_up(
    fake: FakeQdrant, vectors: np.ndarray, tmp_path: Path
) -> None:
    fake.delay_seconds = 1.5
    with pytest.raises(QdrantServerFailed, match="took too long"):
        build(server_at(fake, Patience(1, 0.1)), vectors, tmp_path)


def test_an_old_server_is_refused(fake: FakeQdrant, vectors: np.ndarray, tmp_path: Path) -> None:
    fake.version = "1.7.4"
    with pytest.raises(QdrantServerFailed, match=r"1\.12 or newer, got '1\.7\.4'"):
        build(server_at(fake), vectors, tmp_path)
    assert not (tmp_path / GENERATION_FILE).exists()


def test_a_wrong_count_is_refused(fake: FakeQdrant, vectors: np.ndarray, tmp_path: Path) -> None:
    fake.count_offset = -1
    with pytest.raises(QdrantServerFailed, match="expected 300 rows, got 299"):
        build(server_at(fake), vectors, tmp_path)


def test_a_generation_that_is_not_there_is_told(fake: FakeQdrant) -> None:
    fake.fault = lambda method, path: 404 if path.endswith("/count") else None
    with pytest.raises(QdrantServerFailed, match="reindex, or roll back"):
        ServerPoints(server_at(fake), NUM_ROWS)


def test_whether_it_is_there_is_asked_once(
    fake: FakeQdrant, vectors: np.ndarray, tmp_path: Path
) -> None:
    server = server_at(fake)
    build(server, vectors, tmp_path)
    points = ServerPoints(server, NUM_ROWS)
    points.check()
    fake.requests.clear()
    fake.fault = lambda method, path: 503
    with pytest.raises(QdrantServerFailed, match="check that it runs"):
        points.check()
    assert len(fake.requests) == 1
    fake.fault = lambda method, path: None
    points.check()
    drop_generations(tmp_path)
    with pytest.raises(QdrantServerFailed, match="not there; reindex, or roll back"):
        points.check()


def test_what_a_death_mid_upload_left_is_dropped_by_its_record(
    fake: FakeQdrant, vectors: np.ndarray, tmp_path: Path
) -> None:
    other = generation(fake.url, "another")
    build(QdrantServer(other, PATIENCE), vectors, _folder(tmp_path, "other"))
    uploads: list[str] = []

    def dies(method: str, path: str) -> int | None:
        if path.endswith("20260101/points"):
            uploads.append(path)
        return 0 if len(uploads) > 2 else None

    fake.fault = dies
    mine = generation(fake.url)
    folder = _folder(tmp_path, "mine")
    with pytest.raises(QdrantServerFailed, match="writing rows"):
        build(QdrantServer(mine, Patience(20, 0.5)), vectors, folder)
    fake.fault = lambda method, path: None
    assert fake.local.collection_exists(mine.collection)
    drop_generations(folder.parent.parent)
    drop_generations(folder.parent.parent)  # what is gone already is no error
    assert not fake.local.collection_exists(mine.collection)
    assert fake.local.collection_exists(other.collection)
    assert ("GET", "/collections") not in {(method, path) for method, path, _ in fake.requests}


def _folder(tmp_path: Path, snapshot: str, channel: str = "text") -> Path:
    folder = tmp_path / snapshot / "channels" / channel
    folder.mkdir(parents=True)
    return folder


def test_the_alias_moves_in_one_request_and_back(
    fake: FakeQdrant, vectors: np.ndarray, tmp_path: Path
) -> None:
    channels = ("pictures", "text")
    for snapshot_id in ("first", "second"):
        for channel in channels:
            name = generation_name("words", channel, snapshot_id)
            at = Generation(fake.url, name, alias_name("words", channel), grpc=False)
            folder = _folder(tmp_path, snapshot_id, channel)
            build(QdrantServer(at, PATIENCE), vectors, folder)
    for live in ("first", "second", "first"):
        fake.requests.clear()
        point_aliases(tmp_path / live)
        assert len(fake.requests) == 1
        assert fake.aliases == {f"words__{each}": f"words__{each}__{live}" for each in channels}


def test_an_alias_that_is_a_collections_name_is_told(fake: FakeQdrant, tmp_path: Path) -> None:
    write_generation(tmp_path, generation(fake.url))
    fake.fault = lambda method, path: 409
    with pytest.raises(
        QdrantServerFailed, match=r"words__text: .*that name exists already: rename"
    ):
        point_aliases(tmp_path)


def test_a_key_is_read_from_its_variable_and_never_stored(tmp_path: Path) -> None:
    at = Generation("http://127.0.0.1:1", "a__b__c", "a__b", api_key_variable="KINDRED_NO_SUCH_KEY")
    write_generation(tmp_path, at)
    assert read_generation(tmp_path) == at
    with pytest.raises(QdrantServerFailed, match="KINDRED_NO_SUCH_KEY, which is not set"):
        drop_generations(tmp_path)


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    (tmp_path / GENERATION_FILE).write_bytes(b"{")
    with pytest.raises(GenerationUnreadable, match=GENERATION_FILE):
        drop_generations(tmp_path)


@pytest.mark.skipif("QDRANT_URL" not in os.environ, reason="QDRANT_URL names no server to test on")
def test_a_real_server_does_the_same(
    vectors: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qdrant_build, "EXACT_BELOW_ROWS", 0)
    at = generation(os.environ["QDRANT_URL"], f"test-{uuid.uuid4().hex}")
    server = QdrantServer(at, PATIENCE)
    payload = payload_table(NUM_ROWS, {"size": "int"}, {"attributes.size": list(range(NUM_ROWS))})
    try:
        built = build(server, vectors, tmp_path, payload=payload)
        assert_finds_the_nearest(built, vectors)
        point_aliases(tmp_path)
    finally:
        GenerationWriter(server).drop()
