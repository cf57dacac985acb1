"""Storing and deleting items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from litestar import Request, Response, Router, delete, get, post, put
from litestar.datastructures import UploadFile
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody
from litestar.params import FromPath, HeaderParameter

from search_api.errors import InvalidRequest
from search_api.keyed_requests import Answer
from search_api.operation_results import job_out
from search_api.problems import problem_responses
from search_api.routes.bodies import JSON, MULTIPART, decoded, inlined_schema, json_body
from search_api.routes.items import ITEM_READS, CollectionName
from search_api.service import Service
from search_api.write_schemas import (
    BatchAnswer,
    BatchRequest,
    DocumentedBatch,
    ItemWritten,
    JobAccepted,
    JobOut,
    PutFileOptions,
    PutItem,
)

Prefer = Annotated[
    str | None,
    HeaderParameter(
        name="Prefer", description="`respond-async`: make it a job and do not wait for it."
    ),
]

IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        description="Random text: the request is carried out once, however often it is sent "
        "within a day, and answered alike.",
    ),
]


@dataclass
class PutItemOperation(Operation):
    """The route reads its body itself, since there are two kinds of it."""

    def __post_init__(self) -> None:
        form = {
            "type": "object",
            "required": ["file"],
            "properties": {
                "file": {"type": "string", "format": "binary"},
                "request": {
                    "type": "string",
                    "contentMediaType": JSON,
                    "contentSchema": inlined_schema(PutFileOptions),
                },
            },
        }
        self.request_body = RequestBody(
            required=True,
            content={
                JSON: OpenAPIMediaType(schema=inlined_schema(PutItem)),  # type: ignore[arg-type]
                MULTIPART: OpenAPIMediaType(schema=form),  # type: ignore[arg-type]
            },
        )


@dataclass
class BatchOperationOfItems(Operation):
    """The route reads each operation by itself."""

    def __post_init__(self) -> None:
        schema = inlined_schema(DocumentedBatch)
        content = {JSON: OpenAPIMediaType(schema=schema)}  # type: ignore[arg-type]
        self.request_body = RequestBody(required=True, content=content)


def wants_job(prefer: str | None) -> bool:
    """Tell whether a request asks not to be waited for (RFC 7240)."""
    wishes = (prefer or "").replace(";", ",").split(",")
    return "respond-async" in (wish.strip().lower() for wish in wishes)


async def file_form(request: Request[Any, Any, Any]) -> tuple[UploadFile, PutFileOptions]:
    """Read a form of a file and, if it is there, its options.

    Raises:
        InvalidRequest: it has other parts, or they do not fit.
    """
    form = await request.form()
    unknown = sorted(set(form) - {"file", "request"})
    file, options = form.get("file"), form.get("request", "{}")
    if unknown or not isinstance(file, UploadFile) or not isinstance(options, str):
        raise InvalidRequest(
            "expected the parts 'file', a file, and 'request', JSON; got "
            + (", ".join(repr(name) for name in form) or "none")
        )
    return file, decoded(options, PutFileOptions, "part 'request'")


def answer_response(answer: Answer) -> Response[Any]:
    """Return what was answered as a response."""
    headers = {"Idempotency-Replayed": "true"} if answer.replayed else {}
    if answer.stored.location is not None:
        headers["Location"] = answer.stored.location
    return Response(
        content=answer.stored.answer_json.encode(),
        status_code=answer.stored.status,
        media_type=JSON,
        headers=headers,
    )


def described(kind: type, description: str) -> ResponseSpec:
    """Return the OpenAPI entry for an answer."""
    return ResponseSpec(data_container=kind, description=description, generate_examples=False)


@put(
    "/{item_id:str}",
    status_code=200,
    operation_class=PutItemOperation,
    responses={
        200: described(ItemWritten, "The item took the place of an earlier one."),
        201: described(ItemWritten, "There was no such item before."),
        202: described(JobAccepted, "It takes long, or was not to be waited for: a job."),
    }
    | problem_responses(400, 403, 404, 409, 413, 415, 422, 429, 503, 504, 507),
    summary="Store an item",
    access="write",
)
async def put_item(
    item_id: FromPath[str],
    request: Request[Any, Any, Any],
    service: Service,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Response[Any]:
    """Store a file, a text, or vectors made elsewhere as the item of this id.

    Whatever the item was before is gone. When the answer comes, the item is stored durably and
    found by this worker; all others find it within a second. Long media become a job instead,
    which is carried out whatever happens to the server.
    """
    if request.content_type[0] == MULTIPART:
        upload, options = await file_form(request)
        service.require_collection(options.collection)
        answer = await service.writes.put_file(
            item_id, upload, options, idempotency_key, respond_async=wants_job(prefer)
        )
    else:
        body = await json_body(request, PutItem)
        service.require_collection(body.collection)
        answer = await service.writes.put(
            item_id, body, idempotency_key, respond_async=wants_job(prefer)
        )
    return answer_response(answer)


@delete(
    "/{item_id:str}",
    status_code=204,
    responses=problem_responses(400, 403, 404, 409, 422, 429, 503, 507),
    summary="Delete an item",
    access="write",
)
async def delete_item(
    item_id: FromPath[str],
    service: Service,
    idempotency_key: IdempotencyKey = None,
    collection: CollectionName = None,
) -> None:
    """Remove an item from search at once. A later write or ingest brings it back."""
    service.require_collection(collection)
    await service.writes.delete(item_id, idempotency_key)


@post(
    "/batch",
    status_code=200,
    operation_class=BatchOperationOfItems,
    responses={
        200: described(BatchAnswer, "What became of each operation."),
        202: described(JobAccepted, "There are many, or they were not to be waited for: a job."),
    }
    | problem_responses(400, 403, 404, 409, 413, 415, 422, 429, 503, 504, 507),
    summary="Store and delete many items",
    access="write",
)
async def change_items(
    request: Request[Any, Any, Any],
    service: Service,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Response[Any]:
    """Carry out up to 1000 operations, in order; one that cannot be fails alone."""
    body = await json_body(request, BatchRequest)
    service.require_collection(body.collection)
    answer = await service.writes.batch(
        body.operations, idempotency_key, respond_async=wants_job(prefer)
    )
    return answer_response(answer)


@get(
    "/{job_id:str}", responses=problem_responses(400, 404, 429), summary="Read a job", access="read"
)
async def read_job(
    job_id: FromPath[str], service: Service, collection: CollectionName = None
) -> JobOut:
    """Return how far a job is and what became of its operations; finished ones for a week."""
    service.require_collection(collection)
    return job_out(await service.writes.job(job_id))


jobs_router = Router(path="/v1/jobs", route_handlers=[read_job], tags=["items"])

# One router, since reads and writes share their paths.
items_router = Router(
    path="/v1/items",
    route_handlers=[*ITEM_READS, put_item, delete_item, change_items],
    tags=["items"],
)
