"""``POST /v1/embeddings``."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest
from litestar.testing import TestClient

from encoders.serving.errors import Overloaded
from search_api.embedding_schemas import MAX_INPUTS
from tests.fake_encoders import text_vector
from tests.search_api.test_app import problem


def embeddings(client: TestClient[Any], **body: Any) -> Any:
    return client.post("/v1/embeddings", json=body)


@pytest.mark.parametrize("input_type", ["query", "passage"])
def test_each_input_gets_its_unit_vector_in_order(client: TestClient[Any], input_type: str) -> None:
    texts = [f"owl number {number}" for number in range(40)]
    answer = embeddings(client, model="passages", input=texts, input_type=input_type)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["object"], body["model"]) == ("list", "passages")
    assert [each["index"] for each in body["data"]] == list(range(40))
    vectors = np.array([each["embedding"] for each in body["data"]], np.float32)
    expected = np.array([text_vector(text) for text in texts])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors, expected, atol=1e-6)
    (collection,) = client.get("/v1/collections").json()["collections"]
    assert body["space_id"] == collection["channels"]["passages"]["space_id"]
    assert body["usage"] == {"prompt_tokens": 0, "total_tokens": 0}


def test_one_input_may_stand_alone_and_vectors_may_be_packed(client: TestClient[Any]) -> None:
    packed = embeddings(
        client, model="pictures", input="red", encoding_format="base64", user="somebody"
    )
    (one,) = packed.json()["data"]
    found = np.frombuffer(base64.b64decode(one["embedding"]), "<f4")
    (listed,) = embeddings(client, model="pictures", input="red").json()["data"]
    np.testing.assert_array_equal(found, np.array(listed["embedding"], np.float32))
    assert np.linalg.norm(found) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"model": "nothing", "input": "a"}, "passages"),
        ({"model": "passages", "input": []}, "input"),
        ({"model": "passages", "input": ["a"] * (MAX_INPUTS + 1)}, "input"),
        ({"model": "passages", "input": ["a", " "]}, "input[1]"),
        ({"model": "passages", "input": "a", "dimensions": 3}, "dimensions"),
        ({"model": "passages", "input": "a", "colour": 1}, "colour"),
        ({"model": "pictures", "input": "a", "input_type": "passage"}, "stores no texts"),
    ],
)
def test_what_cannot_be_encoded_is_named(
    client: TestClient[Any], body: dict[str, Any], says: str
) -> None:
    assert says in problem(embeddings(client, **body), 400)["detail"]


def test_an_encoder_that_is_busy_is_said_so(
    client: TestClient[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(*_: object) -> Any:
        raise Overloaded("255 questions wait already")

    monkeypatch.setattr(client.app.state.service.encoder, "encode_text", busy)
    answer = embeddings(client, model="passages", input=["a", "b", "c"])
    assert problem(answer, 429)["code"] == Overloaded.code
    assert answer.headers["retry-after"]
