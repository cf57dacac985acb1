"""``POST /v1/search/batch``: searches as JSON, and raw vectors."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from litestar.testing import TestClient

from encoders.space import Vectors, unit_rows
from indexer.reindex import reindex
from search_api.vector_search import first_of_each
from tests.fake_encoders import text_vector
from tests.search_api.small_collection import SmallCollection
from tests.search_api.test_app import problem

RAW = {"Content-Type": "application/octet-stream"}


def raw(client: TestClient[Any], vectors: Vectors, **params: Any) -> Any:
    content = np.asarray(vectors, "<f4").tobytes()
    return client.post("/v1/search/batch", content=content, params=params, headers=RAW)


def vectors_of(*texts: str) -> Vectors:
    return unit_rows(np.array([text_vector(text) for text in texts]))


def test_searches_are_answered_each_by_itself(client: TestClient[Any]) -> None:
    searches = [
        {"query": {"text": "red"}, "limit": 3},
        {"query": {"item_id": "nobody"}},
        {"query": {"item_id": "red-1"}, "modalities": ["image"]},
    ]
    answer = client.post("/v1/search/batch", json={"searches": searches})
    assert answer.status_code == 200, answer.text
    red, nobody, like = answer.json()["results"]
    alone = client.post("/v1/search", json=searches[0]).json()
    assert red["answer"]["hits"] == alone["hits"]
    assert nobody["error"]["code"] == "item_not_found"
    assert "answer" not in nobody
    assert like["answer"]["hits"]


@pytest.mark.parametrize("indexed", [False, True])
def test_raw_vectors_find_what_words_do(
    client: TestClient[Any], small: SmallCollection, indexed: bool
) -> None:
    if indexed:
        reindex(small.catalog, small.data_dir, small.config, small.identities())
        client.put("/v1/items/fresh", json={"text": "a lighthouse by the sea"})
    texts = ["red flower", "a lighthouse by the sea", "blue"]
    answer = raw(client, vectors_of(*texts), channel="passages", limit=5)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["mode"] == "exact"
    assert len(body["item_ids"]) == len(body["scores"]) == 3
    for text, item_ids, scores in zip(texts, body["item_ids"], body["scores"], strict=True):
        search = {"query": {"text": text}, "channels": ["passages"], "limit": 5}
        hits = client.post("/v1/search", json=search).json()["hits"]
        assert len(set(item_ids)) == len(item_ids)
        assert dict(zip(item_ids, np.round(scores, 5), strict=True)) == {
            hit["item_id"]: np.round(hit["moments"][0]["score"], 5) for hit in hits
        }
        assert scores == sorted(scores, reverse=True)


def test_a_filter_and_deleted_items_are_heeded(client: TestClient[Any]) -> None:
    (everything,) = raw(client, vectors_of("red"), channel="titles", limit=200).json()["item_ids"]
    assert len(everything) > 2
    only = json.dumps({"field": "item_id", "in": everything[:2]})
    kept = raw(client, vectors_of("red"), channel="titles", limit=200, filter=only).json()
    assert kept["item_ids"] == [everything[:2]]
    client.delete(f"/v1/items/{everything[0]}")
    kept = raw(client, vectors_of("red"), channel="titles", limit=200, filter=only).json()
    assert kept["item_ids"] == [[everything[1]]]


@pytest.mark.parametrize(
    ("content", "params", "says"),
    [
        (b"", {"channel": "passages"}, "multiple of 256 bytes"),
        (b"\0" * 255, {"channel": "passages"}, "got 255 bytes"),
        (b"\0" * 256, {"channel": "passages"}, "vector 0 has no direction"),
        (np.full(64, np.nan, "<f4").tobytes(), {"channel": "passages"}, "vector 0"),
        (np.full(64, 3e38, "<f4").tobytes(), {"channel": "passages"}, "vector 0"),
        (np.full(64, 1e-20, "<f4").tobytes(), {"channel": "passages"}, "vector 0"),
        (np.ones(64, "<f4").tobytes(), {}, "channel"),
        (np.ones(64, "<f4").tobytes(), {"channel": "none"}, "passages"),
        (np.ones(64, "<f4").tobytes(), {"channel": "passages", "limit": 0}, "limit"),
        (np.ones(64, "<f4").tobytes(), {"channel": "passages", "filter": "{"}, "filter"),
        (np.ones(64, "<f4").tobytes(), {"channel": "passages", "filter": '{"a": 1}'}, "field"),
        (np.ones(64 * 4097, "<f4").tobytes(), {"channel": "passages"}, "4097 vectors"),
    ],
)
def test_what_is_no_batch_is_refused(
    client: TestClient[Any], content: bytes, params: dict[str, Any], says: str
) -> None:
    answer = client.post("/v1/search/batch", content=content, params=params, headers=RAW)
    assert says in problem(answer, 400)["detail"]


def test_other_bodies_are_refused(client: TestClient[Any]) -> None:
    problem(client.post("/v1/search/batch", content=b"x", headers={"Content-Type": "a/b"}), 415)
    problem(client.post("/v1/search/batch", json={"searches": []}), 400)
    one = {"query": {"text": "red"}}
    problem(client.post("/v1/search/batch", json={"searches": [one] * 65}), 400)


def test_the_first_of_each_item_is_found() -> None:
    rng = np.random.default_rng(0)
    item_rows = rng.integers(-1, 6, (50, 12))
    found = first_of_each(item_rows)
    for row, marks in zip(item_rows.tolist(), found.tolist(), strict=True):
        seen: set[int] = {-1}
        for item, mark in zip(row, marks, strict=True):
            assert mark == (item not in seen)
            seen.add(item)
