"""What a page shows of a hit."""

from typing import Any

import msgspec
import pytest

from search_api.schemas import Hit, Moment
from search_api.web.cards import Card, card_of, clock, title_of
from search_api.web.page_query import PageQuery


def moment(start: float | None, stop: float | None, text: Any = msgspec.UNSET) -> Moment:
    return Moment(channel="speech", start_seconds=start, stop_seconds=stop, score=0.5, text=text)


def card(modality: Any, *moments: Moment, **attributes: Any) -> Card:
    hit = Hit(
        item_id="a:b",
        modality=modality,
        score=0.03,
        confidence=None,
        location="/secret/folder/film.mp4",
        attributes=attributes,
        moments=list(moments),
    )
    return card_of(hit, PageQuery(text="red fox", media=("video",)))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (7.9, "0:07"), (65, "1:05"), (3599.99, "59:59"), (3723, "1:02:03")],
)
def test_instants_are_shown_as_players_show_them(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_a_title_is_shown_before_a_file_name_and_never_a_folder() -> None:
    assert title_of("id", "/a/b/c.mp4", {"title": " Deep "}) == "Deep"
    assert title_of("id", "/a/b/c.mp4", {"title": 7}) == "c.mp4"
    assert title_of("id", "/a/b/c.mp4", {}) == "c.mp4"
    assert title_of("id", f"/blobs/ab/{'ab' * 32}", {}) == "id", "what was uploaded"
    assert title_of("id", "", {}) == "id", "what has no file"


def test_a_video_begins_at_its_best_moment() -> None:
    shown = card("video", moment(12.34, 20.0), moment(1.0, 2.0))
    assert shown.player == "/v1/items/a%3Ab/playable#t=12.34,20"
    assert shown.thumbnail == "/v1/items/a%3Ab/thumbnail?at=12.3"
    assert shown.href == "/item/a%3Ab?t=12.34&q=red+fox"
    assert shown.similar_href == "/?item=a%3Ab&medium=video"
    assert [chip.start_seconds for chip in shown.chips] == [12.34, 1.0]
    assert "secret" not in str(shown)


def test_the_best_three_places_have_a_chip_each() -> None:
    shown = card("audio", moment(1.0, 2.0), moment(1.2, 9.3), *(moment(n, n + 1) for n in range(9)))
    assert [chip.label for chip in shown.chips] == [
        "0:01\u20130:02",
        "0:00\u20130:01",
        "0:02\u20130:03",
    ]


def test_what_lasts_less_than_a_second_is_an_instant() -> None:
    shown = card("audio", moment(0.0, 0.5), moment(61.2, 61.9))
    assert [chip.label for chip in shown.chips] == ["0:00", "1:01"]


def test_an_endless_title_is_cut() -> None:
    assert len(title_of("id", "/a/b.mp4", {"title": "word " * 5000})) < 210


def test_what_is_said_is_quoted_once_and_passages_have_their_heading() -> None:
    said = card("video", moment(0.0, 1.0, "the red fox"), moment(2.0, 3.0, "again"))
    (quoted,) = said.passages
    assert [run.text for run in quoted.runs] == ["the ", "red", " ", "fox"]
    text = card("text", moment(None, None, "Guide > Animals\nA fox."), moment(None, None, "Alone"))
    assert [each.heading for each in text.passages] == ["Guide > Animals", ""]
    assert (text.player, text.thumbnail, text.chips) == ("", "", [])
