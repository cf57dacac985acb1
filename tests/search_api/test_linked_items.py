"""Items that are given as URLs: off unless switched on, fetched by a job, stored as uploads are."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient
from structlog.testing import capture_logs

from encoders.errors import ConfigError
from encoders.media.sandbox import DecodeSandbox
from search_api import writes
from search_api.app import create_app
from search_api.linked_files import fetch_limits
from search_api.public_addresses import is_public
from search_api.query_vectors import LocalQueryEncoder
from search_api.settings import Settings
from search_api.url_fetch import FetchLimits
from tests.search_api.small_collection import SmallCollection
from tests.search_api.test_app import problem
from tests.search_api.test_batches_and_jobs import batch, finished, put
from tests.search_api.test_item_writes import found, png
from tests.search_api.url_server import UrlServer, moved, ok, serving

LOOPBACK = ip_address("127.0.0.1")


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[UrlServer]:
    answers = {
        "/red.png?key=secret": ok(png(tmp_path, "red"), "Content-Type: text/plain"),
        "/notes.md": ok(b"# A walrus\n\nand its ice"),
        "/noise.bin": ok(b"\0\1\2\3"),
        "/moved": moved("/red.png?key=secret"),
        "/inside": moved("http://metadata.example/latest"),
        "/gone": b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        "/huge": ok(b"x" * 100_001),
    }
    with serving(answers) as server:
        yield server


@pytest.fixture
def client(
    small: SmallCollection, origin: UrlServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TestClient[Any]]:
    """A server that may fetch from ``origin``, which stands for the public internet."""
    settings = Settings(
        data_dir=str(small.data_dir.root),
        models_dir=str(small.folder),
        collection=str(small.config_path),
        max_upload_bytes=100_000,
        fetch_urls=True,
    )
    limits = FetchLimits(
        max_bytes=settings.max_upload_bytes,
        max_seconds=20.0,
        ports=frozenset({80, origin.port}),
        allows=lambda address: address == LOOPBACK,
        resolve=lambda host, _: [LOOPBACK if host == "a.example" else ip_address("169.254.1.1")],
    )
    monkeypatch.setattr(writes, "fetch_limits", lambda _: limits)
    with DecodeSandbox() as sandbox:
        encoder = LocalQueryEncoder(small.loader, small.config, sandbox)
        with TestClient(create_app(settings, make_encoder=lambda *_: encoder)) as opened:
            yield opened


def link(origin: UrlServer, path: str) -> str:
    return f"http://a.example:{origin.port}{path}"


def test_a_file_is_fetched_by_a_job_and_kept_as_an_upload(
    client: TestClient[Any], origin: UrlServer, small: SmallCollection, tmp_path: Path
) -> None:
    body = {"url": link(origin, "/red.png?key=secret"), "attributes": {"title": "poppy"}}
    with capture_logs() as logged:
        accepted = client.put("/v1/items/linked", json=body)
        assert accepted.status_code == 202, accepted.text
        job = finished(client, accepted.headers["location"])
    assert job["state"] == "done", job
    assert job["results"][0]["segments"] == {"pictures": 1, "looks": 1, "titles": 1}
    assert "linked" in found(client, "red", "pictures", 3)
    item = client.get("/v1/items/linked").json()
    assert (item["modality"], item["format"]) == ("image", "png")
    assert client.get("/v1/items/linked/media").content == png(tmp_path, "red")
    stored = small.catalog.item("small", "linked")
    assert stored is not None
    assert stored.relative_path == link(origin, "/red.png")
    assert list((small.data_dir.blobs / "in").iterdir()) == []
    # What may be a key is kept no longer than the job waits, and never told.
    assert any(link(origin, "/red.png") in str(entry) for entry in logged)
    assert "secret" not in str(logged) + str(job)
    with closing(sqlite3.connect(small.data_dir.catalog_path)) as connection:
        assert "secret" not in "\n".join(connection.iterdump())


def test_a_batch_with_a_url_becomes_a_job_in_which_each_fails_alone(
    client: TestClient[Any], origin: UrlServer
) -> None:
    paths = ["/moved", "/notes.md", "/noise.bin", "/inside", "/gone", "/huge"]
    operations = [
        {"op": "put", "item_id": path.strip("/"), "url": link(origin, path)} for path in paths
    ]
    refused = {"op": "put", "item_id": "refused", "url": "http://127.1:80/"}
    accepted = batch(client, put("words", "a heron"), *operations, refused)
    assert accepted.status_code == 202, accepted.text
    results = finished(client, accepted.headers["location"])["results"]
    codes = [(each["status"], each.get("error", {}).get("code")) for each in results]
    assert codes == [
        (201, None),
        (201, None),
        (201, None),
        (422, "media_rejected"),
        (422, "url_refused"),
        (502, "fetch_failed"),
        (413, "upload_too_large"),
        (422, "url_refused"),
    ]
    assert link(origin, "/noise.bin") in results[3]["error"]["detail"]
    assert "169.254" not in str(results[4])
    assert client.get("/v1/items/notes.md").json()["format"] == "markdown"
    assert {"words", "notes.md"} <= set(found(client, "heron walrus", "passages", 5))


def test_what_was_taken_down_cannot_come_back_through_a_url(
    client: TestClient[Any], origin: UrlServer, small: SmallCollection
) -> None:
    first = client.put("/v1/items/one", json={"url": link(origin, "/moved")})
    assert finished(client, first.headers["location"])["state"] == "done"
    assert client.post("/v1/takedown", json={"item_ids": ["one"]}).status_code == 200
    again = client.put("/v1/items/two", json={"url": link(origin, "/moved")})
    (result,) = finished(client, again.headers["location"])["results"]
    assert (result["status"], result["error"]["code"]) == (409, "taken_down")
    assert not any(path.is_file() for path in small.data_dir.blobs.glob("??/*"))


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("ftp://a.example/", "url_refused"),
        ("http://me:secret@a.example/", "url_refused"),
        ("http://a.example:22/", "url_refused"),
    ],
)
def test_what_could_never_be_fetched_becomes_no_job(
    client: TestClient[Any], url: str, code: str
) -> None:
    refused = problem(client.put("/v1/items/x", json={"url": url}), 422)
    assert refused["code"] == code
    assert "secret" not in str(refused)


def test_attributes_are_checked_before_anything_is_fetched(
    client: TestClient[Any], origin: UrlServer
) -> None:
    body = {"url": link(origin, "/moved"), "attributes": {"year": "x"}}
    problem(client.put("/v1/items/x", json=body), 400)
    assert origin.requests == []


def test_fetching_is_off_unless_it_is_switched_on(
    small: SmallCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(data_dir=str(small.data_dir.root), models_dir=str(small.folder))
    assert fetch_limits(settings) is None
    monkeypatch.setenv("KINDRED_FETCH_URLS", "1")
    monkeypatch.setenv("KINDRED_FETCH_PORTS", "443,8443")
    limits = fetch_limits(Settings.from_environment())
    assert limits is not None
    assert (limits.ports, limits.allows) == ({443, 8443}, is_public)
    assert limits.max_bytes == Settings.from_environment().max_upload_bytes
    monkeypatch.setenv("KINDRED_FETCH_PORTS", "all")
    with pytest.raises(ConfigError, match="fetch_ports"):
        Settings.from_environment()
