"""What the server holds and what could not be taken in."""

from __future__ import annotations

import asyncio

from litestar import Router, get, post
from litestar.params import FromQuery, JSONBody
from litestar.status_codes import HTTP_200_OK

from encoders.errors import SpaceMismatch
from indexer.manifest import SnapshotCorrupt, SnapshotUnreadable
from indexer.publish import kept_snapshots, roll_back
from indexer.smoke_search import SmokeSearchFailed
from search_api.errors import RollbackRefused
from search_api.problems import problem_responses
from search_api.schemas import (
    ChannelOut,
    CollectionList,
    CollectionOut,
    FailureList,
    FailureOut,
    RollbackOut,
    RollbackRequest,
    SnapshotList,
    SnapshotOut,
)
from search_api.service import Service


@get(
    "/collections", responses=problem_responses(429, 503), summary="List collections", access="read"
)
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


@get(
    "/failures", responses=problem_responses(400, 404, 429), summary="List failures", access="read"
)
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


@get(
    "/snapshots",
    responses=problem_responses(400, 404, 429),
    summary="List snapshots",
    access="read",
)
async def list_snapshots(
    service: Service,
    collection: FromQuery[str | None] = None,
) -> SnapshotList:
    """Return the snapshots that can be served, and which one is."""
    service.require_collection(collection)
    data, name = service.settings.data, service.config.name
    kept = await service.pool.run(lambda: kept_snapshots(data, name))
    return SnapshotList(snapshots=[SnapshotOut(**each.as_json()) for each in kept])


@post(
    "/rollback",
    status_code=HTTP_200_OK,
    responses=problem_responses(400, 403, 404, 409, 503),
    summary="Serve an earlier snapshot again",
    access="admin",
)
async def rollback(data: JSONBody[RollbackRequest], service: Service) -> RollbackOut:
    """Go back to the snapshot before the live one, or to the one named.

    What was written since it was built stays visible; all workers follow within a moment. The next
    ingest or reindex publishes a new snapshot.
    """
    service.require_collection(data.collection)
    settings, name = service.settings, service.config.name
    try:
        # Not in the searches' pool: a large snapshot is read whole before it is trusted.
        manifest = await asyncio.to_thread(
            roll_back,
            settings.data,
            name,
            service.encoder.plan.identities,
            snapshot_id=data.snapshot,
            identities_of=service.identities_of,
            while_swapping=service.catalog.writes_held,
        )
    except (SnapshotCorrupt, SnapshotUnreadable, SpaceMismatch, SmokeSearchFailed) as error:
        raise RollbackRefused(error.message, **error.detail) from error
    delta = await service.pool.run(
        lambda: service.catalog.num_changed_since(name, manifest.through_seq)
    )
    return RollbackOut(snapshot=manifest.snapshot_id, delta=delta)


operations_router = Router(
    path="/v1",
    route_handlers=[list_collections, list_failures, list_snapshots, rollback],
    tags=["operations"],
)
