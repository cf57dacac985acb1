"""A collection on a Qdrant server that is not there: what callers and the nightly job are told."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from encoders.media.sandbox import DecodeSandbox
from indexer import pipeline
from indexer.ann.edge_host import EdgeFailed
from indexer.config import parse_collection
from indexer.live_view import LiveView
from indexer.publish import read_pointer
from indexer.reindex import reindex
from search_api.app import create_app
from search_api.cli.main import run
from search_api.query_vectors import LocalQueryEncoder
from search_api.settings import Settings
from tests.indexer.ann.fake_qdrant import FakeQdrant
from tests.indexer.qdrant_collection import Served, be_hasty, down, on_server, served_collection, up
from tests.indexer.stored_items import COLLECTION, YAML, identities
from tests.search_api.small_collection import CONFIG_YAML, SmallCollection

QUESTION = {"query": {"text": "fox"}, "channels": ["passages"]}


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    be_hasty(monkeypatch)


@pytest.fixture
def fake() -> Iterator[FakeQdrant]:
    server = FakeQdrant()
    yield server
    server.stop()


@pytest.fixture
def opened(small: SmallCollection, fake: FakeQdrant) -> Iterator[Callable[[], TestClient[Any]]]:
    """Serves the small collection, whose passages are on a server."""
    yaml = CONFIG_YAML.replace("max_words: 8}", "max_words: 8}\n    index: {engine: exact}")
    config = parse_collection(on_server(yaml, fake.url))
    small.config_path.write_text(on_server(yaml, fake.url))
    reindex(small.catalog, small.data_dir, config, small.identities())
    settings = Settings(
        data_dir=str(small.data_dir.root),
        models_dir=str(small.folder),
        collection=str(small.config_path),
    )
    with DecodeSandbox() as sandbox:
        encoder = LocalQueryEncoder(small.loader, config, sandbox)
        yield lambda: TestClient(create_app(settings, make_encoder=lambda *_: encoder))


def until_ready(client: TestClient[Any]) -> None:
    for _ in range(600):
        if client.get("/readyz").status_code == 200:
            return
        time.sleep(0.05)
    raise AssertionError(client.get("/readyz").text)


def assert_unavailable(response: Any, url: str) -> Any:
    assert response.status_code == 503, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert "retry-after" in response.headers
    body = response.json()
    assert url in body["detail"]
    assert "check that it runs" in body["detail"]
    return body


def test_searches_are_answered_503_while_it_is_away(
    opened: Callable[[], TestClient[Any]], fake: FakeQdrant
) -> None:
    with opened() as client:
        until_ready(client)
        found = client.post("/v1/search", json=QUESTION).json()
        assert found["hits"][0]["item_id"] == "story-1"

        fake.fault = down
        body = assert_unavailable(client.post("/v1/search", json=QUESTION), fake.url)
        assert body["code"] == "qdrant_server_failed"
        assert_unavailable(client.get("/readyz"), fake.url)
        assert client.get("/healthz").status_code == 200
        other = client.post("/v1/search", json={**QUESTION, "channels": ["titles"]})
        assert other.status_code == 200, "channels that are not on it go on"

        fake.fault = up
        assert client.get("/readyz").status_code == 200
        assert client.post("/v1/search", json=QUESTION).json()["hits"] == found["hits"]


def test_a_worker_that_starts_while_it_is_away_is_ready_when_it_is_back(
    opened: Callable[[], TestClient[Any]], fake: FakeQdrant
) -> None:
    fake.fault = down
    with opened() as client:
        assert_unavailable(client.get("/readyz"), fake.url)
        assert_unavailable(client.post("/v1/search", json=QUESTION), fake.url)
        fake.fault = up
        until_ready(client)
        assert client.post("/v1/search", json=QUESTION).json()["hits"]


def test_an_embedded_engine_that_died_is_503_too(
    client: TestClient[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def died(*arguments: Any, **named: Any) -> None:
        raise EdgeFailed("the process that holds Qdrant Edge ended with exit code -9")

    monkeypatch.setattr(LiveView, "search", died)
    response = client.post("/v1/search", json=QUESTION)
    assert response.status_code == 503
    assert response.json()["code"] == "qdrant_edge_failed"


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setenv("KINDRED_DATA_DIR", str(tmp_path / "nightly"))
    monkeypatch.setattr(pipeline, "channel_identities", lambda *_: identities())
    with served_collection(tmp_path / "nightly") as collection:
        (tmp_path / "tiny.yaml").write_text(on_server(YAML, collection.fake.url))
        monkeypatch.setenv("KINDRED_COLLECTION", str(tmp_path / "tiny.yaml"))
        yield collection


def test_the_nightly_job_fails_and_leaves_the_live_index(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    served.reindexed()
    before = read_pointer(served.data_dir, COLLECTION)
    served.fake.fault = down
    assert run(["reindex", "--json"]) == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "qdrant_server_failed"
    assert served.fake.url in error["message"]
    assert "check that it runs" in error["message"]
    assert read_pointer(served.data_dir, COLLECTION) == before
    served.fake.fault = up
    assert run(["reindex", "--json"]) == 0
