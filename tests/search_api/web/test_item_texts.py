"""The words of an item on its page."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from encoders.media.content import Transcript, Utterance
from search_api.web import item_texts
from search_api.web.item_texts import joined_passages, shown_lines, shown_text
from tests.search_api.small_collection import SmallCollection


def spoken(num_utterances: int) -> Transcript:
    return Transcript(
        tuple(
            Utterance("a lighthouse keeper <b>", 3.5 * number, 3.5 * number + 3)
            for number in range(num_utterances)
        ),
        "en",
        "recognized",
    )


def test_lines_lead_to_their_moment_with_the_words_asked_for() -> None:
    lines = shown_lines(spoken(2), "lighthouse & more")
    assert [line.href for line in lines] == [
        "?t=0.00&q=lighthouse+%26+more",
        "?t=3.50&q=lighthouse+%26+more",
    ]
    assert [run.text for run in lines[0].runs] == ["a ", "lighthouse", " keeper <b>"]


def test_a_long_question_makes_no_long_links() -> None:
    assert {len(line.href) for line in shown_lines(spoken(30), "long " * 300)} <= {7, 8, 9}


def test_what_neighbours_share_is_shown_once() -> None:
    passages = [
        "Guide > Sea\nOne two. Three four.",
        "Guide > Sea\nThree four. Five\nsix.",
        "Guide > Land\nFive six. Seven.",
        "Guide > Land\nSeven.",
    ]
    assert joined_passages(passages, 2) == [
        ("Guide > Sea", "One two. Three four."),
        ("", "Five\nsix."),
        ("Guide > Land", "Five six. Seven."),
    ]
    assert [body for _, body in joined_passages(["One two.", "two. Three"], 0)] == [
        "One two.",
        "two. Three",
    ]


@pytest.fixture
def collection(tmp_path: Path) -> Iterator[SmallCollection]:
    opened = SmallCollection(tmp_path)
    yield opened
    opened.close()


def test_a_page_says_when_it_shows_a_part(
    collection: SmallCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection.text("long-1", [f"red number {number}" for number in range(5)])
    item = collection.catalog.item("small", "long-1")
    assert item is not None
    monkeypatch.setattr(item_texts, "MAX_PASSAGES", 5)
    view = collection.live.view()
    whole = shown_text(view, collection.config, item, "red")
    assert (len(whole.passages), whole.is_whole) == (5, True)
    monkeypatch.setattr(item_texts, "MAX_PASSAGES", 4)
    part = shown_text(view, collection.config, item, "red")
    assert (len(part.passages), part.is_whole) == (4, False)
