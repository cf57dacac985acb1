"""Writes over HTTP while snapshots are swapped: found at once where they were sent, soon by all."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.http_connections import BrokenConnection, Connection
from benchmarks.swap_items import EXACT_CHANNEL, OWN, SwapItems

PAUSE_SECONDS = 0.5
POLL_SECONDS = 0.02
MAX_SECONDS = 60.0
"""A write that a worker has not found by then is lost."""

NUM_KEPT = 6
"""Items that are there at any time; each is looked for again and again until it is deleted."""


@dataclass(slots=True)
class WriteNotes:
    """What became of writes. Instants are those of ``time.monotonic``."""

    written: list[tuple[float, float]] = field(default_factory=list)
    """When each was sent and answered."""

    found_by_all: list[tuple[float, float]] = field(default_factory=list)
    """When each was answered, and how many seconds later the last worker had it."""

    failures: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    """Writes that were answered and not found, and deleted items that were."""


async def write_and_look(
    items: SwapItems, connections: Sequence[Connection], stop: asyncio.Event, notes: WriteNotes
) -> None:
    """Put and delete items and look for them, until told.

    Args:
        items: what items there are.
        connections: one to each worker, for this alone.
        stop: set when it is time.
        notes: takes what happens.
    """
    dice, kept, number = random.Random(3), list[str](), 0
    while not stop.is_set():
        number += 1
        item_id, is_put = f"{OWN}-{number:06d}", len(kept) < NUM_KEPT
        if not is_put:
            item_id = kept.pop(0)
        try:
            await _write(items, number, item_id, is_put, dice.choice(connections), notes)
            if is_put:
                kept.append(item_id)
            await _until_all_find(connections, item_id, is_put, notes)
            for each in connections:
                for other in kept:
                    if not await _is_as(each, other, True):
                        notes.lost["an item that had been found is not found any more"] += 1
        except BrokenConnection as error:
            notes.failures[f"a write or a look: {error}"] += 1
        await asyncio.sleep(PAUSE_SECONDS)


async def _write(
    items: SwapItems,
    number: int,
    item_id: str,
    is_put: bool,
    connection: Connection,
    notes: WriteNotes,
) -> None:
    method, body = ("PUT", items.own_body(number)) if is_put else ("DELETE", None)
    sent = time.monotonic()
    answer = await connection.ask(method, f"/v1/items/{item_id}", body)
    notes.written.append((sent, time.monotonic()))
    if answer.status not in (201, 204):
        notes.failures[f"{method}: {answer.status} {answer.body[:200].decode()}"] += 1
    elif not await _is_as(connection, item_id, is_put):
        notes.lost[f"the worker that answered {method} does not show it"] += 1


async def _until_all_find(
    connections: Sequence[Connection], item_id: str, is_there: bool, notes: WriteNotes
) -> None:
    answered = notes.written[-1][1]

    async def seconds_until(connection: Connection) -> float:
        while not await _is_as(connection, item_id, is_there):
            if time.monotonic() > answered + MAX_SECONDS:
                notes.lost[f"a worker does not show a write after {MAX_SECONDS:g} s"] += 1
                break
            await asyncio.sleep(POLL_SECONDS)
        return time.monotonic() - answered

    seconds = await asyncio.gather(*(seconds_until(each) for each in connections))
    notes.found_by_all.append((answered, max(seconds)))


async def _is_as(connection: Connection, item_id: str, is_there: bool) -> bool:
    """Tell whether a worker finds an item, or does not, as it should."""
    body = {"query": {"item_id": item_id}, "channels": [EXACT_CHANNEL], "limit": 1}
    answer = await connection.ask("POST", "/v1/search", body)
    return answer.status == (200 if is_there else 404)
