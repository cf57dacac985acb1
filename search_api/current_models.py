"""Preparing writes with the models that serve, and again if others took over meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias, TypeVar

from indexer.item_operations import DeleteItem, JobOperation, Operation
from indexer.item_writer import ItemWriter
from indexer.runners.local import ModelOpener
from search_api.bounded_pool import BoundedPool
from search_api.item_intake import ItemIntake
from search_api.model_guard import ModelGuard, ModelSwitched

SWITCH_POLL_SECONDS = 0.1

Guard: TypeAlias = Callable[[], None]
"""Raises where what was prepared may not be stored any more."""

_T = TypeVar("_T")


def stores_items(operations: Sequence[JobOperation]) -> bool:
    """Tell whether any of some operations is not a deletion."""
    return any(not isinstance(each, DeleteItem) for each in operations)


class CurrentModels:
    """Runs what prepares and stores writes.

    Args:
        intake: gives the models that serve now.
        guard: knows whether they do.
        pool: runs it.
        refresh: makes this worker find what was written.
        write_seconds: how long the encoders may take, and how long to wait for new models.
    """

    def __init__(
        self,
        intake: ItemIntake,
        guard: ModelGuard,
        pool: BoundedPool,
        refresh: Callable[[], object],
        write_seconds: float,
    ) -> None:
        self._intake = intake
        self._guard = guard
        self._pool = pool
        self._refresh = refresh
        self._write_seconds = write_seconds

    async def run(
        self,
        operations: Sequence[Operation],
        work: Callable[[ItemWriter, ModelOpener, Guard], _T],
    ) -> _T:
        """Run ``work`` in a thread, again if other models took over before it was stored.

        Args:
            operations: what ``work`` carries out; deletions alone wait for no model.
            work: given what prepares, the models, and what to ask before storing.

        Raises:
            ModelSwitched: this worker has not taken them up in the time that a write may take.
        """
        deadline = time.monotonic() + self._write_seconds
        while True:
            await self._pool.run(self._intake.writer)
            writer, models = self._intake.tools(self._write_seconds)
            guard = partial(self._guard.require_current, writer.identities)
            try:
                if stores_items(operations):
                    # Here already: asked while others may not write, it is answered from memory.
                    await self._pool.run(guard)
                done = await self._pool.run(partial(work, writer, models, guard))
            except ModelSwitched:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(SWITCH_POLL_SECONDS)
            else:
                await asyncio.to_thread(self._refresh)
                return done
