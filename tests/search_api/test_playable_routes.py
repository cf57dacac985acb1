"""What browsers can play, and pictures of videos, over HTTP."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient
from PIL import Image

from encoders.media.rejection import MediaRejected
from encoders.media.sandbox import DecodeSandbox
from encoders.serving.errors import BeingPrepared
from encoders.serving.version_maker import VersionRequest
from search_api.app import create_app
from search_api.query_vectors import LocalQueryEncoder
from search_api.settings import Settings
from tests.search_api.test_app import problem
from tests.search_api.web.gallery import Gallery, fill_gallery


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    opened = Gallery(tmp_path_factory.mktemp("gallery"))
    fill_gallery(opened)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def client(gallery: Gallery) -> Iterator[TestClient[Any]]:
    settings = Settings(
        data_dir=str(gallery.data_dir.root),
        models_dir=str(gallery.folder),
        collection=str(gallery.config_path),
    )
    with DecodeSandbox() as sandbox:
        encoder = LocalQueryEncoder(gallery.loader, gallery.config, sandbox)
        with TestClient(create_app(settings, make_encoder=lambda *_: encoder)) as opened:
            yield opened


@pytest.mark.parametrize("item_id", ["red-1", "harbour-film", "harbour-talk"])
def test_what_browsers_play_comes_as_it_is(
    client: TestClient[Any], gallery: Gallery, item_id: str
) -> None:
    item = gallery.catalog.item("small", item_id)
    assert item is not None
    response = client.get(f"/v1/items/{item_id}/playable")
    assert response.status_code == 200
    assert response.content == Path(item.location).read_bytes()
    assert response.headers["content-type"] in ("image/png", "video/mp4", "audio/wav")
    assert "max-age" in response.headers["cache-control"]


def test_everything_else_is_made_once_and_comes_in_parts(
    client: TestClient[Any], gallery: Gallery
) -> None:
    whole = client.get("/v1/items/harbour-tape/playable")
    assert whole.status_code == 200
    assert whole.headers["content-type"] == "video/mp4"
    assert whole.content[4:8] == b"ftyp"
    assert whole.content.index(b"moov") < whole.content.index(b"mdat")
    part = client.get("/v1/items/harbour-tape/playable", headers={"range": "bytes=4-7"})
    assert (part.status_code, part.content) == (206, b"ftyp")
    etag = {"if-none-match": whole.headers["etag"]}
    assert client.get("/v1/items/harbour-tape/playable", headers=etag).status_code == 304
    versions = [path for path in gallery.data_dir.playable.rglob("*.mp4") if path.is_file()]
    assert len(versions) == 1


def test_while_it_is_made_the_answer_says_when_to_ask_again(
    client: TestClient[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow(_request: VersionRequest) -> str:
        raise BeingPrepared("it is being made")

    playables = client.app.state.service.playables
    monkeypatch.setattr(playables, "_make", slow)
    monkeypatch.setattr(playables, "_kept", lambda _item: None)
    response = client.get("/v1/items/harbour-tape/playable")
    assert problem(response, 503)["code"] == "being_prepared"
    assert int(response.headers["retry-after"]) >= 1


def test_what_cannot_be_made_says_why(
    client: TestClient[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_request: VersionRequest) -> str:
        raise MediaRejected("corrupt", "its pictures are damaged")

    playables = client.app.state.service.playables
    monkeypatch.setattr(playables, "_make", fail)
    monkeypatch.setattr(playables, "_kept", lambda _item: None)
    assert problem(client.get("/v1/items/harbour-tape/playable"), 422)["context"] == {
        "reason": "corrupt"
    }


def test_a_text_has_nothing_to_play(client: TestClient[Any]) -> None:
    assert problem(client.get("/v1/items/story-1/playable"), 404)["code"] == "not_playable"


def test_a_version_of_a_file_that_is_gone_still_plays_until_it_has_to_be_made(
    client: TestClient[Any], gallery: Gallery
) -> None:
    item = gallery.catalog.item("small", "harbour-tape")
    assert item is not None
    client.get("/v1/items/harbour-tape/playable")
    path = Path(item.location)
    hidden = path.rename(path.with_suffix(".hidden"))
    try:
        assert client.get("/v1/items/harbour-tape/playable").status_code == 200
        for version in gallery.data_dir.playable.rglob("*.mp4"):
            version.unlink()
        problem(client.get("/v1/items/harbour-tape/playable"), 410)
    finally:
        hidden.rename(path)


def test_a_video_has_a_picture_of_every_instant(client: TestClient[Any]) -> None:
    first, same, later = (
        client.get(f"/v1/items/harbour-film/thumbnail?at={at}") for at in ("1.02", "1.04", "5")
    )
    assert first.status_code == later.status_code == 200
    assert first.content == same.content != later.content
    assert first.headers["etag"] == same.headers["etag"] != later.headers["etag"]
    with Image.open(BytesIO(first.content)) as picture:
        assert (picture.format, picture.size) == ("WEBP", (160, 120))
    beyond = client.get("/v1/items/harbour-film/thumbnail?at=9999")
    assert beyond.status_code == 200
    for wrong in ("-1", "nan", "inf", "soon"):
        problem(client.get(f"/v1/items/harbour-film/thumbnail?at={wrong}"), 400)
