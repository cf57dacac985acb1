"""From a page's address to an answer, and to what the page shows of the question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from encoders.media.content import Medium
from encoders.media.item import check_item_id
from encoders.media.text_signatures import decoded_head
from search_api.errors import InvalidRequest, ItemNotFound
from search_api.questions import Question
from search_api.schemas import (
    MAX_TEXT_CHARS,
    MediaSearchRequest,
    Query,
    SearchRequest,
    SearchResponse,
)
from search_api.service import SearchService
from search_api.web.cards import item_url, media_url, title_of
from search_api.web.filter_form import filter_of
from search_api.web.marking import excerpt
from search_api.web.page_query import PageQuery

HEAD_BYTES = 4096
MAX_PREVIEW_CHARS = 220
READABLE_FORMATS = frozenset({"plain", "markdown", "srt", "vtt"})
"""Text formats whose first lines say what is in them."""


@dataclass(frozen=True, slots=True)
class Example:
    """The item or file that a search is by, as the page shows it."""

    kind: str
    """``item`` or ``file``."""

    title: str
    medium: Medium
    href: str
    """Its page or the file itself."""

    thumbnail: str
    """Empty where it has no picture."""

    player: str
    """Address of a sound that can be listened to; empty for all else."""

    excerpt: str
    """The first words of a text."""


async def answer(service: SearchService, query: PageQuery) -> SearchResponse:
    """Answer the question of a page.

    Raises:
        KindredError: as `Searcher.search` and `Questions.find`.
    """
    options: dict[str, Any] = {
        "modalities": list(query.media) or None,
        "filter": filter_of(service.config.attributes, query.conditions),
        "limit": query.limit,
    }
    if query.file:
        question = await service.questions.find(query.file)
        return await service.searcher.search_file(question.path, MediaSearchRequest(**options))
    if query.item_id:
        check_item_id(query.item_id)
        return await service.searcher.search(
            SearchRequest(query=Query(item_id=query.item_id), **options)
        )
    if len(query.text) > MAX_TEXT_CHARS:
        raise InvalidRequest(
            f"the question has {len(query.text)} characters; at most {MAX_TEXT_CHARS} are taken"
        )
    return await service.searcher.search(SearchRequest(query=Query(text=query.text), **options))


async def example_of(service: SearchService, query: PageQuery) -> Example | None:
    """Return what a search is by; ``None`` for words.

    Raises:
        ItemNotFound, QuestionGone, InvalidItemId: there is no such thing.
    """
    if query.file:
        question = await service.questions.find(query.file)
        words = await service.pool.run(lambda: _first_words(question))
        return _file_example(question, query.file_name, words)
    if not query.item_id:
        return None
    check_item_id(query.item_id)
    name = service.config.name
    item = await service.pool.run(lambda: service.catalog.item(name, query.item_id))
    if item is None:
        raise ItemNotFound(f"collection {name} has no item {query.item_id!r}")
    has_picture = item.medium in ("image", "video")
    return Example(
        kind="item",
        title=title_of(item.item_id, item.location, dict(item.attributes)),
        medium=item.medium,
        href=item_url(item.item_id),
        thumbnail=media_url(item.item_id, "thumbnail") if has_picture else "",
        player=media_url(item.item_id, "playable") if item.medium == "audio" else "",
        excerpt="",
    )


def _file_example(question: Question, name: str, words: str) -> Example:
    medium = question.sniffed.medium
    href = f"/questions/{question.sha256}"
    return Example(
        kind="file",
        title=name or "A file",
        medium=medium,
        href=href,
        thumbnail=f"{href}/thumbnail" if medium in ("image", "video") else "",
        player=href if medium == "audio" else "",
        excerpt=words,
    )


def _first_words(question: Question) -> str:
    if question.sniffed.format not in READABLE_FORMATS:
        return ""
    with question.path.open("rb") as file:
        text = decoded_head(file.read(HEAD_BYTES)) or ""
    return excerpt(text, frozenset(), MAX_PREVIEW_CHARS)
