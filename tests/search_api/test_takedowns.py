"""Taking items down over HTTP: gone from every answer, page, file and cache."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from encoders.media.sandbox import DecodeSandbox
from indexer.lock import writer_lock
from search_api.app import create_app
from search_api.query_vectors import LocalQueryEncoder
from search_api.settings import Settings
from tests.search_api.small_collection import SmallCollection
from tests.search_api.test_app import problem, search
from tests.search_api.test_snapshots import publish, until_served
from tests.search_api.web.gallery import Gallery, fill_gallery


def take_down(client: TestClient[Any], *item_ids: str, **body: Any) -> Any:
    response = client.post("/v1/takedown", json={"item_ids": list(item_ids), **body})
    assert response.status_code == 200, response.text
    return response.json()


def found(client: TestClient[Any], text: str = "red") -> set[str]:
    return {hit["item_id"] for hit in search(client, query={"text": text}, limit=50)["hits"]}


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline, "not so after 30 s"
        time.sleep(0.02)


def item_addresses(item_id: str) -> list[str]:
    api = f"/v1/items/{item_id}"
    parts = ("", "/media", "/playable", "/thumbnail", "/transcript", "/similar")
    return [*(api + part for part in parts), f"/item/{item_id}"]


@pytest.fixture
def other_worker(small: SmallCollection) -> Iterator[TestClient[Any]]:
    """Another process of the same server, as far as its view is concerned."""
    settings = Settings(
        data_dir=str(small.data_dir.root),
        models_dir=str(small.folder),
        collection=str(small.config_path),
    )
    with DecodeSandbox() as sandbox:
        encoder = LocalQueryEncoder(small.loader, small.config, sandbox)
        with TestClient(create_app(settings, make_encoder=lambda *_: encoder)) as opened:
            yield opened


def test_the_worker_that_is_asked_hides_it_at_once(client: TestClient[Any]) -> None:
    assert {"red-1", "red-2"} <= found(client)
    receipt = take_down(client, "red-1", "nobody", reason="a claim", requested_by="legal")
    assert "red-1" not in found(client)
    assert "red-2" in found(client)
    for address in item_addresses("red-1"):
        assert client.get(address).status_code == 404, address
    assert "poppy field" not in client.get("/?q=red").text
    assert "red-1" not in client.get("/v1/items").text
    assert receipt["unknown"] == ["nobody"]
    assert [(item["item_id"], item["state"]) for item in receipt["items"]] == [
        ("nobody", "unknown"),
        ("red-1", "removed"),
    ]
    assert (receipt["requested_by"], receipt["reason"]) == ("legal", "a claim")
    assert receipt["erased_at"] is None
    assert receipt["erased_by"]["further_snapshots"] == 1
    assert client.get(f"/v1/takedowns/{receipt['takedown_id']}").json() == receipt


def test_all_workers_and_snapshots_hide_it(
    client: TestClient[Any], other_worker: TestClient[Any], small: SmallCollection
) -> None:
    first = publish(small)
    second = publish(small)
    for worker in (client, other_worker):
        until_served(worker, second)
    receipt = take_down(client, "red-1")
    assert [item["item_id"] for item in receipt["items"]] == ["red-1"]
    assert receipt["erased_by"]["snapshots"] == [first, second]
    assert other_worker.get("/v1/items/red-1").status_code == 404
    until(lambda: "red-1" not in found(other_worker))
    client.post("/v1/rollback", json={})
    for worker in (client, other_worker):
        until_served(worker, first)
        assert "red-1" not in found(worker)
        problem(worker.post("/v1/search", json={"query": {"item_id": "red-1"}}), 404)


def test_purging_leaves_no_byte_in_the_data_folder(
    client: TestClient[Any], small: SmallCollection
) -> None:
    small.text("secret-1", ["whispering zeppelin"], title="unheard of")
    small.picture("secret-2", "green", title="unseen")
    words = b"whispering zeppelin"
    live = publish(small)
    until_served(client, live)
    client.get("/v1/items/secret-2/thumbnail")
    encoder = small.loader.open(small.config.channels["passages"].encoder)
    vector = encoder.encode([words.decode()])[0].astype("<f2")
    needles = (words, b"unheard of", b"unseen", vector.tobytes(), vector.astype("<f4").tobytes())

    def holding() -> list[Path]:
        files = [path for path in small.data_dir.root.rglob("*") if path.is_file()]
        return [path for path in files if any(one in path.read_bytes() for one in needles)]

    assert holding()
    receipt = take_down(client, "secret-1", "secret-2", purge=True)
    assert holding() == []
    assert list(small.data_dir.thumbnails.rglob("*.webp")) == []
    assert receipt["erased_at"] is not None
    assert (receipt["held_by"], receipt["erased_by"]) == ([], None)
    assert f"snapshot {live}" in [entry["what"] for entry in receipt["erased"]]
    answer = search(client, query={"text": "red"})
    assert answer["snapshot"] not in (None, live)
    assert {"red-1", "red-2"} <= found(client)


def test_a_purge_that_must_wait_has_hidden_it_all_the_same(
    client: TestClient[Any], small: SmallCollection
) -> None:
    with writer_lock(small.data_dir, small.config.name, "a nightly job"):
        response = client.post("/v1/takedown", json={"item_ids": ["red-1"], "purge": True})
    body = problem(response, 409)
    assert body["code"] == "purge_refused"
    assert body["context"]["cause"] == "lock_held"
    assert "a nightly job" in body["detail"]
    assert "red-1" not in found(client)
    receipt = client.get(f"/v1/takedowns/{body['context']['takedown']}").json()
    assert receipt["erased_at"] is None


def test_requests_that_do_not_fit_change_nothing(client: TestClient[Any]) -> None:
    for body in (
        {},
        {"item_ids": []},
        {"item_ids": ["red-1"], "purged": True},
        {"item_ids": ["red-1"], "reason": "x" * 3000},
        {"item_ids": ["red-1", "no such form/"]},
    ):
        problem(client.post("/v1/takedown", json=body), 400)
    unserved = {"item_ids": ["red-1"], "collection": "other"}
    problem(client.post("/v1/takedown", json=unserved), 404)
    assert "red-1" in found(client)
    unknown = problem(client.get("/v1/takedowns/takedown-0"), 404)
    assert unknown["code"] == "unknown_takedown"


def test_nobody_from_elsewhere_may_take_down(
    reachable_client: TestClient[Any], small: SmallCollection
) -> None:
    refused = reachable_client.post("/v1/takedown", json={"item_ids": ["red-1"]})
    assert problem(refused, 403)["code"] == "not_allowed"
    assert "kindred keys create" in refused.json()["detail"]
    assert small.catalog.item(small.config.name, "red-1") is not None


def test_the_schema_names_what_can_go_wrong(client: TestClient[Any]) -> None:
    paths = client.get("/schema").json()["paths"]
    assert set(paths["/v1/takedown"]["post"]["responses"]) == {
        "200", "400", "401", "403", "404", "409", "429", "503",
    }  # fmt: skip
    assert "404" in paths["/v1/takedowns/{takedown_id}"]["get"]["responses"]


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    opened = Gallery(tmp_path)
    fill_gallery(opened)
    yield opened
    opened.close()


@pytest.fixture
def gallery_client(gallery: Gallery) -> Iterator[TestClient[Any]]:
    settings = Settings(
        data_dir=str(gallery.data_dir.root),
        models_dir=str(gallery.folder),
        collection=str(gallery.config_path),
    )
    with DecodeSandbox() as sandbox:
        encoder = LocalQueryEncoder(gallery.loader, gallery.config, sandbox)
        with TestClient(create_app(settings, make_encoder=lambda *_: encoder)) as opened:
            yield opened


def cached(gallery: Gallery) -> list[str]:
    """Return which caches hold something."""
    folders = gallery.data_dir.content_caches
    return [folder.name for folder in folders if any(p.is_file() for p in folder.rglob("*"))]


def test_what_caches_hold_of_it_is_erased(
    gallery: Gallery, gallery_client: TestClient[Any]
) -> None:
    """A small picture, a version that browsers play, and the same file as somebody's question."""
    client, item = gallery_client, gallery.catalog.item("small", "harbour-tape")
    assert item is not None
    until(lambda: client.get("/v1/items/harbour-tape/playable").status_code == 200)
    assert client.get("/v1/items/harbour-tape/thumbnail?at=0.5").status_code == 200
    client.post("/questions", files={"file": ("asked.avi", Path(item.location).read_bytes())})
    assert cached(gallery) == ["thumbnails", "playable", "questions"]
    receipt = take_down(client, "harbour-tape")
    assert cached(gallery) == []
    assert any("caches: 3" in entry["what"] for entry in receipt["erased"])
    assert client.get(f"/questions/{item.content_sha256}").status_code == 410
    for address in item_addresses("harbour-tape"):
        assert client.get(address).status_code == 404, address


@pytest.mark.parametrize("what", ["thumbnail", "playable"])
def test_nothing_is_kept_of_what_is_taken_down_while_it_is_made(
    gallery: Gallery, gallery_client: TestClient[Any], what: str
) -> None:
    service = gallery_client.app.state.service
    maker = service.thumbnails if what == "thumbnail" else service.playables
    make, made = maker._make, []

    async def slow_make(*arguments: Any, **named: Any) -> Any:
        made.append(await make(*arguments, **named))
        gallery.catalog.takedowns.take_down("small", ["harbour-tape"], requested_by="me")
        return made[0]

    maker._make = slow_make
    assert gallery_client.get(f"/v1/items/harbour-tape/{what}").status_code == 410
    assert made
    assert cached(gallery) == []


def test_what_was_taken_down_cannot_be_put_back(client: TestClient[Any]) -> None:
    stored = client.put("/v1/items/flyer", json={"text": "gone in an hour"})
    assert stored.status_code == 201, stored.text
    assert client.post("/v1/takedown", json={"item_ids": ["flyer"]}).status_code == 200
    again = client.put("/v1/items/flyer", json={"text": "something else"})
    assert (again.status_code, again.json()["code"]) == (409, "taken_down")
    renamed = client.put("/v1/items/leaflet", json={"text": "gone in an hour"})
    assert (renamed.status_code, renamed.json()["code"]) == (409, "taken_down")
    operations = [
        {"op": "put", "item_id": "flyer", "text": "something else"},
        {"op": "put", "item_id": "poster", "text": "nobody minds"},
    ]
    batch = client.post("/v1/items/batch", json={"operations": operations})
    assert [each["status"] for each in batch.json()["results"]] == [409, 201]
    job = client.post(
        "/v1/items/batch", json={"operations": operations}, headers={"Prefer": "respond-async"}
    )
    assert job.status_code == 202
    deadline = time.monotonic() + 60
    while (state := client.get(job.headers["location"]).json())["state"] not in ("done", "failed"):
        assert time.monotonic() < deadline, state
        time.sleep(0.05)
    assert [each["status"] for each in state["results"]] == [409, 200]


def test_the_uploaded_original_goes_at_once_unless_another_item_has_it(
    client: TestClient[Any], small: SmallCollection
) -> None:
    for item_id, text in (("flyer", "gone in an hour"), ("one", "both"), ("other", "both")):
        assert client.put(f"/v1/items/{item_id}", json={"text": text}).status_code == 201
    blobs = small.data_dir.blobs

    def uploads() -> set[str]:
        return {path.read_text() for path in blobs.glob("??/*")}

    assert uploads() == {"gone in an hour", "both"}
    receipt = take_down(client, "flyer")
    assert "uploaded originals: 1" in [each["what"] for each in receipt["erased"]]
    take_down(client, "one")
    assert uploads() == {"both"}
    assert client.get("/v1/items/other/media").text == "both"
    take_down(client, "other")
    assert uploads() == set()
