"""Searching on the page, as people do it."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from tests.search_api.web.gallery import MAX_UPLOAD_BYTES, Site
from tests.search_api.web.visitor import Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser, JSHandle, Page

HAND_OVER = """([name, type, data]) => {
  const bytes = Uint8Array.from(atob(data), (each) => each.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type }));
  return transfer;
}"""


@pytest.fixture
def red_picture(tmp_path: Path) -> Path:
    path = tmp_path / "my poppy.png"
    Image.new("RGB", (60, 40), (255, 0, 0)).save(path)
    return path


def in_the_hand(page: Page, path: Path) -> JSHandle:
    """Return the ``DataTransfer`` of somebody who drags or has copied a file."""
    content = base64.b64encode(path.read_bytes()).decode()
    return page.evaluate_handle(HAND_OVER, [path.name, "image/png", content])


def titles(page: Page) -> list[str]:
    return page.locator(".card h3").all_inner_texts()


def found_by_file(page: Page) -> None:
    page.wait_for_url("**/?file=*")
    assert "my poppy.png" in page.locator(".example").inner_text()
    assert titles(page)[0] in ("poppy field", "red-2.png")


def test_words_lead_to_results_with_those_words_marked(visitor: Visitor) -> None:
    page = visitor.open("/")
    page.get_by_label("Search in words").fill("lighthouse")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?q=lighthouse")
    assert page.get_by_role("status").get_by_text("results").is_visible()
    assert page.locator("mark").first.inner_text() == "lighthouse"


def test_nothing_needs_a_script_to_search(browser: Browser, site: Site, red_picture: Path) -> None:
    with Visitor(browser, site.url, java_script_enabled=False) as visitor:
        page = visitor.open("/")
        page.get_by_label("Search in words").fill("deep sea")
        page.get_by_role("button", name="Search", exact=True).click()
        assert titles(page)[0] == "deep sea"
        page.locator(".card h3 a").first.click()
        assert page.locator("h1").inner_text() == "deep sea"
        visitor.open("/")
        page.get_by_text("Search with a file").click()
        page.get_by_label("File to search with").set_input_files(red_picture)
        page.get_by_role("button", name="Search with this file").click()
        found_by_file(page)


def test_a_chosen_file_is_searched_with_at_once_and_the_address_can_be_kept(
    visitor: Visitor, red_picture: Path
) -> None:
    page = visitor.open("/")
    page.get_by_label("File to search with").set_input_files(red_picture)
    found_by_file(page)
    page.reload()
    found_by_file(page)
    preview = page.locator(".example img")
    assert preview.evaluate("image => image.decode().then(() => image.naturalWidth)") == 60


def test_a_file_can_be_dropped_anywhere(visitor: Visitor, red_picture: Path) -> None:
    page = visitor.open("/?q=blue")
    transfer = in_the_hand(page, red_picture)
    page.dispatch_event("footer", "dragenter", {"dataTransfer": transfer})
    assert page.locator("html.dropping").count() == 1
    page.dispatch_event("footer", "drop", {"dataTransfer": transfer})
    found_by_file(page)


def test_a_picture_can_be_pasted(visitor: Visitor, red_picture: Path) -> None:
    page = visitor.open("/")
    transfer = in_the_hand(page, red_picture)
    page.evaluate(
        "clipboardData => document.body.dispatchEvent("
        "new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }))",
        transfer,
    )
    found_by_file(page)


def test_ticked_media_hold_for_words_and_files(visitor: Visitor, red_picture: Path) -> None:
    page = visitor.open("/?q=red")
    page.get_by_label("Pictures").check()
    page.wait_for_url("**/?q=red&medium=image")
    assert set(page.locator(".what").all_inner_texts()) != set()
    assert all(what.startswith("Picture") for what in page.locator(".what").all_inner_texts())
    page.get_by_label("File to search with").set_input_files(red_picture)
    page.wait_for_url("**/?file=*&medium=image")
    assert page.get_by_label("Pictures").is_checked()


def test_filters_narrow_the_answers_and_can_be_taken_back(visitor: Visitor) -> None:
    page = visitor.open("/?q=red")
    page.get_by_text("Filters").click()
    page.get_by_label("Language").fill("de, fr")
    page.get_by_label("Year from").fill("2002")
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url("**a.year.from=2002*")
    assert titles(page) == ["red-2.png"]
    page.get_by_role("link", name="Year from 2002").click()
    page.wait_for_url(lambda url: "a.year.from" not in url and "a.language=de" in url)
    page.get_by_role("link", name="Clear filters").click()
    page.wait_for_url("**/?q=red")
    assert len(titles(page)) > 1


def test_more_like_this_goes_on_from_an_answer(visitor: Visitor) -> None:
    page = visitor.open("/?q=poppy+field")
    page.get_by_role("link", name=re.compile("^More like this.*poppy field")).click()
    page.wait_for_url("**/?item=red-1")
    assert "poppy field" in page.locator(".example").inner_text()
    assert "poppy field" not in titles(page)
    assert titles(page)[0] == "red-2.png"


def test_everything_can_be_done_with_keys(visitor: Visitor) -> None:
    page = visitor.open("/?q=red")
    first, second = titles(page)[:2]
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "q"
    page.keyboard.press("Escape")
    page.locator("main").focus()
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.innerText") == first
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.innerText") == second
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.wait_for_url("**/item/**")
    assert page.locator("h1").inner_text() == first
    page.keyboard.press("m")
    page.wait_for_url("**/?item=*")


def test_a_file_that_is_too_large_never_leaves_the_browser(
    visitor: Visitor, tmp_path: Path
) -> None:
    path = tmp_path / "large.bin"
    path.write_bytes(bytes(MAX_UPLOAD_BYTES + 1))
    page = visitor.open("/")
    page.get_by_label("File to search with").set_input_files(path)
    trouble = page.get_by_role("alert")
    trouble.wait_for()
    assert "large.bin has 0.3 MB; at most 0.3 MB are taken" in trouble.inner_text()


def test_a_file_that_cannot_be_read_says_why(visitor: Visitor, tmp_path: Path) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(b"#EXTM3U\nhttp://example.com/a.ts\n")
    visitor.expected_statuses = {422}
    page = visitor.open("/")
    page.get_by_label("File to search with").set_input_files(path)
    page.wait_for_url("**/questions")
    assert page.locator("h1").inner_text() == "This file cannot be read"
    assert "playlist" in page.get_by_role("alert").inner_text()
