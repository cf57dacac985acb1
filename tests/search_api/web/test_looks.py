"""The pages fit a phone, can be used by everybody, and say what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from encoders.serving.errors import EncoderUnavailable, Overloaded
from tests.search_api.web.gallery import Site
from tests.search_api.web.visitor import Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PAGES = {
    "start": "/",
    "results": "/?q=lighthouse&a.language=en,de&medium=image&medium=text&medium=video&medium=audio",
    "similar": "/?item=red-1",
    "nothing": "/?q=red&medium=audio&a.language=xx",
    "video": "/item/harbour-film?t=4&q=lighthouse",
    "sound": "/item/harbour-talk",
    "text": "/item/guide-1?q=harbour",
    "error": "/?q=red&a.year.from=abc",
    "missing": "/item/nobody",
}
ERRORS = {400, 404}
PHONE = {"width": 360, "height": 740}


@pytest.mark.parametrize("name", PAGES)
def test_nobody_is_kept_out(visitor: Visitor, name: str) -> None:
    visitor.expected_statuses = ERRORS
    page = visitor.open(PAGES[name])
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        serious = [
            (rule["id"], [node["html"] for node in rule["nodes"]])
            for rule in Axe().run(page).response["violations"]
            if rule["impact"] in ("serious", "critical")
        ]
        assert (scheme, serious) == (scheme, [])


@pytest.mark.parametrize("name", PAGES)
def test_a_phone_shows_the_page_without_scrolling_sideways(
    browser: Browser, site: Site, name: str
) -> None:
    with Visitor(browser, site.url, viewport=PHONE, is_mobile=True, has_touch=True) as visitor:
        visitor.expected_statuses = ERRORS
        page = visitor.open(PAGES[name])
        page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_every_place_can_be_reached_with_tab_and_is_seen(visitor: Visitor) -> None:
    page = visitor.open("/?q=poppy+field")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    seen = []
    for _ in range(25):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate(
                """() => {
                  const there = document.activeElement;
                  const shown = there.matches('.media input') ? there.nextElementSibling : there;
                  const box = there.closest('.box');
                  const outlines = [shown, box].filter(Boolean).map(
                    (each) => getComputedStyle(each).outlineStyle);
                  return [there.innerText || there.name || there.id, outlines.join(' ')];
                }"""
            )
        )
    names = [name for name, _ in seen]
    for wanted in ("q", "Search", "medium", "Filters", "Search with a file", "poppy field"):
        assert wanted in names
    assert [
        name for name, outlines in seen if name and not outlines.replace("none", "").strip()
    ] == []


@pytest.mark.parametrize(
    ("error", "status", "headline"),
    [
        (Overloaded("256 requests wait already"), 429, "Kindred is busy"),
        (EncoderUnavailable("it is starting"), 503, "Kindred is not ready yet"),
    ],
)
def test_a_search_that_fails_now_can_be_repeated(
    visitor: Visitor,
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    status: int,
    headline: str,
) -> None:
    async def fail(*_: Any) -> Any:
        raise error

    visitor.expected_statuses = {status}
    with monkeypatch.context() as patched:
        patched.setattr(site.service.encoder, "encode_text", fail)
        # Words that no other test asks: how those were encoded is remembered.
        page = visitor.open(f"/?q=red+{status}")
        assert page.locator("h1").inner_text() == headline
    page.get_by_role("link", name="Try again").click()
    page.locator(".card").first.wait_for()


def test_a_slow_search_says_that_it_is_under_way(visitor: Visitor) -> None:
    page = visitor.page
    page.clock.install(time=0)
    # A search that is never answered; a browser that waits for an answer cannot be looked at.
    page.add_init_script("HTMLFormElement.prototype.submit = () => {}")
    visitor.open("/")
    page.clock.pause_at(3600)
    page.locator("#q").fill("red")
    page.keyboard.press("Enter")
    page.clock.run_for(250)
    assert not page.locator("[data-slow]").is_visible()
    page.clock.run_for(250)
    assert page.locator("[data-slow]").inner_text() == "Searching…"
    page.clock.run_for(8000)
    assert page.locator("[data-slow] button").inner_text() == "Try again"
