"""The files of items over HTTP."""

import os
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient
from PIL import Image

from indexer.catalog.records import ItemRecord
from tests.search_api.small_collection import SmallCollection
from tests.search_api.test_app import problem


def test_a_file_comes_back_byte_for_byte(client: TestClient[Any], small: SmallCollection) -> None:
    response = client.get("/v1/items/red-1/media")
    assert response.status_code == 200
    assert response.content == (small.media / "red-1.png").read_bytes()
    assert response.headers["content-type"] == "image/png"
    assert response.headers["accept-ranges"] == "bytes"
    assert response.headers["content-length"] == str(len(response.content))


def test_a_range_comes_back_as_that_part(client: TestClient[Any], small: SmallCollection) -> None:
    whole = (small.media / "red-1.png").read_bytes()
    response = client.get("/v1/items/red-1/media", headers={"range": "bytes=10-19"})
    assert response.status_code == 206
    assert response.content == whole[10:20]
    assert response.headers["content-range"] == f"bytes 10-19/{len(whole)}"
    tail = client.get("/v1/items/red-1/media", headers={"range": "bytes=-7"})
    assert tail.content == whole[-7:]


def test_a_range_beyond_the_end_is_416(client: TestClient[Any], small: SmallCollection) -> None:
    size = (small.media / "red-1.png").stat().st_size
    response = client.get("/v1/items/red-1/media", headers={"range": f"bytes={size}-"})
    problem(response, 416)
    assert response.headers["content-range"] == f"bytes */{size}"


def test_a_known_etag_saves_the_transfer(client: TestClient[Any]) -> None:
    etag = client.get("/v1/items/red-1/media").headers["etag"]
    for value in (etag, f'"x", W/{etag}', "*"):
        response = client.get("/v1/items/red-1/media", headers={"if-none-match": value})
        assert response.status_code == 304
        assert response.content == b""
    other = client.get("/v1/items/red-1/media", headers={"if-none-match": '"x"'})
    assert other.status_code == 200


def test_a_range_of_an_older_version_gives_the_whole_file(client: TestClient[Any]) -> None:
    headers = {"range": "bytes=0-3", "if-range": '"older"'}
    assert client.get("/v1/items/red-1/media", headers=headers).status_code == 200


def test_a_changed_or_missing_file_is_gone(client: TestClient[Any], small: SmallCollection) -> None:
    (small.media / "red-1.png").write_bytes(b"something else")
    problem(client.get("/v1/items/red-1/media"), 410)
    (small.media / "red-2.png").unlink()
    problem(client.get("/v1/items/red-2/media"), 410)


def test_a_pipe_in_place_of_a_file_holds_nobody_up(
    client: TestClient[Any], small: SmallCollection
) -> None:
    path = small.media / "red-1.png"
    path.unlink()
    os.mkfifo(path)
    problem(client.get("/v1/items/red-1/media"), 410)


def test_a_stored_page_cannot_act_as_a_page_of_this_server(client: TestClient[Any]) -> None:
    response = client.get("/v1/items/story-1/media")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert "sandbox" in response.headers["content-security-policy"]


def test_a_thumbnail_is_made_once_and_kept(client: TestClient[Any], small: SmallCollection) -> None:
    first = client.get("/v1/items/red-1/thumbnail")
    assert first.status_code == 200
    assert first.headers["content-type"] == "image/webp"
    with Image.open(BytesIO(first.content)) as picture:
        assert picture.format == "WEBP"
        assert max(picture.size) == 320
    (small.media / "red-1.png").unlink()
    assert client.get("/v1/items/red-1/thumbnail").content == first.content
    etag = {"if-none-match": first.headers["etag"]}
    assert client.get("/v1/items/red-1/thumbnail", headers=etag).status_code == 304


def test_an_item_without_a_picture_has_no_thumbnail(
    client: TestClient[Any], small: SmallCollection
) -> None:
    assert "has no picture" in problem(client.get("/v1/items/high-1/thumbnail"), 404)["detail"]
    (small.media / "blue-1.png").unlink()
    problem(client.get("/v1/items/blue-1/thumbnail"), 410)


def test_ids_that_look_like_paths_are_refused(client: TestClient[Any], tmp_path: Path) -> None:
    for path in ("..%2F..%2Fetc%2Fpasswd", "%2Fetc%2Fpasswd", "a%00b"):
        assert client.get(f"/v1/items/{path}/media").status_code in (400, 404)


def test_a_changed_file_never_becomes_the_thumbnail_of_what_was_taken_in(
    client: TestClient[Any], small: SmallCollection
) -> None:
    path = small.media / "red-1.png"
    taken_in, times = path.read_bytes(), path.stat()
    Image.new("RGB", (40, 40), "black").save(path)
    problem(client.get("/v1/items/red-1/thumbnail"), 410)
    path.write_bytes(taken_in)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    response = client.get("/v1/items/red-1/thumbnail")
    with Image.open(BytesIO(response.content)) as picture:
        assert max(picture.size) == 320


def test_a_thumbnail_that_cannot_be_kept_is_still_answered(
    client: TestClient[Any], small: SmallCollection
) -> None:
    small.data_dir.thumbnails.write_text("a file where the folder should be")
    assert client.get("/v1/items/red-1/thumbnail").status_code == 200


def test_a_file_is_sent_while_the_queue_of_searches_is_full(
    client: TestClient[Any], small: SmallCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only opening it may be refused: a file that broke off half-way looks like a broken file."""
    from search_api import routes

    opened = routes.items.open_media

    def fill_queue_after(item: ItemRecord) -> Any:
        media = opened(item)
        pool = client.app.state.service.pool
        monkeypatch.setattr(pool, "_max_pending", 0)
        return media

    monkeypatch.setattr(routes.items, "open_media", fill_queue_after)
    response = client.get("/v1/items/red-1/media")
    assert response.content == (small.media / "red-1.png").read_bytes()


@pytest.mark.parametrize("what", ["media", "playable", "thumbnail"])
def test_a_file_can_be_asked_about(client: TestClient[Any], what: str) -> None:
    whole = client.get(f"/v1/items/red-1/{what}")
    asked = client.head(f"/v1/items/red-1/{what}", headers={"range": "bytes=0-3"})
    assert asked.status_code == 200
    for name in ("content-length", "content-type", "etag", "content-security-policy"):
        assert asked.headers[name] == whole.headers[name]
    assert client.head(f"/v1/items/nobody/{what}").status_code == 404
