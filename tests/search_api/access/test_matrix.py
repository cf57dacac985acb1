"""Every route of the application, asked with every kind of key there is."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute
from litestar.testing import TestClient

from search_api.access.api_key import new_key
from search_api.access.guard import ACCESS, COOKIE
from search_api.access.key_file import KeyFile
from tests.search_api.small_collection import SmallCollection

OPENS = {
    "open": {"none", "garbled", "unknown", "wrong secret", "expired", "revoked"}
    | {"read", "write", "admin"},
    "read": {"read", "write", "admin"},
    "write": {"write", "admin"},
    "admin": {"admin"},
}

OPEN_PATHS = {"/healthz", "/readyz", "/login", "/logout", "/static/{digest}/{name}"}


@dataclass(frozen=True)
class Place:
    """A method of a route and what it says it needs."""

    method: str
    path: str
    access: Any


def places(app: Litestar) -> list[Place]:
    found = {
        Place(method, route.path_format, handler.opt.get(ACCESS))
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        for method in handler.http_methods
        if method != "OPTIONS"
    }
    return sorted(found, key=lambda place: (place.path, place.method))


@pytest.fixture
def tokens(small: SmallCollection) -> dict[str, str | None]:
    file = KeyFile(small.data_dir.keys)
    made: dict[str, str | None] = {"none": None, "garbled": "open sesame"}
    for scope in ("read", "write", "admin"):
        key, made[scope] = new_key(scope, scope)  # type: ignore[arg-type]
        file.add(key)
    key, made["expired"] = new_key("old", "admin", datetime.now(UTC) - timedelta(seconds=1))
    file.add(key)
    key, made["revoked"] = new_key("gone", "admin")
    file.add(key)
    file.revoke(key.key_id)
    _, made["unknown"] = new_key("of another server", "admin")
    admin = made["admin"]
    assert admin is not None
    made["wrong secret"] = admin[:-1] + ("A" if admin[-1] != "A" else "B")
    return made


@pytest.fixture
def asked(tokens: dict[str, str | None], client: TestClient[Any]) -> TestClient[Any]:
    """The API, once there are keys."""
    assert tokens
    return client


def test_every_route_says_who_may_ask_it(client: TestClient[Any]) -> None:
    found = places(client.app)
    assert len(found) > 30
    assert {place.access for place in found} == set(OPENS), found
    opened = {p.path for p in found if p.access == "open" and not p.path.startswith("/schema")}
    assert opened == OPEN_PATHS
    changing = {"POST", "PUT", "DELETE", "PATCH"}
    reading_posts = {
        "/v1/search",
        "/v1/search/media",
        "/v1/search/batch",
        "/v1/embeddings",
        "/questions",
        "/login",
        "/logout",
    }
    for place in found:
        if place.method in changing and place.path not in reading_posts:
            assert place.access in ("write", "admin"), place


def test_each_kind_of_key_opens_what_is_declared(
    asked: TestClient[Any], tokens: dict[str, str | None]
) -> None:
    num_asked = 0
    for place in places(asked.app):
        path = re.sub(r"\{[^}]*\}", "none", place.path)
        for kind, token in tokens.items():
            headers = {} if token is None else {"Authorization": f"Bearer {token}"}
            answer = asked.request(place.method, path, headers=headers, follow_redirects=False)
            num_asked += 1
            where = f"{place.method} {path} with {kind}: {answer.status_code} {answer.text[:200]}"
            if kind in OPENS[place.access]:
                # 401 is also what logging in with no key says.
                assert answer.status_code not in (401, 403) or place.path == "/login", where
            elif kind in ("read", "write"):
                assert answer.status_code == 403, where
            else:
                assert answer.status_code == 401, where
                assert answer.headers["www-authenticate"] == 'Bearer realm="kindred"'
    assert num_asked > 9 * 30


def test_a_cookie_opens_what_is_read_and_nothing_else(
    asked: TestClient[Any], tokens: dict[str, str | None]
) -> None:
    asked.cookies.set(COOKIE, str(tokens["admin"]))
    assert asked.get("/v1/items").status_code == 200
    assert asked.get("/").status_code == 200
    assert asked.delete("/v1/items/red-1").status_code == 401
    assert asked.post("/v1/takedown", json={"item_ids": ["red-1"]}).status_code == 401
    bearer = {"Authorization": f"Bearer {tokens['write']}"}
    assert asked.delete("/v1/items/red-1", headers=bearer).status_code == 204


@pytest.mark.parametrize("path", ["/v1/items/new", "/v1/search/media", "/v1/search"])
def test_nothing_of_a_body_is_read_before_the_key_is_known(
    asked: TestClient[Any], path: str
) -> None:
    scope: Any = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http",
        "method": "PUT" if "items" in path else "POST", "path": path, "raw_path": path.encode(),
        "query_string": b"", "root_path": "", "client": ("127.0.0.1", 1), "server": ("h", 80),
        "headers": [(b"content-type", b"application/json"), (b"content-length", b"9000000000")],
    }  # fmt: skip
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("the body was asked for")

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(asked.app(scope, receive, send))
    assert sent[0]["status"] == 401


def test_a_revoked_key_is_refused_from_the_next_request_on(
    asked: TestClient[Any], small: SmallCollection
) -> None:
    file = KeyFile(small.data_dir.keys)
    key, token = new_key("short-lived", "read")
    file.add(key)
    headers = {"Authorization": f"Bearer {token}"}
    assert asked.get("/v1/items", headers=headers).status_code == 200
    file.revoke(key.key_id)
    refused = asked.get("/v1/items", headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (401, "not_authenticated")
    assert "revoked" in refused.json()["detail"]


def test_a_damaged_file_of_keys_lets_nobody_in(
    asked: TestClient[Any], small: SmallCollection, tokens: dict[str, str | None]
) -> None:
    small.data_dir.keys.write_text("{}")
    headers = {"Authorization": f"Bearer {tokens['admin']}"}
    refused = asked.get("/v1/items", headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (503, "keys_unreadable")
    assert str(small.data_dir.root) not in refused.text
    assert asked.get("/healthz").status_code == 200


def test_keys_that_vanish_from_a_reachable_server_let_nobody_in(
    reachable_client: TestClient[Any], small: SmallCollection
) -> None:
    assert reachable_client.get("/v1/items").status_code == 200
    key, token = new_key("any", "read")
    KeyFile(small.data_dir.keys).add(key)
    assert reachable_client.get("/v1/items").status_code == 401
    headers = {"Authorization": f"Bearer {token}"}
    assert reachable_client.get("/v1/items", headers=headers).status_code == 200
