"""Vectors for words."""

from __future__ import annotations

from litestar import Router, post
from litestar.params import JSONBody

from search_api.embedding import embed
from search_api.embedding_schemas import EmbeddingsAnswer, EmbeddingsRequest
from search_api.problems import problem_responses
from search_api.routes.search import MAX_JSON_BYTES
from search_api.service import Service


@post(
    "/embeddings",
    status_code=200,
    request_max_body_size=MAX_JSON_BYTES,
    responses=problem_responses(400, 404, 413, 429, 503, 504),
    summary="Encode words",
    access="read",
)
async def create_embeddings(
    data: JSONBody[EmbeddingsRequest], service: Service
) -> EmbeddingsAnswer:
    """Return vectors for one text or several, in the shape of OpenAI's endpoint."""
    service.require_collection(data.collection)
    return await embed(data, service.config, service.encoder)


embeddings_router = Router(path="/v1", route_handlers=[create_embeddings], tags=["search"])
