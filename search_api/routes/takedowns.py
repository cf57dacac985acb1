"""Taking items down for good, and the receipts."""

from __future__ import annotations

import asyncio

import msgspec
from litestar import Router, get, post
from litestar.params import FromPath, JSONBody
from litestar.status_codes import HTTP_200_OK

from indexer.takedown import Receipt, purge, read_receipt, take_down
from search_api.problems import problem_responses
from search_api.routes.items import CollectionName
from search_api.service import Service
from search_api.takedown_schemas import ReceiptOut, TakedownRequest


def receipt_out(receipt: Receipt) -> ReceiptOut:
    """Return a receipt as the API shows it."""
    return msgspec.convert(receipt.as_json(), ReceiptOut)


@post(
    "/takedown",
    status_code=HTTP_200_OK,
    responses=problem_responses(400, 403, 404, 409, 429),
    summary="Take items down for good",
    access="admin",
)
async def post_takedown(data: JSONBody[TakedownRequest], service: Service) -> ReceiptOut:
    """Hide items everywhere at once and refuse them from now on, by id and by content.

    All workers and all snapshots, older and coming ones, hide them within a moment. The receipt
    says what was erased and when the rest goes; ``purge`` erases it before it answers. Their own
    files stay where they are. Only `kindred takedown --lift` allows them again.
    """
    service.require_collection(data.collection)
    settings, config = service.settings, service.config
    receipt = await service.pool.run(
        lambda: take_down(
            service.catalog,
            settings.data,
            config.name,
            data.item_ids,
            same_content=data.same_content,
            requested_by=data.requested_by,
            reason=data.reason,
        )
    )
    await asyncio.to_thread(service.refresh)
    if data.purge:
        # Not in the searches' pool: it takes as long as a reindex.
        receipt = await asyncio.to_thread(
            purge,
            service.catalog,
            settings.data,
            config,
            lambda _: service.encoder.plan.identities,
            receipt.takedown.takedown_id,
        )
        await asyncio.to_thread(service.refresh)
    return receipt_out(receipt)


@get(
    "/takedowns/{takedown_id:str}",
    responses=problem_responses(400, 404, 429),
    summary="Read the receipt of a takedown",
    access="admin",
)
async def read_takedown(
    takedown_id: FromPath[str], service: Service, collection: CollectionName = None
) -> ReceiptOut:
    """Return what was taken down, what has been erased, and what still holds it now."""
    service.require_collection(collection)
    data, name = service.settings.data, service.config.name
    receipt = await service.pool.run(lambda: read_receipt(service.catalog, data, name, takedown_id))
    return receipt_out(receipt)


takedowns_router = Router(
    path="/v1", route_handlers=[post_takedown, read_takedown], tags=["operations"]
)
