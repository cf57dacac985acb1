"""The pages as a server sends them."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient
from PIL import Image

from encoders.media.sandbox import DecodeSandbox
from encoders.serving.errors import Overloaded
from search_api.app import create_app
from search_api.query_vectors import LocalQueryEncoder
from search_api.settings import Settings
from search_api.web import pages
from tests.search_api.small_collection import SmallCollection
from tests.search_api.test_app import problem

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def html(response: Any, status: int = 200) -> str:
    assert response.status_code == status, response.text
    assert response.headers["content-type"].startswith("text/html")
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|style=", response.text) is None
    return str(response.text)


def send(client: TestClient[Any], name: str, content: bytes, **fields: str) -> Any:
    return client.post(
        "/questions", files={"file": (name, content)}, data=fields, follow_redirects=False
    )


@pytest.fixture
def red_png(tmp_path: Path) -> bytes:
    Image.new("RGB", (60, 40), (255, 0, 0)).save(tmp_path / "question.png")
    return (tmp_path / "question.png").read_bytes()


def test_the_start_page_says_what_there_is(client: TestClient[Any]) -> None:
    text = html(client.get("/"))
    assert re.search(r"<b>4</b>\s*pictures", text)
    assert re.search(r"<b>2</b>\s*texts", text)
    assert "poppy field" in text


def test_an_empty_collection_says_how_to_fill_it(tmp_path: Path) -> None:
    collection = SmallCollection(tmp_path)
    settings = Settings(
        data_dir=str(collection.data_dir.root),
        models_dir=str(tmp_path),
        collection=str(collection.config_path),
    )
    with DecodeSandbox() as sandbox:
        encoder = LocalQueryEncoder(collection.loader, collection.config, sandbox)
        with TestClient(create_app(settings, make_encoder=lambda *_: encoder)) as client:
            assert "kindred ingest" in html(client.get("/"))
            assert "kindred ingest" in html(client.get("/?q=red"))
    collection.close()


def test_results_hold_the_words_escaped(client: TestClient[Any]) -> None:
    text = html(client.get("/", params={"q": '<script>alert("red")</script>'}))
    assert "<script>alert" not in text
    assert "&lt;script&gt;" in text


def test_nothing_found_leads_out_of_the_filters(client: TestClient[Any]) -> None:
    text = html(client.get("/?q=red&a.language=xx"))
    assert "Nothing found" in text
    assert 'href="/?q=red"' in text


def test_more_results_ask_for_twice_as_many(client: TestClient[Any]) -> None:
    assert "/?q=red&amp;limit=4#r3" in html(client.get("/?q=red&limit=2"))
    assert "More results" not in html(client.get("/?q=red"))


def test_players_load_nothing_before_they_are_used(client: TestClient[Any]) -> None:
    text = html(client.get("/?q=low&medium=audio"))
    players = re.findall(r"<audio[^>]*>", text)
    assert players
    assert all('preload="none"' in player and "#t=" in player for player in players)


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/?q=red&a.year.from=abc", 400, "expected a whole number"),
        ("/?q=red&medium=smell", 400, "smell"),
        ("/?item=nobody", 404, "nobody"),
        ("/?item=a%20b", 400, "a b"),
        (f"/?file={'0' * 64}", 410, "not kept any more"),
        ("/?q=" + "x" * 2001, 400, "at most 2000"),
        ("/item/nobody", 404, "no item"),
        ("/item/a%20b", 400, "a b"),
        (f"/questions/{'0' * 64}", 410, "not kept any more"),
    ],
)
def test_errors_are_pages(client: TestClient[Any], path: str, status: int, said: str) -> None:
    assert said in html(client.get(path), status)


def test_what_has_no_route_is_a_page_for_browsers_and_a_problem_for_programs(
    client: TestClient[Any],
) -> None:
    assert "no such page" in html(client.get("/nowhere", headers=BROWSER), 404)
    problem(client.get("/nowhere"), 404)
    problem(client.get("/v1/nowhere", headers=BROWSER), 404)
    problem(client.get("/v1/items/nobody", headers=BROWSER), 404)


def test_a_busy_server_says_when_to_come_back(
    client: TestClient[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> Any:
        raise Overloaded("256 requests wait already")

    monkeypatch.setattr(client.app.state.service.encoder, "encode_text", fail)
    response = client.get("/?q=red")
    assert "Kindred is busy" in html(response, 429)
    assert response.headers["retry-after"] == "1"
    shown = html(client.get("/item/red-1?q=red"))
    assert "poppy field" in shown
    assert "cannot be told just now" in shown


def test_a_sent_file_becomes_an_address_that_keeps_working(
    client: TestClient[Any], red_png: bytes
) -> None:
    response = send(client, "my <poppy>.png", red_png, filters="medium=image&a.year.from=2000")
    assert response.status_code == 303
    address = response.headers["location"]
    assert address.endswith("&name=my+%3Cpoppy%3E.png&medium=image&a.year.from=2000")
    for _ in range(2):
        text = html(client.get(address))
        assert "my &lt;poppy&gt;.png" in text
        assert "poppy field" in text
    sha256 = address.split("file=")[1][:64]
    sent_back = client.get(f"/questions/{sha256}")
    assert sent_back.content == red_png
    assert "sandbox" in sent_back.headers["content-security-policy"]
    thumbnail = client.get(f"/questions/{sha256}/thumbnail")
    assert thumbnail.headers["content-type"] == "image/webp"


def test_a_sent_page_is_never_shown_as_a_page(client: TestClient[Any]) -> None:
    response = send(client, "evil.html", b"<!doctype html><title>red</title><script>1</script>red")
    assert response.status_code == 303
    sha256 = response.headers["location"].split("file=")[1][:64]
    assert client.get(f"/questions/{sha256}").headers["content-type"].startswith("text/plain")


def test_files_that_cannot_be_searched_with_are_refused_with_the_reason(
    client: TestClient[Any], red_png: bytes
) -> None:
    assert "has no bytes" in html(send(client, "a.png", b""), 422)
    assert "playlist" in html(send(client, "a.mp3", b"#EXTM3U\nhttp://example.com/a.ts"), 422)
    assert "too large" in html(send(client, "a.png", bytes(100_001)), 413)
    assert "too large" in html(send(client, "a.png", bytes(1_200_000)), 413)
    html(client.post("/questions", data={"filters": ""}), 400)
    elsewhere = client.post(
        "/questions", files={"file": ("a.png", red_png)}, headers={"sec-fetch-site": "cross-site"}
    )
    assert "own pages only" in html(elsewhere, 400)


def test_files_come_from_this_page_also_where_browsers_say_only_the_origin(
    client: TestClient[Any], red_png: bytes
) -> None:
    for origin, status in (("http://testserver.local", 303), ("http://evil.example", 400)):
        sent = client.post(
            "/questions",
            files={"file": ("a.png", red_png)},
            headers={"origin": origin, "host": "testserver.local"},
            follow_redirects=False,
        )
        assert sent.status_code == status
    for origin in ("null", "http://[", ""):
        headers = {"origin": origin}
        html(client.post("/questions", files={"file": ("a", red_png)}, headers=headers), 400)


def test_what_is_not_kept_is_gone_whatever_the_asker_has(client: TestClient[Any]) -> None:
    for name in ("0" * 64, "a%0d%0aSet-Cookie:b=1", "%e4%b8%ad"):
        response = client.get(f"/questions/{name}", headers={"if-none-match": "*"})
        assert "not kept any more" in html(response, 410)
        assert "etag" not in response.headers


def test_what_can_be_read_can_be_asked_about(client: TestClient[Any]) -> None:
    for path in ("/", "/?q=red", "/item/red-1"):
        assert client.head(path).status_code == 200
    assert client.head("/item/nobody").status_code == 404


def test_an_item_page_waits_for_no_encoder(
    client: TestClient[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(*_: Any) -> Any:
        await asyncio.sleep(60)

    monkeypatch.setattr(client.app.state.service.encoder, "encode_text", hang)
    monkeypatch.setattr(pages, "MOMENTS_SECONDS", 0.05)
    assert "poppy field" in html(client.get("/item/red-1?q=red"))


@pytest.mark.parametrize("t", ["nan", "-3", "abc", "inf", "", "1e400"])
def test_an_odd_instant_is_the_beginning(client: TestClient[Any], t: str) -> None:
    assert "#t=" not in html(client.get(f"/item/red-1?t={t}&zz=1&t="))


def test_an_item_page_tells_everything(client: TestClient[Any]) -> None:
    text = html(client.get("/item/red-1"))
    for part in (
        "poppy field",
        "640 \u00d7 480",
        "red-1.png",
        "/v1/items/red-1/media",
        "/?item=red-1",
    ):
        assert part in text
    text = html(client.get("/item/story-1?q=red"))
    assert "<mark>red</mark> fox" in text
    assert text.index("fox") < text.index("blue moon")


def test_pages_ask_for_files_whose_names_change_with_their_content(client: TestClient[Any]) -> None:
    links = re.findall(r'"(/static/[^"]+)"', html(client.get("/")))
    assert len(links) == 3
    for link in links:
        response = client.get(link)
        assert response.status_code == 200
        assert "immutable" in response.headers["cache-control"]
        assert response.headers["x-content-type-options"] == "nosniff"
        html(client.get(re.sub("static/....", "static/0000", link)), 404)


def test_a_page_that_is_not_there_still_lets_one_search(client: TestClient[Any]) -> None:
    response = client.get("/nowhere", headers={"accept": "text/html"})
    assert response.status_code == 404
    assert 'name="q"' in response.text
