"""Many writes at once, and writes that nobody waits for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from litestar.testing import TestClient

from encoders.errors import ModelMissing
from encoders.media.sandbox import DecodeSandbox
from search_api.app import create_app
from search_api.query_vectors import LocalQueryEncoder
from search_api.settings import Settings
from tests.search_api.small_collection import SmallCollection
from tests.search_api.test_app import problem
from tests.search_api.test_item_writes import found, vectors

ASYNC = {"Prefer": "respond-async"}


@pytest.fixture
def client(small: SmallCollection) -> Iterator[TestClient[Any]]:
    settings = Settings(
        data_dir=str(small.data_dir.root),
        models_dir=str(small.folder),
        collection=str(small.config_path),
        max_sync_media_seconds=5.0,
        max_sync_operations=8,
        max_open_jobs=3,
    )
    with DecodeSandbox() as sandbox:
        encoder = LocalQueryEncoder(small.loader, small.config, sandbox)
        with TestClient(create_app(settings, make_encoder=lambda *_: encoder)) as client:
            yield client


def batch(client: TestClient[Any], *operations: Any, **headers: str) -> Any:
    return client.post("/v1/items/batch", json={"operations": operations}, headers=headers)


def put(item_id: str, text: str, **more: Any) -> dict[str, Any]:
    return {"op": "put", "item_id": item_id, "text": text, **more}


def delete(item_id: str) -> dict[str, Any]:
    return {"op": "delete", "item_id": item_id}


def finished(client: TestClient[Any], location: str) -> Any:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        job = client.get(location).json()
        if job["state"] in ("done", "failed"):
            return job
        time.sleep(0.05)
    raise AssertionError(f"after 60 s the job is {job}")


def test_a_batch_is_done_in_order_and_found_at_once(client: TestClient[Any]) -> None:
    answer = batch(
        client,
        put("one", "an anchor"),
        {"op": "put", "item_id": "two", **vectors("turquoise")},
        put("red-1", "it was a picture"),
        delete("blue-1"),
        put("three", "first words"),
        put("three", "last words"),
        delete("one"),
    )
    assert answer.status_code == 200, answer.text
    results = answer.json()["results"]
    assert [each["status"] for each in results] == [201, 201, 200, 204, 201, 200, 204]
    assert [each["item_id"] for each in results][:3] == ["one", "two", "red-1"]
    assert found(client, "turquoise", "pictures", 1) == ["two"]
    assert found(client, "last words", "passages", 1) == ["three"]
    assert client.get("/v1/items/three/media").text == "last words"
    assert "one" not in found(client, "anchor", "passages")
    problem(client.get("/v1/items/blue-1"), 404)


def test_one_that_cannot_be_done_fails_alone(client: TestClient[Any]) -> None:
    answer = batch(
        client,
        put("good", "a harbour"),
        put("bad", "b", attributes={"year": "late"}),
        put("both", "b", url="http://x"),
        {"op": "stir", "item_id": "odd"},
        {"op": "put", "item_id": "other-space", **vectors("red", "clip")},
        {"op": "put", "item_id": "link", "url": "http://x"},
        delete("nobody"),
        delete("a b"),
    )
    results = answer.json()["results"]
    assert [each["status"] for each in results] == [201, 400, 400, 400, 422, 403, 404, 400]
    assert [each["item_id"] for each in results][2:4] == ["both", "odd"]
    assert results[1]["error"]["context"]["field"] == "year"
    assert results[4]["error"]["code"] == "space_mismatch"
    assert found(client, "harbour", "passages", 1) == ["good"]


def test_a_batch_of_another_form_is_refused(client: TestClient[Any]) -> None:
    problem(batch(client), 400)
    problem(client.post("/v1/items/batch", json=[put("a", "b")]), 400)
    problem(batch(client, *[delete("a")] * 1001), 400)
    headers = {"content-type": "text/plain"}
    content = b'{"operations": [{"op": "delete", "item_id": "red-1"}]}'
    problem(client.post("/v1/items/batch", content=content, headers=headers), 415)
    assert client.get("/v1/items/red-1").status_code == 200


def test_a_batch_is_repeated_by_its_key(client: TestClient[Any], small: SmallCollection) -> None:
    headers = {"Idempotency-Key": "b"}
    first = batch(client, put("one", "a tower"), delete("nobody"), **headers)
    seq = small.catalog.change_seq("small")
    assert batch(client, put("one", "a tower"), delete("nobody"), **headers).json() == first.json()
    assert small.catalog.change_seq("small") == seq
    problem(batch(client, put("one", "a bridge"), **headers), 422)


def test_many_operations_become_a_job(client: TestClient[Any]) -> None:
    operations = [put(f"item-{number}", f"text{number}") for number in range(40)]
    accepted = batch(client, *operations, put("bad", "b", attributes={"year": "x"}), delete("nn"))
    assert accepted.status_code == 202, accepted.text
    assert accepted.headers["location"] == f"/v1/jobs/{accepted.json()['job_id']}"
    job = finished(client, accepted.headers["location"])
    assert (job["state"], job["operations"], job["settled"]) == ("done", 42, 42)
    assert [each["status"] for each in job["results"]] == [201] * 40 + [400, 404]
    assert found(client, "text7", "passages", 1) == ["item-7"]


def test_a_long_recording_becomes_a_job_and_a_short_one_does_not(
    client: TestClient[Any], tmp_path: Path
) -> None:
    for seconds, status in ((3, 201), (18, 202)):
        path = tmp_path / "sound.wav"
        soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, seconds * 2000), 2000)
        answer = client.put(f"/v1/items/s{seconds}", files={"file": path.read_bytes()})
        assert answer.status_code == status, answer.text
    job = finished(client, answer.headers["location"])
    assert job["state"] == "done", job
    assert job["results"][0]["segments"] == {"sounds": 3, "speech": 0}
    assert client.get("/v1/items/s18").json()["duration_seconds"] == pytest.approx(18.0)


def test_whoever_prefers_it_is_not_made_to_wait(client: TestClient[Any]) -> None:
    headers = {**ASYNC, "Idempotency-Key": "j"}
    body = {"text": "a slow river"}
    accepted = client.put("/v1/items/slow", json=body, headers=headers)
    assert accepted.status_code == 202
    again = client.put("/v1/items/slow", json=body, headers=headers)
    assert again.json() == accepted.json(), "one job, however often it is asked for"
    assert finished(client, accepted.headers["location"])["state"] == "done"
    assert found(client, "slow river", "passages", 1) == ["slow"]


def test_what_could_never_be_stored_becomes_no_job(client: TestClient[Any]) -> None:
    body = {"text": "a", "attributes": {"year": "x"}}
    problem(client.put("/v1/items/x", json=body, headers=ASYNC), 400)


def test_a_job_whose_file_cannot_be_read_fails_with_the_reason(
    client: TestClient[Any], tmp_path: Path
) -> None:
    from tests.search_api.test_item_writes import png

    broken = png(tmp_path, "red")[:60]
    accepted = client.put("/v1/items/x", files={"file": ("torn.png", broken)}, headers=ASYNC)
    assert accepted.status_code == 202, accepted.text
    job = finished(client, accepted.headers["location"])
    assert (job["state"], job["reason"]) == ("failed", "operations_failed")
    (result,) = job["results"]
    assert (result["status"], result["error"]["code"]) == (422, "media_rejected")
    assert "blobs" not in result["error"]["detail"]
    problem(client.get("/v1/items/x"), 404)


def test_a_job_whose_model_is_missing_says_so(
    client: TestClient[Any], small: SmallCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(config: object) -> None:
        raise ModelMissing("no weights of minilm; pull them")

    monkeypatch.setattr(small.loader, "open", missing)
    accepted = client.put("/v1/items/x", json={"text": "new words"}, headers=ASYNC)
    job = finished(client, accepted.headers["location"])
    assert (job["state"], job["reason"]) == ("failed", "model_missing")
    assert "pull them" in job["detail"]


def test_unknown_jobs_are_named(client: TestClient[Any]) -> None:
    assert problem(client.get("/v1/jobs/job-x"), 404)["code"] == "job_not_found"


def test_open_servers_take_no_batches(reachable_client: TestClient[Any]) -> None:
    problem(batch(reachable_client, delete("red-1")), 403)


def test_batches_and_jobs_are_documented(client: TestClient[Any]) -> None:
    paths = client.get("/schema").json()["paths"]
    post = paths["/v1/items/batch"]["post"]
    schema = post["requestBody"]["content"]["application/json"]["schema"]
    assert schema["properties"]["operations"]["maxItems"] == 1000
    assert {"200", "202", "429"} <= set(post["responses"])
    assert "200" in paths["/v1/jobs/{job_id}"]["get"]["responses"]
