"""Searching: in words, by an item of the collection, or with an uploaded file."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, post
from litestar.datastructures import UploadFile
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody
from litestar.params import JSONBody, MultipartBody, QueryParameter

from encoders.errors import KindredError
from search_api.errors import InvalidRequest
from search_api.problems import kindred_problem, problem_responses
from search_api.routes.bodies import JSON, RAW, decoded, inlined_schema, json_body
from search_api.routes.items import CollectionName
from search_api.schemas import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    MAX_QUERY_VECTORS,
    BatchedSearch,
    BatchSearchRequest,
    BatchSearchResponse,
    MediaSearchRequest,
    SearchOptions,
    SearchRequest,
    SearchResponse,
    VectorSearchResponse,
)
from search_api.service import SearchService, Service
from search_api.uploads import spooled

MAX_JSON_BYTES = 1_000_000
MAX_RAW_BYTES = 4 * 2048 * MAX_QUERY_VECTORS
"""Of raw vectors: no model in use makes longer ones than 2048."""


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
    access="read",
)
async def search(data: JSONBody[SearchRequest], service: Service) -> SearchResponse:
    """Return the items nearest to a text or to a stored item, best first."""
    return await service.searcher.search(data)


@post(
    "/search/media",
    status_code=200,
    responses=problem_responses(400, 404, 413, 422, 429, 503, 504),
    summary="Search with a file",
    access="read",
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


@dataclass
class BatchSearchOperation(Operation):
    """The route reads its body itself, since there are two kinds of it."""

    def __post_init__(self) -> None:
        raw = {"type": "string", "format": "binary", "description": "float32, lowest byte first"}
        self.request_body = RequestBody(
            required=True,
            content={
                JSON: OpenAPIMediaType(schema=inlined_schema(BatchSearchRequest)),  # type: ignore[arg-type]
                RAW: OpenAPIMediaType(schema=raw),  # type: ignore[arg-type]
            },
        )


@post(
    "/search/batch",
    status_code=200,
    operation_class=BatchSearchOperation,
    request_max_body_size=MAX_RAW_BYTES,
    responses={
        200: ResponseSpec(
            data_container=BatchSearchResponse | VectorSearchResponse,
            description="The answers to JSON, or to raw vectors.",
            generate_examples=False,
        )
    }
    | problem_responses(400, 404, 413, 415, 429, 503, 504),
    summary="Search many times at once",
    access="read",
)
async def search_batch(
    request: Request[Any, Any, Any],
    service: Service,
    channel: Annotated[
        str | None, QueryParameter(description="Raw vectors: the channel they ask.")
    ] = None,
    limit: Annotated[
        int, QueryParameter(ge=1, le=MAX_LIMIT, description="Raw vectors: items for each.")
    ] = DEFAULT_LIMIT,
    filter: Annotated[
        str | None, QueryParameter(description="Raw vectors: a filter, as JSON.")
    ] = None,
    collection: CollectionName = None,
) -> Response[Any]:
    """Answer up to 64 searches, or up to 4096 raw vectors of one channel.

    Sent as JSON, each search is answered by itself. Sent as ``application/octet-stream``, the body
    is rows of float32, and ids and scores come back without all that a search tells of its hits.
    """
    if request.content_type[0] != RAW:
        batch = await json_body(request, BatchSearchRequest)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_answered(service, each)) for each in batch.searches]
        results = [task.result() for task in tasks]
        return Response(BatchSearchResponse(results=results))
    if channel is None:
        raise InvalidRequest("raw vectors need the parameter `channel`: whose space they are in")
    condition = None if filter is None else decoded(filter, dict, "parameter 'filter'")
    options = SearchOptions(collection=collection, limit=limit, filter=condition)
    content = await request.body()
    return Response(await service.searcher.search_vectors(content, channel, options))


async def _answered(service: SearchService, search: SearchRequest) -> BatchedSearch:
    try:
        return BatchedSearch(answer=await service.searcher.search(search))
    except KindredError as error:
        return BatchedSearch(error=kindred_problem(error))


search_router = Router(
    path="/v1", route_handlers=[search, search_media, search_batch], tags=["search"]
)
