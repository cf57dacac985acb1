"""The HTTP API on fake encoders and a real catalog and live view."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient
from PIL import Image

from tests.search_api.small_collection import SmallCollection

PROBLEM = "application/problem+json"


def search(client: TestClient[Any], **body: Any) -> Any:
    response = client.post("/v1/search", json=body)
    assert response.status_code == 200, response.text
    return response.json()


def problem(response: Any, status: int) -> Any:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == PROBLEM
    body = response.json()
    assert body["status"] == status
    assert body["type"].startswith("urn:kindred:problem:")
    assert body["title"]
    return body


def png(folder: Path, colour: str) -> bytes:
    path = folder / "question.png"
    Image.new("RGB", (60, 40), colour).save(path)
    return path.read_bytes()


def test_search_answers_in_the_documented_form(client: TestClient[Any]) -> None:
    answer = search(client, query={"text": "high"}, channels=["sounds"], limit=2)
    assert set(answer) == {"hits", "next_cursor", "snapshot", "mode", "took_ms"}
    assert answer["next_cursor"] is None
    assert answer["mode"] == "exact"
    hit = answer["hits"][0]
    assert set(hit) == {
        "item_id",
        "modality",
        "score",
        "confidence",
        "location",
        "attributes",
        "moments",
    }
    assert hit["item_id"] == "high-1"
    assert set(hit["moments"][0]) == {"channel", "start_seconds", "stop_seconds", "score"}


def test_similar_gives_what_search_by_item_gives(client: TestClient[Any]) -> None:
    similar = client.get("/v1/items/red-1/similar?limit=5&channels=pictures,looks").json()
    searched = search(client, query={"item_id": "red-1"}, limit=5, channels=["pictures", "looks"])
    assert similar["hits"] == searched["hits"]
    assert similar["hits"][0]["item_id"] == "red-2"


def test_an_uploaded_file_is_a_question(
    client: TestClient[Any], small: SmallCollection, tmp_path: Path
) -> None:
    response = client.post(
        "/v1/search/media",
        files={"file": ("../../etc/passwd", png(tmp_path, "red"))},
        data={"request": json.dumps({"limit": 2, "channels": ["pictures", "looks"]})},
    )
    assert response.status_code == 200, response.text
    assert {hit["item_id"] for hit in response.json()["hits"]} == {"red-1", "red-2"}
    assert list((small.data_dir.run / "uploads").iterdir()) == []


def test_an_upload_without_options_takes_the_defaults(
    client: TestClient[Any], tmp_path: Path
) -> None:
    response = client.post("/v1/search/media", files={"file": ("a", png(tmp_path, "red"))})
    assert response.status_code == 200, response.text
    assert len(response.json()["hits"]) > 2


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        ({}, ["query"]),
        ({"query": {}}, ["exactly one of text, item_id", "neither"]),
        ({"query": {"text": "a", "item_id": "b"}}, ["exactly one", "text and item_id"]),
        ({"query": {"text": "   "}}, ["no words"]),
        ({"query": {"text": "x" * 2001}}, ["2000"]),
        ({"query": {"text": "a"}, "limit": 0}, ["limit", ">= 1"]),
        ({"query": {"text": "a"}, "limit": 201}, ["limit", "<= 200"]),
        ({"query": {"text": "a"}, "limit": "many"}, ["limit"]),
        ({"query": {"text": "a"}, "color": "red"}, ["color"]),
        ({"query": {"text": "a", "url": "http://x"}}, ["url"]),
        ({"query": {"text": "a"}, "channels": []}, ["channels"]),
        ({"query": {"text": "a"}, "channels": ["smell"]}, ["smell", "pictures"]),
        ({"query": {"text": "a"}, "filter": {"field": "x", "equals": 1}}, ["'x'", "language"]),
    ],
)
def test_a_wrong_request_is_refused_with_what_is_wrong(
    client: TestClient[Any], body: Any, parts: list[str]
) -> None:
    detail = problem(client.post("/v1/search", json=body), 400)["detail"]
    for part in parts:
        assert part in detail


def test_every_kind_of_error_is_a_problem(client: TestClient[Any], tmp_path: Path) -> None:
    problem(client.get("/nowhere"), 404)
    problem(client.get("/v1/search"), 405)
    problem(
        client.post("/v1/search", content=b"{", headers={"content-type": "application/json"}), 400
    )
    problem(client.post("/v1/search", content=b"\xff\xfe"), 400)
    problem(client.post("/v1/search", json={"query": {"item_id": "nobody"}}), 404)
    problem(client.post("/v1/search", json={"query": {"text": "a"}, "collection": "x"}), 404)
    problem(client.get("/v1/items/nobody"), 404)
    problem(client.get("/v1/items/a%20b"), 400)
    problem(client.get("/v1/items?limit=0"), 400)
    problem(client.get("/v1/items?medium=film"), 400)
    problem(client.get("/v1/items/red-1/similar?channels=smell"), 400)
    upload = {"file": ("a.png", png(tmp_path, "red")[:50])}
    rejected = problem(client.post("/v1/search/media", files=upload), 422)
    assert rejected["code"] == "media_rejected"
    assert rejected["context"]["reason"]


def test_json_nested_without_end_is_refused(client: TestClient[Any]) -> None:
    deep = '{"query":{"text":"a"},"filter":' + '{"not":' * 50_000 + "{}" + "}" * 50_001
    response = client.post(
        "/v1/search", content=deep.encode(), headers={"content-type": "application/json"}
    )
    assert "nested" in problem(response, 400)["detail"]


def test_bodies_beyond_the_limits_are_refused(client: TestClient[Any]) -> None:
    big = json.dumps({"query": {"text": "a" * 1_100_000}}).encode()
    problem(
        client.post("/v1/search", content=big, headers={"content-type": "application/json"}), 413
    )
    upload = client.post("/v1/search/media", files={"file": ("a", b"x" * 200_000)})
    assert "100000" in problem(upload, 413)["detail"]
    problem(client.post("/v1/search/media", files={"file": ("a", b"x" * 1_200_000)}), 413)


def test_an_upload_without_a_file_or_with_wrong_options_is_refused(
    client: TestClient[Any], tmp_path: Path
) -> None:
    problem(client.post("/v1/search/media", files={"other": ("a", b"x")}), 400)
    problem(client.post("/v1/search/media", data={"file": "text"}), 400)
    wrong = client.post(
        "/v1/search/media",
        files={"file": ("a", png(tmp_path, "red"))},
        data={"request": '{"query": {"text": "a"}}'},
    )
    assert "query" in problem(wrong, 400)["detail"]


def test_a_fault_of_the_server_gives_no_internals_away(
    client: TestClient[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret of the server")

    monkeypatch.setattr("indexer.catalog.catalog.Catalog.item", broken)
    body = problem(client.get("/v1/items/red-1"), 500)
    assert "secret" not in json.dumps(body)
    assert body["code"] == "internal_error"


def test_items_are_listed_page_by_page(client: TestClient[Any]) -> None:
    seen: list[str] = []
    after = ""
    while True:
        page = client.get(f"/v1/items?limit=3{after}").json()
        seen += [item["item_id"] for item in page["items"]]
        if page["next_after"] is None:
            break
        after = f"&after={page['next_after']}"
    assert seen == sorted(seen)
    assert len(seen) == 8
    images = client.get("/v1/items?medium=image").json()["items"]
    assert [item["item_id"] for item in images] == ["blue-1", "green-1", "red-1", "red-2"]


def test_an_item_is_shown_with_everything_stored(client: TestClient[Any]) -> None:
    item = client.get("/v1/items/red-2").json()
    assert item["modality"] == "image"
    assert item["format"] == "png"
    assert (item["width_px"], item["height_px"]) == (640, 480)
    assert item["attributes"] == {"language": "de", "year": 2002, "tags": ["flower", "summer"]}
    assert item["updated_at"]


def test_new_items_are_found_without_a_restart(
    client: TestClient[Any], small: SmallCollection
) -> None:
    small.text("story-9", ["purple rain"])
    for _ in range(100):
        answer = search(client, query={"text": "purple rain"}, channels=["passages"], limit=1)
        if answer["hits"][0]["item_id"] == "story-9":
            return
        time.sleep(0.02)
    raise AssertionError("the new item was never found")


def test_collections_say_what_they_hold(client: TestClient[Any]) -> None:
    (collection,) = client.get("/v1/collections").json()["collections"]
    assert collection["name"] == "small"
    assert collection["items"] == 8
    assert collection["channels"]["sounds"]["segments"] == 8
    assert collection["channels"]["looks"]["asked_with"] == ["image", "video"]
    assert collection["attributes"]["year"] == "int"


def test_health_readiness_and_metrics_answer(client: TestClient[Any]) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready"}
    search(client, query={"text": "red"})
    text = client.get("/metrics").text
    assert 'kindred_http_requests_total{method="POST",route="/v1/search",status="200"} 1.0' in text
    assert 'kindred_items{collection="small"} 8.0' in text


def test_openapi_documents_problems(client: TestClient[Any]) -> None:
    schema = client.get("/schema").json()
    search_post = schema["paths"]["/v1/search"]["post"]
    assert "200" in search_post["responses"]
    for status in ("400", "404", "413", "429", "503", "504"):
        assert PROBLEM in search_post["responses"][status]["content"]
    upload = schema["paths"]["/v1/search/media"]["post"]["requestBody"]["content"]
    assert "multipart/form-data" in upload
    assert client.get("/schema/openapi.json").json() == schema


def test_browsers_may_not_guess_types(client: TestClient[Any]) -> None:
    for path in ("/healthz", "/nowhere", "/v1/items/red-1"):
        assert client.get(path).headers["x-content-type-options"] == "nosniff"


def test_every_documented_error_is_a_problem(client: TestClient[Any]) -> None:
    paths = client.get("/schema").json()["paths"]
    for path, methods in paths.items():
        for operation in methods.values():
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    assert list(response["content"]) == ["application/problem+json"], path


def test_a_missing_body_and_an_unknown_part_are_named(
    client: TestClient[Any], tmp_path: Path
) -> None:
    headers = {"content-type": "application/json"}
    body = problem(client.post("/v1/search", content=b"", headers=headers), 400)
    assert body["detail"] == "the request has no body"
    files = {"file": png(tmp_path, "red")}
    response = client.post("/v1/search/media", files=files, data={"requests": "{}"})
    assert "requests" in problem(response, 400)["detail"]


def test_metrics_name_their_character_set_once(client: TestClient[Any]) -> None:
    assert client.get("/metrics").headers["content-type"].count("charset") == 1


def test_uploads_leave_nothing_behind(
    client: TestClient[Any], small: SmallCollection, tmp_path: Path
) -> None:
    client.post("/v1/search/media", files={"file": png(tmp_path, "red")})
    client.post("/v1/search/media", files={"file": b"not media"})
    assert list((small.data_dir.run / "uploads").iterdir()) == []
