"""Items: what is stored about them, what is like them, and their files."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, get, route
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter

from encoders.media.content import MEDIA, Medium
from encoders.media.item import check_item_id
from indexer.catalog.locations import stored_location
from indexer.catalog.records import ItemRecord
from search_api.errors import ItemNotFound, UnknownModality
from search_api.playable import version_name
from search_api.problems import problem_responses
from search_api.routes.files import GET_AND_HEAD, MEDIA_HEADERS, file_response, not_modified
from search_api.schemas import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    ItemOut,
    ItemPage,
    Query,
    SearchRequest,
    SearchResponse,
)
from search_api.service import SearchService, Service
from search_api.stored_media import open_media
from search_api.thumbnails import MEDIA_TYPE as THUMBNAIL_TYPE
from search_api.thumbnails import rounded_instant

DEFAULT_PAGE = 50

CommaSeparated = Annotated[
    str | None, QueryParameter(description="Names with commas between them; nothing: all.")
]
CollectionName = Annotated[
    str | None, QueryParameter(description="Nothing: the configured collection.")
]
PageLimit = Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT, description="How many items.")]

# Declared here and not as the handler's media type, which would replace the file's own.
FILE_RESPONSES = {
    status: ResponseSpec(
        data_container=bytes,
        description=description,
        media_type="application/octet-stream",
        generate_examples=False,
    )
    for status, description in {200: "The whole file.", 206: "The range asked for."}.items()
}

CACHED = {"Cache-Control": "private, max-age=3600"}
"""What is shown on pages is asked for again after an hour, and then by its ETag."""

MAX_AT_SECONDS = 1e7


def item_out(item: ItemRecord) -> ItemOut:
    """Return an item as the API shows it."""
    return ItemOut(
        item_id=item.item_id,
        modality=item.medium,
        format=item.format,
        location=stored_location(item),
        attributes=dict(item.attributes),
        content_sha256=item.content_sha256,
        size_bytes=item.size_bytes,
        duration_seconds=item.duration_seconds,
        width_px=item.width_px,
        height_px=item.height_px,
        created_at=item.created_at or None,
        updated_at=item.updated_at or None,
    )


async def stored_item(service: SearchService, item_id: str, collection: str | None) -> ItemRecord:
    """Return an item of the catalog.

    Raises:
        InvalidItemId: the id does not have the agreed form.
        UnknownCollection, ItemNotFound: there is no such thing.
    """
    check_item_id(item_id)
    service.require_collection(collection)
    name = service.config.name
    item = await service.pool.run(lambda: service.catalog.item(name, item_id))
    if item is None:
        raise ItemNotFound(f"collection {name} has no item {item_id!r}", item_id=item_id)
    return item


@get("/", responses=problem_responses(400, 404, 429), summary="List items", access="read")
async def list_items(
    service: Service,
    after: Annotated[
        str | None, QueryParameter(description="Only items whose id comes after this.")
    ] = None,
    limit: PageLimit = DEFAULT_PAGE,
    medium: Annotated[str | None, QueryParameter(description="Only items of this medium.")] = None,
    collection: CollectionName = None,
) -> ItemPage:
    """Return items in order of their ids; pass ``next_after`` as ``after`` to read on."""
    service.require_collection(collection)
    if after is not None:
        check_item_id(after)
    if medium is not None and medium not in MEDIA:
        raise UnknownModality(f"there is no medium {medium!r}; there are: {', '.join(MEDIA)}")
    chosen: Medium | None = medium
    items = await service.pool.run(
        lambda: service.catalog.list_items(
            service.config.name, after_item_id=after, limit=limit + 1, medium=chosen
        )
    )
    page = items[:limit]
    return ItemPage(
        items=[item_out(item) for item in page],
        next_after=page[-1].item_id if len(items) > limit else None,
    )


@get(
    "/{item_id:str}",
    responses=problem_responses(400, 404, 429),
    summary="Read an item",
    access="read",
)
async def read_item(
    item_id: FromPath[str],
    service: Service,
    collection: CollectionName = None,
) -> ItemOut:
    """Return what is stored about an item."""
    return item_out(await stored_item(service, item_id, collection))


@get(
    "/{item_id:str}/similar",
    responses=problem_responses(400, 404, 429, 503),
    summary="Find similar items",
    access="read",
)
async def similar_items(
    item_id: FromPath[str],
    service: Service,
    limit: PageLimit = DEFAULT_LIMIT,
    modalities: CommaSeparated = None,
    channels: CommaSeparated = None,
    collection: CollectionName = None,
) -> SearchResponse:
    """Return the items nearest to a stored item; the item itself is left out."""
    check_item_id(item_id)
    return await service.searcher.search(
        SearchRequest(
            query=Query(item_id=item_id),
            collection=collection,
            modalities=_names(modalities),
            channels=_names(channels),
            limit=limit,
        )
    )


@route(
    "/{item_id:str}/media",
    http_method=GET_AND_HEAD,
    responses=FILE_RESPONSES | problem_responses(400, 404, 410, 416, 429),
    summary="Read the file of an item",
    access="read",
)
async def item_media(
    item_id: FromPath[str],
    request: Request[Any, Any, Any],
    service: Service,
    collection: CollectionName = None,
) -> Response[Any]:
    """Return the item's file, or the part that a ``Range`` header asks for."""
    item = await stored_item(service, item_id, collection)
    etag = f'"{item.content_sha256}"'
    known = not_modified(request, etag)
    if known is not None:
        return known
    media = await service.pool.run(lambda: open_media(item))
    return file_response(request, media, etag)


@route(
    "/{item_id:str}/playable",
    http_method=GET_AND_HEAD,
    responses=FILE_RESPONSES | problem_responses(400, 404, 410, 416, 422, 429, 503),
    summary="Read what browsers can play of an item",
    access="read",
)
async def item_playable(
    item_id: FromPath[str],
    request: Request[Any, Any, Any],
    service: Service,
    collection: CollectionName = None,
) -> Response[Any]:
    """Return the item's file if browsers play it, otherwise a version that is made once and kept.

    Such a version has the same clock, so moments are found at the same seconds. While it is being
    made the answer is 503 with ``Retry-After``; 422 says that none can be made.
    """
    item = await stored_item(service, item_id, collection)
    etag = f'"{version_name(item)}-playable"'
    known = not_modified(request, etag, CACHED)
    if known is not None:
        return known
    media = await service.playables.of(item)
    return file_response(request, media, etag, CACHED)


@route(
    "/{item_id:str}/thumbnail",
    http_method=GET_AND_HEAD,
    responses=problem_responses(400, 404, 410, 429, 503, 504),
    media_type=THUMBNAIL_TYPE,
    summary="Read a small picture of an item",
    access="read",
)
async def item_thumbnail(
    item_id: FromPath[str],
    request: Request[Any, Any, Any],
    service: Service,
    at: Annotated[
        float,
        QueryParameter(description="Where in a video, in seconds.", ge=0, le=MAX_AT_SECONDS),
    ] = 0.0,
    collection: CollectionName = None,
) -> Response[bytes]:
    """Return a small WebP of a picture, or of a frame of a video."""
    item = await stored_item(service, item_id, collection)
    at_seconds = rounded_instant(at, item)
    etag = f'"{item.content_sha256}-thumbnail@{at_seconds:.1f}"'
    headers = {**MEDIA_HEADERS, **CACHED}
    known = not_modified(request, etag, headers)
    if known is not None:
        return known
    picture = await service.thumbnails.of(item, at_seconds=at_seconds)
    return Response(content=picture, media_type=THUMBNAIL_TYPE, headers={**headers, "ETag": etag})


def _names(text: str | None) -> list[str] | None:
    names = [name.strip() for name in (text or "").split(",") if name.strip()]
    return names or None


ITEM_READS = (
    list_items,
    read_item,
    similar_items,
    item_media,
    item_playable,
    item_thumbnail,
)
