"""What the server holds and what could not be taken in."""

from __future__ import annotations

from litestar import Router, get
from litestar.params import FromQuery

from search_api.problems import problem_responses
from search_api.schemas import (
    ChannelOut,
    CollectionList,
    CollectionOut,
    FailureList,
    FailureOut,
)
from search_api.service import Service


@get("/collections", responses=problem_responses(429, 503), summary="List collections")
async def list_collections(service: Service) -> CollectionList:
    """Return the collections that are served and what they hold now."""
    config, view, plan = service.config, service.view(), service.encoder.plan
    counts = await service.pool.run(lambda: service.catalog.counts(config.name))
    channels = {}
    for name, channel in config.channels.items():
        info = view.channels.get(name)
        channels[name] = ChannelOut(
            media=list(channel.media),
            space_id=info.space_id if info else None,
            dim=info.dim if info else None,
            segments=info.num_rows if info else 0,
            asked_with=plan.media_for(name),
        )
    return CollectionList(
        collections=[
            CollectionOut(
                name=config.name,
                default=True,
                items=counts.items,
                segments=counts.segments,
                failed=counts.failed,
                delta=view.num_delta_items,
                snapshot=view.snapshot_id,
                attributes=dict(config.attributes),
                channels=channels,
            )
        ]
    )


@get("/failures", responses=problem_responses(400, 404, 429), summary="List failures")
async def list_failures(
    service: Service,
    collection: FromQuery[str | None] = None,
) -> FailureList:
    """Return every file that could not be taken in, with the reason of its latest attempt."""
    service.require_collection(collection)
    failures = await service.pool.run(lambda: service.catalog.failures(service.config.name))
    return FailureList(
        failures=[
            FailureOut(
                location=failure.location,
                item_id=failure.item_id,
                reason=failure.reason,
                detail=failure.detail,
                attempts=failure.attempts,
                first_seen=failure.first_seen,
                last_seen=failure.last_seen,
            )
            for failure in failures
        ]
    )


operations_router = Router(
    path="/v1", route_handlers=[list_collections, list_failures], tags=["operations"]
)
