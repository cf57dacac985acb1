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
PATIENCE_MS = 60_000


def card(visitor: Visitor, title: str) -> Locator:
    return visitor.page.locator(".card").filter(has_text=title)


def wait_until(player: Locator, condition: str) -> Any:
    """Wait until a condition over ``player`` holds, and return the player's time.

    Gives up after `PATIENCE_MS`, saying how the player stands: what is evaluated in a page has no
    time limit of its own.
    """
    return player.evaluate(
        """(player, [condition, patience]) => new Promise((resolve, reject) => {
          const holds = new Function("player", `return ${condition}`);
          const last = Date.now() + patience;
          const look = () => {
            if (holds(player)) resolve(player.currentTime);
            else if (Date.now() < last) setTimeout(look, 20);
            else {
              const { src, paused, currentTime, readyState, networkState } = player;
              const state = { src, paused, currentTime, readyState, networkState };
              reject(new Error(`never was ${condition}: ${JSON.stringify(state)}`));
            }
          };
          look();
        })""",
        [condition, PATIENCE_MS],
    )


@pytest.mark.parametrize("title", ["The harbour film", "The harbour tape", "The harbour talk"])
def test_a_moment_plays_from_its_start_and_ends_at_its_stop(visitor: Visitor, title: str) -> None:
    """The tape is Matroska with MPEG-4 pictures: a version is made that browsers play."""
    visitor.expected_statuses = {503}  # a busy machine makes it while the page asks again
    visitor.open(QUESTION)
    found = card(visitor, title)
    player = found.locator("[data-player]")
    assert player.evaluate("player => player.preload + player.networkState") == "none1"
    # Written down as it happens: a busy machine may look only when the moment is over.
    player.evaluate(
        """player => {
          player.diary = [];
          const card = player.closest("[data-card]");
          const write = (event) => player.diary.push({
            event: event.type,
            seconds: player.currentTime,
            marked: [...card.querySelectorAll(".chip.playing")].map((chip) => chip.innerText),
          });
          const types = ["playing", "timeupdate", "pause"];
          types.forEach((type) => player.addEventListener(type, write));
        }"""
    )
    moment = found.locator(".chip", has_text="0:04–0:06")  # noqa: RUF001
    moment.click()
    wait_until(player, "player.diary.some((entry) => entry.event === 'pause')")
    diary = player.evaluate("player => player.diary")
    seconds = {entry["event"]: entry["seconds"] for entry in reversed(diary)}
    assert 4.0 <= seconds["playing"] < 6.0
    assert any("0:04–0:06" in mark for entry in diary for mark in entry["marked"])  # noqa: RUF001
    # Chromium looks for the end four times a second.
    assert 5.9 < seconds["pause"] < 7.0


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
