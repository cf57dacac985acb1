from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx
import pytest

from search_api.access.api_key import new_key
from search_api.access.key_file import KeyFile
from search_api.web.error_pages import own_path
from tests.search_api.web.gallery import Site
from tests.search_api.web.visitor import Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture
def token(site: Site) -> Iterator[str]:
    """A key that reads; while it is there, the site asks for one."""
    file = KeyFile(site.gallery.data_dir.keys)
    key, token = new_key("visitor", "read")
    file.add(key)
    yield token
    file.path.unlink()


def test_a_visitor_logs_in_and_gets_where_they_wanted(
    token: str, site: Site, browser: Browser
) -> None:
    with Visitor(browser, site.url) as visitor:
        page = visitor.open("/?q=red")
        assert page.url.startswith(f"{site.url}/login?next=")
        visitor.expected_statuses = {401}
        page.get_by_label("API key").fill("kindred_wrong")
        page.get_by_role("button", name="Log in").click()
        page.get_by_text("This API key is not known here").wait_for()
        page.get_by_label("API key").fill(token)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url(f"{site.url}/?q=red")
        page.locator(".card img").first.wait_for()
        assert page.locator(".card img").first.evaluate("each => each.naturalWidth") > 0

        page.get_by_role("link", name="API key").click()
        page.get_by_role("button", name="Forget it").click()
        page.wait_for_url(f"{site.url}/login")
        assert "/login" in visitor.open("/").url


def test_a_browser_keeps_the_key_from_scripts_and_other_sites(token: str, site: Site) -> None:
    sent = httpx.post(f"{site.url}/login", data={"key": token, "next": "/"})
    cookie = sent.headers["set-cookie"].lower()
    assert sent.status_code == 303
    assert cookie.startswith(f"kindred_key={token.lower()};")
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "secure" not in cookie
    through_tls = httpx.post(
        f"{site.url}/login", data={"key": token}, headers={"X-Forwarded-Proto": "https"}
    )
    assert "secure" in through_tls.headers["set-cookie"].lower()
    elsewhere = {"Origin": "https://elsewhere.example"}
    refused = httpx.post(f"{site.url}/login", data={"key": token}, headers=elsewhere)
    assert refused.status_code == 400


@pytest.mark.parametrize(
    "path",
    ["//elsewhere.example", "https://elsewhere.example", "/\\elsewhere.example", "", "/a\r\nb"],
)
def test_logging_in_leads_to_this_server_only(token: str, site: Site, path: str) -> None:
    assert own_path(path) == "/"
    sent = httpx.post(f"{site.url}/login", data={"key": token, "next": path})
    assert sent.headers["location"] == "/"
    assert "elsewhere" not in httpx.get(f"{site.url}/login?next={quote(path)}").text


def test_own_paths_stay(token: str) -> None:
    assert own_path("/?q=red+flower&limit=20") == "/?q=red+flower&limit=20"
