"""Storing and deleting items over HTTP, on fake encoders and a real catalog and live view."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from litestar.testing import TestClient
from PIL import Image

from indexer.catalog.idempotency import KeyClaim
from indexer.catalog.live_writes import LiveWrites
from indexer.lock import writer_lock
from indexer.reindex import reindex
from search_api.keyed_requests import request_digest
from search_api.write_schemas import PutItem
from tests.fake_encoders import COLOURS, text_vector
from tests.search_api.small_collection import SmallCollection
from tests.search_api.test_app import problem


def found(client: TestClient[Any], text: str, channel: str, limit: int = 50) -> list[str]:
    body = {"query": {"text": text}, "channels": [channel], "limit": limit}
    answer = client.post("/v1/search", json=body)
    assert answer.status_code == 200, answer.text
    return [hit["item_id"] for hit in answer.json()["hits"]]


def png(folder: Path, colour: str) -> bytes:
    path = folder / "sent.png"
    Image.new("RGB", (60, 40), COLOURS[colour]).save(path)
    return path.read_bytes()


def put_file(client: TestClient[Any], item_id: str, content: bytes, **options: Any) -> Any:
    return client.put(
        f"/v1/items/{item_id}",
        files={"file": ("sent.bin", content)},
        data={"request": json.dumps(options)},
    )


def test_a_text_is_found_as_soon_as_it_is_acknowledged(client: TestClient[Any]) -> None:
    body = {"text": "purple umbrella", "attributes": {"title": "rain", "year": 2020}}
    answer = client.put("/v1/items/new:1", json=body)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == "/v1/items/new:1"
    written = answer.json()
    assert written["created"] is True
    assert written["segments"] == {"passages": 1, "titles": 1}
    assert found(client, "purple umbrella", "passages", 1) == ["new:1"]
    assert found(client, "rain", "titles", 1) == ["new:1"]
    item = client.get("/v1/items/new:1").json()
    assert (item["modality"], item["attributes"]["year"]) == ("text", 2020)
    assert client.get("/v1/items/new:1/media").text == "purple umbrella"


def test_an_upload_is_decoded_encoded_and_kept(
    client: TestClient[Any], small: SmallCollection, tmp_path: Path
) -> None:
    content = png(tmp_path, "red")
    answer = put_file(client, "mine", content, attributes={"tags": ["flower"]})
    assert answer.status_code == 201, answer.text
    assert answer.json()["segments"] == {"pictures": 1, "looks": 1}
    assert "mine" in found(client, "red", "pictures", 3)
    item = client.get("/v1/items/mine").json()
    assert (item["format"], item["width_px"], item["height_px"]) == ("png", 60, 40)
    assert client.get("/v1/items/mine/media").content == content
    assert client.get("/v1/items/mine/thumbnail").status_code == 200
    assert list((small.data_dir.blobs / "in").iterdir()) == []


def test_a_sound_is_cut_into_windows_as_ingest_does(
    client: TestClient[Any], tmp_path: Path
) -> None:
    path = tmp_path / "sound.wav"
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 18 * 2000)
    soundfile.write(path, noise, 2000)
    answer = put_file(client, "sound", path.read_bytes())
    assert answer.status_code == 201, answer.text
    assert answer.json()["segments"] == {"sounds": 3, "speech": 0}
    assert client.get("/v1/items/sound").json()["duration_seconds"] == pytest.approx(18.0)


def test_a_second_write_replaces_the_first_whole(client: TestClient[Any], tmp_path: Path) -> None:
    assert put_file(client, "one", png(tmp_path, "red"), attributes={"title": "sun"}).is_success
    again = client.put("/v1/items/one", json={"text": "moss on stones"})
    assert again.status_code == 200
    assert again.json()["created"] is False
    assert "one" not in found(client, "red", "pictures")
    assert "one" not in found(client, "sun", "titles")
    assert found(client, "moss on stones", "passages", 1) == ["one"]
    assert client.get("/v1/items/one").json()["attributes"] == {}


def test_equal_content_is_not_encoded_again(
    client: TestClient[Any], small: SmallCollection, tmp_path: Path
) -> None:
    content = png(tmp_path, "green")
    assert put_file(client, "first", content).status_code == 201
    before = {config: len(one.batches) for config, one in small.loader.encoders.items()}
    assert put_file(client, "second", content).json()["segments"] == {"pictures": 1, "looks": 1}
    assert before == {config: len(one.batches) for config, one in small.loader.encoders.items()}
    assert client.get("/v1/items/second").json()["width_px"] == 60


def vectors(word: str, space_id: str = "words", **more: Any) -> dict[str, Any]:
    given = {"space_id": space_id, "vectors": [[float(x) for x in text_vector(word)]], **more}
    return {"medium": "image", "channels": {"pictures": given}}


def test_vectors_of_the_channels_space_are_taken_as_they_are(client: TestClient[Any]) -> None:
    body = {**vectors("turquoise"), "attributes": {"title": "a lagoon"}}
    answer = client.put("/v1/items/given", json=body)
    assert answer.status_code == 201, answer.text
    assert answer.json()["segments"] == {"pictures": 1, "titles": 1}
    assert found(client, "turquoise", "pictures", 1) == ["given"]
    assert found(client, "lagoon", "titles", 1) == ["given"]
    gone = problem(client.get("/v1/items/given/media"), 410)
    assert "stored as vectors" in gone["detail"]


def test_vectors_of_another_space_are_refused_with_both_named(client: TestClient[Any]) -> None:
    refused = problem(client.put("/v1/items/x", json=vectors("red", "clip")), 422)
    assert refused["code"] == "space_mismatch"
    assert "clip (dim 64)" in refused["detail"]
    assert "words (dim 64)" in refused["detail"]
    problem(client.get("/v1/items/x"), 404)


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        ({}, ["exactly one of text, channels, url", "none"]),
        ({"text": "a", "url": "http://x"}, ["text and url"]),
        ({"text": "  "}, ["no words"]),
        ({"text": "a", "medium": "image"}, ["medium and channels"]),
        ({"text": "a", "colour": "red"}, ["colour"]),
        ({"text": "a", "attributes": {"year": "late"}}, ["'year'", "int", "'late'"]),
        ({"text": "a", "attributes": {"released": 5}}, ["'released'", "datetime", "5"]),
        (vectors("red", segments=[{}, {}]), ["one segment per row, 1, got 2"]),
        (vectors("red", segments=[{"start_seconds": 5.0}]), ["start_seconds", "5.0 and None"]),
        (
            {"medium": "image", "channels": {"smell": {"space_id": "a", "vectors": [[1.0]]}}},
            ["pictures, looks", "'smell'"],
        ),
        (
            {"medium": "audio", "channels": {"looks": {"space_id": "a", "vectors": [[1.0]]}}},
            ["takes audio", "'looks'"],
        ),
        (
            {"medium": "image", "channels": {"looks": {"space_id": "a", "vectors": [[1], [1, 2]]}}},
            ["rows of 64", "1 and 2"],
        ),
        (
            {
                "medium": "image",
                "channels": {"pictures": {"space_id": "words", "vectors": [[0] * 64]}},
            },
            ["not zero"],
        ),
    ],
)
def test_a_wrong_body_is_refused_with_what_is_wrong(
    client: TestClient[Any], body: Any, parts: list[str]
) -> None:
    detail = problem(client.put("/v1/items/wrong", json=body), 400)["detail"]
    for part in parts:
        assert part in detail
    problem(client.get("/v1/items/wrong"), 404)


def test_a_wrong_attribute_says_field_expected_and_got(client: TestClient[Any]) -> None:
    body = {"text": "a", "attributes": {"year": [1]}}
    context = problem(client.put("/v1/items/wrong", json=body), 400)["context"]
    assert (context["field"], context["expected"], context["got"]) == ("year", "int", "[1]")


def test_a_url_is_refused_by_name(client: TestClient[Any]) -> None:
    refused = problem(client.put("/v1/items/x", json={"url": "http://example.org/a.png"}), 403)
    assert refused["code"] == "url_not_taken"


def test_ids_have_a_form(client: TestClient[Any]) -> None:
    for item_id in ("a b", "ü", "x" * 201, "a,b"):
        refused = problem(client.put(f"/v1/items/{item_id}", json={"text": "a"}), 400)
        assert refused["code"] == "invalid_item_id"
    for item_id in ("A.z_0:9@-", "x" * 200):
        assert client.put(f"/v1/items/{item_id}", json={"text": "a"}).status_code == 201


def test_a_file_that_is_no_media_is_named_as_its_sender_does(
    client: TestClient[Any], small: SmallCollection, tmp_path: Path
) -> None:
    refused = problem(put_file(client, "x", b"\0\1\2"), 422)
    assert "sent.bin" in refused["detail"] or "unrecog" in refused["context"]["reason"]
    broken = problem(put_file(client, "x", png(tmp_path, "red")[:60]), 422)
    assert broken["context"]["reason"] in ("truncated", "corrupt")
    assert "blobs" not in broken["detail"]
    problem(client.get("/v1/items/x"), 404)
    assert list((small.data_dir.blobs / "in").iterdir()) == []


def test_forms_and_bodies_of_other_kinds_are_refused(
    client: TestClient[Any], tmp_path: Path
) -> None:
    files = {"file": png(tmp_path, "red")}
    wrong = client.put("/v1/items/x", files=files, data={"requests": "{}"})
    assert "requests" in problem(wrong, 400)["detail"]
    wrong = client.put("/v1/items/x", files=files, data={"request": '{"attribute": {}}'})
    assert "attribute" in problem(wrong, 400)["detail"]
    problem(client.put("/v1/items/x", files={"fil": b"x"}), 400)
    headers = {"content-type": "text/plain"}
    problem(client.put("/v1/items/x", content=b'{"text": "a"}', headers=headers), 415)
    headers = {"content-type": "application/json"}
    problem(client.put("/v1/items/x", content=b'{"text": ', headers=headers), 400)
    problem(client.put("/v1/items/x", content=b"", headers=headers), 400)
    problem(client.put("/v1/items/x", json={"text": "a", "collection": "y"}), 404)
    problem(put_file(client, "x", bytes(200_000)), 413)


def test_deleted_items_are_gone_at_once_and_may_come_back(client: TestClient[Any]) -> None:
    assert client.put("/v1/items/brief", json={"text": "a lantern"}).status_code == 201
    gone = client.delete("/v1/items/brief")
    assert (gone.status_code, gone.content) == (204, b"")
    assert "brief" not in found(client, "lantern", "passages")
    problem(client.get("/v1/items/brief"), 404)
    problem(client.delete("/v1/items/brief"), 404)
    problem(client.delete("/v1/items/a b"), 400)
    problem(client.delete("/v1/items/red-1?collection=x"), 404)
    again = client.put("/v1/items/brief", json={"text": "a lantern"})
    assert again.status_code == 201
    assert found(client, "lantern", "passages", 1) == ["brief"]


def test_deletions_of_nothing_are_no_change(
    client: TestClient[Any], small: SmallCollection
) -> None:
    before = small.catalog.change_seq("small")
    problem(client.delete("/v1/items/nobody"), 404)
    assert small.catalog.change_seq("small") == before


def test_writes_survive_reindex_and_rollback(
    client: TestClient[Any], small: SmallCollection
) -> None:
    reindex(small.catalog, small.data_dir, small.config, small.identities())
    assert client.put("/v1/items/late", json={"text": "a comet"}).status_code == 201
    assert client.delete("/v1/items/story-2").status_code == 204
    reindex(small.catalog, small.data_dir, small.config, small.identities())
    for path in ("/v1/items", "/v1/rollback"):
        if path.endswith("rollback"):
            assert client.post(path, json={}).json()["delta"] == 2
        assert found(client, "comet", "passages", 1) == ["late"]
        assert "story-2" not in found(client, "green green grass", "passages")


def test_writes_do_not_wait_for_whoever_holds_the_writer_lock(
    client: TestClient[Any], small: SmallCollection
) -> None:
    with writer_lock(small.data_dir, "small", "kindred ingest"):
        assert client.put("/v1/items/now", json={"text": "a heron"}).status_code == 201
        assert client.delete("/v1/items/story-1").status_code == 204
        assert found(client, "heron", "passages", 1) == ["now"]


def test_nothing_is_changed_for_whoever_reaches_an_open_server(
    reachable_client: TestClient[Any],
) -> None:
    client = reachable_client
    assert problem(client.put("/v1/items/a", json={"text": "b"}), 403)["code"] == "not_allowed"
    assert problem(client.delete("/v1/items/red-1"), 403)["code"] == "not_allowed"
    assert client.get("/v1/items/red-1").status_code == 200


def test_the_bodies_of_a_write_are_documented(client: TestClient[Any]) -> None:
    operation = client.get("/schema").json()["paths"]["/v1/items/{item_id}"]["put"]
    content = operation["requestBody"]["content"]
    assert set(content) == {"application/json", "multipart/form-data"}
    body = content["application/json"]["schema"]
    assert {"text", "channels", "attributes"} <= set(body["properties"])
    assert "$ref" not in json.dumps(content)
    assert {"200", "201", "400", "409", "415", "422", "429"} <= set(operation["responses"])
    names = {parameter["name"] for parameter in operation["parameters"]}
    assert names == {"item_id", "Idempotency-Key", "Prefer"}


class TestKeys:
    def put(self, client: TestClient[Any], key: str, text: str, item_id: str = "kept") -> Any:
        headers = {"Idempotency-Key": key}
        return client.put(f"/v1/items/{item_id}", json={"text": text}, headers=headers)

    def test_a_repeated_request_is_answered_alike_and_done_once(
        self, client: TestClient[Any], small: SmallCollection
    ) -> None:
        first = self.put(client, "k1", "a kite")
        seq = small.catalog.change_seq("small")
        again = self.put(client, "k1", "a kite")
        assert (first.status_code, again.status_code) == (201, 201)
        assert again.json() == first.json()
        assert again.headers["location"] == first.headers["location"]
        assert "idempotency-replayed" not in first.headers
        assert again.headers["idempotency-replayed"] == "true"
        assert small.catalog.change_seq("small") == seq
        assert self.put(client, "k2", "a kite").status_code == 200

    def test_a_key_belongs_to_one_request(self, client: TestClient[Any], tmp_path: Path) -> None:
        assert self.put(client, "k", "a kite").status_code == 201
        for answer in (
            self.put(client, "k", "a crow"),
            self.put(client, "k", "a kite", "other"),
            client.delete("/v1/items/kept", headers={"Idempotency-Key": "k"}),
        ):
            assert problem(answer, 422)["code"] == "idempotency_key_reused"
        assert client.get("/v1/items/kept/media").text == "a kite"

    def test_uploads_and_deletions_take_keys(self, client: TestClient[Any], tmp_path: Path) -> None:
        headers = {"Idempotency-Key": "u"}
        files = {"file": ("a.png", png(tmp_path, "red"))}
        first = client.put("/v1/items/u", files=files, headers=headers)
        assert client.put("/v1/items/u", files=files, headers=headers).json() == first.json()
        other = {"file": ("a.png", png(tmp_path, "blue"))}
        problem(client.put("/v1/items/u", files=other, headers=headers), 422)
        headers = {"Idempotency-Key": "d"}
        assert client.delete("/v1/items/u", headers=headers).status_code == 204
        assert client.delete("/v1/items/u", headers=headers).status_code == 204
        problem(client.delete("/v1/items/u"), 404)

    def test_a_key_that_is_worked_on_says_when_to_ask_again(
        self, client: TestClient[Any], small: SmallCollection
    ) -> None:
        body = PutItem(text="a kite")
        claim = KeyClaim("small", "k", request_digest("put", "kept", body, False), "other", 60.0)
        live = LiveWrites(small.catalog.engine)
        assert live.claim(claim) is None
        busy = self.put(client, "k", "a kite")
        assert problem(busy, 409)["code"] == "idempotency_key_in_use"
        assert busy.headers["retry-after"]
        problem(client.get("/v1/items/kept"), 404)
        live.release(claim)
        assert self.put(client, "k", "a kite").status_code == 201

    def test_what_failed_may_be_tried_again_under_its_key(self, client: TestClient[Any]) -> None:
        headers = {"Idempotency-Key": "later"}
        problem(client.delete("/v1/items/kept", headers=headers), 404)
        assert self.put(client, "k", "a kite").status_code == 201
        assert client.delete("/v1/items/kept", headers=headers).status_code == 204

    @pytest.mark.parametrize("key", ["", "a b", "x" * 256])
    def test_keys_have_a_form(self, client: TestClient[Any], key: str) -> None:
        assert "Idempotency-Key" in problem(self.put(client, key, "a"), 400)["detail"]
