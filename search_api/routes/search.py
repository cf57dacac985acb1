"""Searching: in words, by an item of the collection, or with an uploaded file."""

from __future__ import annotations

import msgspec
from litestar import Router, post
from litestar.datastructures import UploadFile
from litestar.params import JSONBody, MultipartBody

from search_api.errors import InvalidRequest
from search_api.problems import problem_responses
from search_api.schemas import MediaSearchRequest, SearchRequest, SearchResponse
from search_api.service import Service
from search_api.uploads import spooled

MAX_JSON_BYTES = 1_000_000


class MediaSearchForm(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The parts of ``POST /v1/search/media``."""

    file: UploadFile
    """A picture, a sound, a video or a text; its content says which, its name does not matter."""

    request: str = "{}"
    """JSON: the body of ``POST /v1/search`` without ``query``."""


@post(
    "/search",
    status_code=200,
    request_max_body_size=MAX_JSON_BYTES,
    responses=problem_responses(400, 404, 413, 429, 503, 504),
    summary="Search in words or by example",
)
async def search(data: JSONBody[SearchRequest], service: Service) -> SearchResponse:
    """Return the items nearest to a text or to a stored item, best first."""
    return await service.searcher.search(data)


@post(
    "/search/media",
    status_code=200,
    responses=problem_responses(400, 404, 413, 422, 429, 503, 504),
    summary="Search with a file",
)
async def search_media(
    data: MultipartBody[MediaSearchForm],
    service: Service,
) -> SearchResponse:
    """Return the items nearest to an uploaded file, best first."""
    try:
        options = msgspec.json.decode(data.request, type=MediaSearchRequest)
    except msgspec.MsgspecError as error:
        raise InvalidRequest(f"part 'request': {error}") from error
    async with spooled(
        data.file,
        service.settings.uploads,
        max_bytes=service.settings.max_upload_bytes,
        pool=service.pool,
    ) as path:
        return await service.searcher.search_file(path, options)


search_router = Router(path="/v1", route_handlers=[search, search_media], tags=["search"])
