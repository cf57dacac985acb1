"""An answer over HTTP says how its neighbours were found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from encoders.media.sandbox import DecodeSandbox
from search_api.app import create_app
from search_api.query_vectors import LocalQueryEncoder
from search_api.settings import Settings
from tests.search_api import small_collection
from tests.search_api.small_collection import SmallCollection
from tests.search_api.test_app import search
from tests.search_api.test_snapshots import publish

NUM_TEXTS = 120
YEARS = 40
APPROXIMATE = """
name: small
attributes: {year: int}
channels:
  passages:
    media: [text]
    segments: {kind: passages, max_words: 8}
    encoder: {family: sentence_transformers}
    index: {engine: faiss, factory: HNSW16}
"""


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient[Any]]:
    """A snapshot whose only index is a graph."""
    monkeypatch.setattr(small_collection, "CONFIG_YAML", APPROXIMATE)
    small = SmallCollection(tmp_path)
    for number in range(NUM_TEXTS):
        small.text(f"text-{number:03}", [f"word{number} fox"], year=2000 + number % YEARS)
    publish(small)
    settings = Settings(
        data_dir=str(small.data_dir.root),
        models_dir=str(small.folder),
        collection=str(small.config_path),
    )
    with DecodeSandbox() as sandbox:
        encoder = LocalQueryEncoder(small.loader, small.config, sandbox)
        with TestClient(create_app(settings, make_encoder=lambda *_: encoder)) as opened:
            yield opened
    small.close()


def test_few_that_a_filter_keeps_are_compared_each_and_the_answer_says_so(
    client: TestClient[Any],
) -> None:
    query = {"text": "word7 fox"}
    assert search(client, query=query, limit=5)["mode"] == "approximate"
    kept = search(client, query=query, limit=5, filter={"field": "year", "equals": 2007})
    assert kept["mode"] == "exact_filtered"
    found = [hit["item_id"] for hit in kept["hits"]]
    assert found[0] == "text-007"
    assert sorted(found) == ["text-007", "text-047", "text-087"]
    nothing = search(client, query=query, limit=5, filter={"field": "year", "equals": 1900})
    assert nothing["hits"] == []


def test_what_no_snapshot_holds_yet_is_compared_exactly_beside_the_graph(
    client: TestClient[Any],
) -> None:
    body = {"text": "word7 heron", "attributes": {"year": 2007}}
    assert client.put("/v1/items/new", json=body).status_code == 201
    kept = search(
        client, query={"text": "heron"}, limit=5, filter={"field": "year", "equals": 2007}
    )
    assert kept["hits"][0]["item_id"] == "new"
    assert kept["mode"] == "exact_filtered"
