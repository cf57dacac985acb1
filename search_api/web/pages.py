"""The pages: search and its results, one item, files to search with."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Annotated, Any
from urllib.parse import parse_qsl

import msgspec
from litestar import Request, Response, Router, post, route
from litestar.datastructures import UploadFile
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, MultipartBody, QueryParameter
from litestar.response import Redirect

from encoders.errors import KindredError
from encoders.media.content import MEDIA
from encoders.media.sniff import MEDIA_TYPES
from indexer.catalog.records import ItemRecord
from search_api.routes.files import GET_AND_HEAD, MEDIA_HEADERS, file_response, not_modified
from search_api.routes.items import CACHED, stored_item
from search_api.schemas import MAX_TEXT_CHARS, Moment, Query, SearchRequest
from search_api.service import SearchService, Service
from search_api.stored_media import TEXT_MEDIA_TYPE, open_kept
from search_api.thumbnails import MAX_SIDE_PX
from search_api.thumbnails import MEDIA_TYPE as THUMBNAIL_TYPE
from search_api.web.asking import answer, example_of
from search_api.web.assets import assets
from search_api.web.cards import Card, card_of, chips_of, clock, title_of
from search_api.web.error_pages import PAGE_EXCEPTION_HANDLERS, retry_headers, shown_problem
from search_api.web.filter_form import active_conditions, filter_inputs
from search_api.web.item_texts import shown_lines, shown_text
from search_api.web.overview import Overview, overview_of
from search_api.web.own_page import own_page_only
from search_api.web.page_query import MAX_NAME_CHARS, PageQuery
from search_api.web.rendering import page

NUM_SHOWCASED = 12
"""Items shown on the start page, to have something to begin with."""

MOMENTS_SECONDS = 2.0
"""How long the page of an item waits to hear where the words asked for are in it."""

MAX_START_SECONDS = 1e6

FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}


class QuestionForm(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What the page sends when somebody searches with a file."""

    file: UploadFile

    filters: str = ""
    """The rest of the search, as the page's address has it."""


@route("/", http_method=GET_AND_HEAD, include_in_schema=False, access="read")
async def search_page(request: Request[Any, Any, Any], service: Service) -> Response[str]:
    """Return the start page, or the answers to the question in the address."""
    query = PageQuery.from_params(request.query_params.multi_items())
    problem = overview = example = None
    cards: list[Card] = []
    try:
        overview = await _overview(service)
        if query.asks:
            example = await example_of(service, query)
            found = await answer(service, query)
            cards = [card_of(hit, query) for hit in found.hits]
    except KindredError as error:
        problem = shown_problem(error)
    suggestions = overview.suggestions if overview else {}
    inputs = filter_inputs(service.config.attributes, query.conditions, suggestions)
    context = {
        "query": query,
        "collection": service.config.name,
        "overview": overview,
        "example": example,
        "problem": problem,
        "cards": cards,
        "inputs": inputs,
        "active": active_conditions(inputs),
        "media": MEDIA,
        "more": query.more() if len(cards) >= query.limit else None,
        "max_text_chars": MAX_TEXT_CHARS,
        "max_upload_bytes": service.settings.max_upload_bytes,
    }
    if not query.asks and problem is None:
        return page("start.html", {**context, "showcase": await _showcase(service)})
    return page(
        "results.html",
        context,
        status=problem.status if problem else 200,
        headers=retry_headers(problem) if problem else {},
    )


@route("/item/{item_id:str}", http_method=GET_AND_HEAD, include_in_schema=False, access="read")
async def item_page(
    item_id: FromPath[str],
    service: Service,
    t: Annotated[str, QueryParameter(description="Where to begin, in seconds.")] = "",
    q: Annotated[str, QueryParameter(description="Words that were asked for.")] = "",
) -> Response[str]:
    """Return everything about one item, with what it holds of the words asked for."""
    item = await stored_item(service, item_id, None)
    text = q.strip()[:MAX_TEXT_CHARS]
    name = service.config.name
    transcript = await service.pool.run(lambda: service.catalog.transcript(name, item_id))
    moments = await _moments_in(service, item, text) if text else []

    def made() -> Response[str]:
        return page(
            "item.html",
            {
                "item": item,
                "title": title_of(item.item_id, item.location, dict(item.attributes)),
                "file_name": PurePosixPath(item.relative_path).name,
                "text": text,
                "start_seconds": _start_seconds(t, item),
                "duration": clock(item.duration_seconds) if item.duration_seconds else "",
                "attributes": _shown_attributes(item),
                "chips": chips_of(item_id, moments or [], text),
                "is_searched": moments is not None,
                "lines": shown_lines(transcript, text) if transcript else [],
                "shown": shown_text(service.view(), service.config, item, text),
                "back": PageQuery(text=text).url,
                "similar": PageQuery(item_id=item_id).url,
            },
        )

    # Not on the event loop: hours of speech have thousands of lines.
    return await service.pool.run(made)


@post("/questions", status_code=303, include_in_schema=False, guards=[own_page_only], access="read")
async def send_question(data: MultipartBody[QuestionForm], service: Service) -> Redirect:
    """Keep a file to search with, and go to the search's permanent address."""
    question = await service.questions.keep(data.file)
    rest = PageQuery.from_params(parse_qsl(data.filters))
    name = data.file.filename[:MAX_NAME_CHARS]
    query = replace(rest, text="", item_id="", file=question.sha256, file_name=name)
    return Redirect(query.url, status_code=303)


@route("/questions/{sha256:str}", http_method=GET_AND_HEAD, include_in_schema=False, access="read")
async def question_file(
    sha256: FromPath[str], request: Request[Any, Any, Any], service: Service
) -> Response[Any]:
    """Return a file that somebody searched with."""
    question = await service.questions.find(sha256)
    etag = f'"{question.sha256}"'
    known = not_modified(request, etag, CACHED)
    if known is not None:
        return known
    is_text = question.sniffed.medium == "text"
    media_type = TEXT_MEDIA_TYPE if is_text else MEDIA_TYPES[question.sniffed.format]
    media = await service.pool.run(lambda: open_kept(question.path, media_type))
    return file_response(request, media, etag, CACHED)


@route(
    "/questions/{sha256:str}/thumbnail",
    http_method=GET_AND_HEAD,
    include_in_schema=False,
    access="read",
)
async def question_thumbnail(sha256: FromPath[str], service: Service) -> Response[bytes]:
    """Return a small picture of a file that somebody searched with."""
    question = await service.questions.find(sha256)
    picture = await service.encoder.thumbnail(
        question.path,
        MAX_SIDE_PX,
        at_seconds=0.0 if question.sniffed.medium == "video" else None,
    )
    return Response(picture, media_type=THUMBNAIL_TYPE, headers={**MEDIA_HEADERS, **CACHED})


@route(
    "/static/{digest:str}/{name:str}",
    http_method=GET_AND_HEAD,
    include_in_schema=False,
    sync_to_thread=False,
    access="open",
)
def static_file(digest: FromPath[str], name: FromPath[str]) -> Response[bytes]:
    """Return a file that the pages are made of."""
    asset = assets().get(name)
    if asset is None or asset.digest != digest:
        raise NotFoundException(f"there is no {name!r} of this version")
    return Response(asset.content, media_type=asset.media_type, headers=FOREVER)


async def _overview(service: SearchService) -> Overview:
    view = service.view()
    return await service.pool.run(lambda: overview_of(view, service.config.attributes))


async def _showcase(service: SearchService) -> Sequence[tuple[ItemRecord, str]]:
    """Return some items with a picture, and their titles."""
    name = service.config.name

    def read() -> list[ItemRecord]:
        return [
            item
            for medium in ("video", "image")
            for item in service.catalog.list_items(name, limit=NUM_SHOWCASED, medium=medium)
        ]

    items = (await service.pool.run(read))[:NUM_SHOWCASED]
    return [(item, title_of(item.item_id, item.location, dict(item.attributes))) for item in items]


async def _moments_in(service: SearchService, item: ItemRecord, text: str) -> list[Moment] | None:
    """Return where in an item words are found; ``None`` if that cannot be said now."""
    only = {"field": "item_id", "equals": item.item_id}
    try:
        async with asyncio.timeout(MOMENTS_SECONDS):
            found = await service.searcher.search(
                SearchRequest(query=Query(text=text), filter=only, limit=1)
            )
    except (KindredError, TimeoutError):
        return None  # the page of an item is worth having without them, and says so
    return found.hits[0].moments if found.hits else []


def _shown_attributes(item: ItemRecord) -> list[tuple[str, str]]:
    return [
        (name, ", ".join(map(str, value)) if isinstance(value, list) else str(value))
        for name, value in item.attributes.items()
        if value not in (None, "", [])
    ]


def _start_seconds(text: str, item: ItemRecord) -> float:
    """Return an instant of an item out of an address; the beginning if it holds none."""
    try:
        seconds = float(text or 0)
    except ValueError:
        return 0.0
    if not math.isfinite(seconds):
        return 0.0
    return min(max(0.0, seconds), item.duration_seconds or MAX_START_SECONDS)


web_router = Router(
    path="/",
    route_handlers=[
        search_page,
        item_page,
        send_question,
        question_file,
        question_thumbnail,
        static_file,
    ],
    exception_handlers=PAGE_EXCEPTION_HANDLERS,
)
