"""Threads for work that would hold up the event loop, with a bounded queue before them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from encoders.serving.errors import Overloaded

T = TypeVar("T")


class BoundedPool:
    """Runs work in a few threads and refuses when too much waits.

    Args:
        num_threads: how much runs at once.
        max_waiting: how much more may wait.
        name: of the threads.
    """

    def __init__(self, num_threads: int, max_waiting: int, name: str) -> None:
        self._executor = ThreadPoolExecutor(num_threads, thread_name_prefix=name)
        self._max_pending = num_threads + max_waiting
        self._num_pending = 0
        self._lock = threading.Lock()

    async def run(self, work: Callable[[], T], /) -> T:
        """Return what ``work()`` returns.

        Raises:
            Overloaded: the queue is full.
        """
        with self._lock:
            if self._num_pending >= self._max_pending:
                raise Overloaded(
                    f"{self._num_pending} requests wait here already; try again soon",
                    waiting=self._num_pending,
                )
            self._num_pending += 1
        future = self._executor.submit(work)
        future.add_done_callback(self._finished)
        return await asyncio.wrap_future(future)

    def _finished(self, _future: Future[Any]) -> None:
        with self._lock:
            self._num_pending -= 1

    def close(self) -> None:
        """End the threads after what they run now."""
        self._executor.shutdown(wait=True, cancel_futures=True)
