"""The most memory that a process and its children held at once."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

import psutil

POLL_SECONDS = 0.1
MOST_SHARE = 0.005
"""Of a processor's time; finding children means looking at every process of the machine."""


class PeakMemory:
    """Watches while it is entered; what processes share is counted for each of them.

    The kernel's own peak of children will not do: a child begins with that of its parent.
    """

    def __init__(self) -> None:
        self.peak_bytes = 0
        """The most seen so far."""

        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._stop.clear()
        self._thread = threading.Thread(target=self._watch, name="peak-memory", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._thread is not None, "entered before"
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        process = psutil.Process()
        while True:
            started = time.thread_time()
            total = 0
            for member in (process, *process.children(recursive=True)):
                try:
                    total += member.memory_info().rss
                except psutil.NoSuchProcess:
                    continue  # it ended meanwhile
            self.peak_bytes = max(self.peak_bytes, total)
            spent = time.thread_time() - started
            if self._stop.wait(max(POLL_SECONDS, spent / MOST_SHARE)):
                return
