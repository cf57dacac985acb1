"""What a page shows of a hit: a title, where it matched, what is said or written there."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from encoders.media.content import Medium
from indexer.blob_store import is_blob_name
from search_api.schemas import Hit, Moment
from search_api.web.marking import Run, excerpt, marked, question_words
from search_api.web.page_query import PageQuery

MAX_EXCERPT_CHARS = 240
QUOTED_SHARE = 0.7
"""Speech is quoted that scores at least this share of the best moment of its recording."""

MAX_QUOTE_CHARS = 180
MAX_PASSAGES = 2
MAX_CHIPS = 3
MAX_TITLE_CHARS = 200


@dataclass(frozen=True, slots=True)
class Passage:
    """Words that matched."""

    heading: str
    """What it stands under; empty where there is no heading."""

    runs: list[Run]


@dataclass(frozen=True, slots=True)
class Chip:
    """A moment that can be gone to."""

    label: str
    """From when to when, as players show it; one instant if it lasts less than a second."""

    start_seconds: float
    stop_seconds: float
    channel: str
    score: str
    href: str
    """The item's page at this moment."""


@dataclass(frozen=True, slots=True)
class Card:
    """A hit as the page of results shows it."""

    item_id: str
    title: str
    medium: Medium
    channel: str
    """The one in which it stands highest."""

    score: str
    href: str
    similar_href: str
    thumbnail: str
    """Empty for items without a picture."""

    player: str
    """What is played, from the best moment on; empty for pictures and texts."""

    chips: list[Chip]

    names_channels: bool
    """The chips are of several channels, so each says of which."""

    passages: list[Passage]


def item_url(item_id: str, *, text: str = "", at_seconds: float | None = None) -> str:
    """Return the address of an item's page, at a moment and with the words asked for if given."""
    params = {} if at_seconds is None else {"t": f"{at_seconds:g}"}
    if text:
        params["q"] = text
    path = f"/item/{quote(item_id, safe='')}"
    return f"{path}?{urlencode(params)}" if params else path


def media_url(item_id: str, what: str) -> str:
    """Return the API's address of a file of an item: ``media``, ``playable``, ``thumbnail``."""
    return f"/v1/items/{quote(item_id, safe='')}/{what}"


def title_of(item_id: str, location: str, attributes: dict[str, Any]) -> str:
    """Return what to call an item: its title if it has one, else the name of its file.

    What was uploaded, or has no file, is called by its id. Endless titles are cut.
    """
    title = attributes.get("title")
    if isinstance(title, str) and title.strip():
        title = " ".join(title.split())
        return title if len(title) <= MAX_TITLE_CHARS else f"{title[:MAX_TITLE_CHARS]} \u2026"
    name = PurePosixPath(location).name
    return item_id if not name or is_blob_name(name) else name


def clock(seconds: float) -> str:
    """Return an instant as players show it: ``0:07``, ``12:30``, ``1:02:03``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def card_of(hit: Hit, query: PageQuery) -> Card:
    """Return what to show of a hit."""
    words = question_words(query.text)
    chips = chips_of(hit.item_id, hit.moments, query.text)
    first = hit.moments[0] if hit.moments else None
    has_picture = hit.modality in ("image", "video")
    thumbnail = media_url(hit.item_id, "thumbnail") if has_picture else ""
    player = ""
    if hit.modality in ("audio", "video"):
        player = media_url(hit.item_id, "playable")
        if chips:
            player += fragment(chips[0].start_seconds, chips[0].stop_seconds)
            if thumbnail:
                thumbnail += f"?at={chips[0].start_seconds:.1f}"
    start_seconds = chips[0].start_seconds if chips else None
    return Card(
        item_id=hit.item_id,
        title=title_of(hit.item_id, hit.location, hit.attributes),
        medium=hit.modality,
        channel=first.channel if first else "",
        score=f"{first.score:.2f}" if first else "",
        href=item_url(hit.item_id, text=query.text, at_seconds=start_seconds),
        similar_href=query.like(hit.item_id).url,
        thumbnail=thumbnail,
        player=player,
        chips=chips,
        names_channels=len({chip.channel for chip in chips}) > 1,
        passages=passages_of(hit.moments, words, timed=hit.modality != "text"),
    )


def fragment(start_seconds: float, stop_seconds: float) -> str:
    """Return the part of a media address that says what to play (W3C Media Fragments)."""
    return f"#t={start_seconds:g},{stop_seconds:g}"


def chips_of(item_id: str, moments: list[Moment], text: str) -> list[Chip]:
    """Return the moments that can be gone to, best first; of those with one beginning, the best."""
    chips: dict[str, Chip] = {}
    for moment in moments:
        if moment.start_seconds is None or moment.stop_seconds is None:
            continue
        start, stop = clock(moment.start_seconds), clock(moment.stop_seconds)
        if start not in chips and len(chips) < MAX_CHIPS:
            chips[start] = Chip(
                label=start if start == stop else f"{start}\u2013{stop}",
                start_seconds=round(moment.start_seconds, 2),
                stop_seconds=round(moment.stop_seconds, 2),
                channel=moment.channel,
                score=f"{moment.score:.2f}",
                href=item_url(item_id, text=text, at_seconds=round(moment.start_seconds, 2)),
            )
    return list(chips.values())


def passages_of(moments: list[Moment], words: Set[str], *, timed: bool) -> list[Passage]:
    """Return the words there, best first: passages of a text, or what is said in a recording.

    Args:
        moments: of a hit.
        words: to mark.
        timed: a recording, of which one short quotation is enough; if it was found for something
            else, what happens to be said in it is no answer.
    """
    least = QUOTED_SHARE * max((moment.score for moment in moments), default=0.0) if timed else -1.0
    texts = [
        moment.text
        for moment in moments
        if not isinstance(moment.text, msgspec.UnsetType) and moment.score >= least
    ]
    if timed:
        return [passage_of(text, words, MAX_QUOTE_CHARS) for text in texts[:1]]
    return [passage_of(text, words, MAX_EXCERPT_CHARS) for text in texts[:MAX_PASSAGES]]


def passage_of(text: str, words: Set[str], max_chars: int) -> Passage:
    """Return a passage with ``words`` marked; its first line is a heading if more lines follow."""
    heading, body = heading_and_body(text)
    return Passage(heading, marked(excerpt(body, words, max_chars), words))


def heading_and_body(text: str) -> tuple[str, str]:
    """Return the first line of a passage and the rest; an empty one if there is a single line."""
    heading, _, body = text.strip().partition("\n")
    return (heading.strip(), body) if body.strip() else ("", heading)
