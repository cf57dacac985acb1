"""Sounds and videos start where the match is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from encoders.media.rejection import MediaRejected
from encoders.serving.errors import BeingPrepared
from encoders.serving.version_maker import VersionRequest
from tests.search_api.web.gallery import Site
from tests.search_api.web.visitor import Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Locator

QUESTION = "/?q=the+lighthouse+keeper+lights+the+lamp"


def card(visitor: Visitor, title: str) -> Locator:
    return visitor.page.locator(".card").filter(has_text=title)


def wait_until(player: Locator, condition: str) -> Any:
    """Wait until a condition over ``player`` holds, and return the player's time."""
    return player.evaluate(
        """(player, condition) => new Promise((resolve) => {
          const holds = new Function("player", `return ${condition}`);
          const look = () => holds(player) ? resolve(player.currentTime) : setTimeout(look, 20);
          look();
        })""",
        condition,
    )


@pytest.mark.parametrize("title", ["The harbour film", "The harbour tape", "The harbour talk"])
def test_a_moment_plays_from_its_start_and_ends_at_its_stop(visitor: Visitor, title: str) -> None:
    """The tape is Matroska with MPEG-4 pictures: a version is made that browsers play."""
    visitor.open(QUESTION)
    found = card(visitor, title)
    player = found.locator("[data-player]")
    assert player.evaluate("player => player.preload + player.networkState") == "none1"
    player.evaluate("player => { player.playbackRate = player.defaultPlaybackRate = 3; }")
    moment = found.locator(".chip", has_text="0:04–0:06")  # noqa: RUF001
    moment.click()
    seconds = wait_until(player, "!player.paused && player.readyState > 2")
    assert 4.0 <= seconds < 6.0
    assert "playing" in (moment.get_attribute("class") or "")
    # Chromium looks for the end four times a second, here at three times the speed.
    assert 5.9 < wait_until(player, "player.paused") < 7.0


def test_only_one_player_sounds_at_a_time(visitor: Visitor) -> None:
    visitor.open(QUESTION)
    film, talk = (
        card(visitor, title).locator("[data-player]")
        for title in ("The harbour film", "The harbour talk")
    )
    film.evaluate("player => { player.play(); }")
    wait_until(film, "!player.paused && player.currentTime > 4")
    talk.evaluate("player => { player.play(); }")
    wait_until(film, "player.paused")
    wait_until(talk, "!player.paused")


def test_space_plays_the_answer_that_is_in_focus(visitor: Visitor) -> None:
    page = visitor.open(QUESTION)
    found = card(visitor, "The harbour film")
    found.locator("[data-open]").focus()
    page.keyboard.press("Space")
    wait_until(found.locator("video"), "!player.paused")
    page.keyboard.press("Space")
    wait_until(found.locator("video"), "player.paused")


def test_an_item_opens_at_a_moment_and_its_transcript_leads_to_others(visitor: Visitor) -> None:
    page = visitor.open("/item/harbour-film?t=4&q=lighthouse")
    player = page.locator("video")
    assert wait_until(player, "player.readyState > 0 && !player.seeking") == pytest.approx(4.0)
    assert page.locator(".lines mark").all_inner_texts() == ["lighthouse"]
    page.locator(".lines a", has_text="0:06").click()
    assert wait_until(player, "!player.paused && player.currentTime > 6.4") < 9
    assert page.get_by_role("link", name="Download the original").get_attribute("href") == (
        "/v1/items/harbour-film/media"
    )


def test_what_is_still_being_made_playable_starts_by_itself(
    visitor: Visitor, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = site.service.playables
    make = encoder._make
    num_asked = 0

    async def slow(request: VersionRequest) -> str:
        nonlocal num_asked
        num_asked += 1
        if num_asked <= 2:
            raise BeingPrepared("it is being made")
        return str(await make(request))

    monkeypatch.setattr(encoder, "_make", slow)
    monkeypatch.setattr(encoder, "_kept", lambda _item: None)
    visitor.expected_statuses = {503}
    visitor.open(QUESTION)
    found = card(visitor, "The harbour film")
    found.locator(".chip").first.click()
    status = found.locator("[data-player-status]")
    status.wait_for()
    assert "Being prepared" in status.inner_text()
    assert wait_until(found.locator("video"), "!player.paused && player.readyState > 2") >= 4.0
    assert not status.is_visible()


def test_what_cannot_be_played_says_why_and_offers_the_file(
    visitor: Visitor, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def reject(_request: VersionRequest) -> str:
        raise MediaRejected("corrupt", "its pictures are damaged")

    monkeypatch.setattr(site.service.playables, "_make", reject)
    monkeypatch.setattr(site.service.playables, "_kept", lambda _item: None)
    visitor.expected_statuses = {422}
    visitor.open(QUESTION)
    found = card(visitor, "The harbour film")
    found.locator(".chip").first.click()
    status = found.locator("[data-player-status]")
    status.wait_for()
    assert "its pictures are damaged" in status.inner_text()
    assert status.get_by_role("link", name="Download the original").count() == 1
