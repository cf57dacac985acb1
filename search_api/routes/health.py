"""Alive, able to answer, and numbers for Prometheus."""

from __future__ import annotations

from litestar import Response, Router, get

from search_api.errors import NotReady
from search_api.metrics import CONTENT_TYPE
from search_api.problems import problem_responses
from search_api.schemas import Health
from search_api.service import Service


@get("/healthz", summary="Alive", access="open")
async def healthz() -> Health:
    """Answer as long as the process runs; says nothing about what it needs."""
    return Health(status="ok")


@get(
    "/readyz",
    responses=problem_responses(503, needs_key=False),
    summary="Able to answer",
    access="open",
)
async def readyz(service: Service) -> Health:
    """Answer 200 when searches can be answered, else 503 with the reasons.

    ``problems`` says what is wrong although they can.
    """
    reasons = await service.reasons_not_ready()
    if reasons:
        raise NotReady("; ".join(reasons), reasons=list(reasons))
    return Health(status="ready", problems=service.problems())


@get("/metrics", media_type=CONTENT_TYPE, summary="Prometheus metrics", access="read")
async def metrics(service: Service) -> Response[bytes]:
    """Return the metrics of all workers."""
    return Response(content=service.metrics.exposition(), media_type=CONTENT_TYPE)


health_router = Router(path="/", route_handlers=[healthz, readyz, metrics], tags=["health"])
