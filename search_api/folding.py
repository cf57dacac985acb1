"""Folding a large delta into a new snapshot: a reindex in a process of its own.

The delta is searched exactly, so it slows every search as it grows. At most one fold runs: whoever
begins one holds the collection's fold lock, and the reindex holds the writer lock as any other.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import Callable

import psutil
import structlog
from filelock import FileLock, Timeout

from encoders.child_processes import child_environment, module_command
from indexer.data_dir import DATA_DIR_VARIABLE
from indexer.live_view import LiveView
from search_api.settings import Settings

POLL_SECONDS = 2.0
RETRY_SECONDS = 300.0
"""After a reindex that was refused or failed: its reason rarely goes away by itself."""

MIN_SEGMENTS = 1000
"""A smaller delta is searched in no time, however small its snapshot is."""

NICENESS = 10
STOP_SECONDS = 5.0

log = structlog.get_logger("kindred.fold")


def fold_is_due(view: LiveView, max_segments: int, max_share: float) -> bool:
    """Tell whether a view's delta is beyond its limits.

    Args:
        view: what is searched now.
        max_segments: of the delta, hidden ones included.
        max_share: of the snapshot's segments.
    """
    num_segments = view.num_delta_segments
    held = view.snapshot.manifest.num_segments if view.snapshot else 0
    return num_segments > max_segments or num_segments > max(MIN_SEGMENTS, max_share * held)


class Folding:
    """Watches the delta of one worker's view and starts a reindex when it is due.

    Args:
        settings: of the server.
        collection: the name of its collection.
        view: gives what is searched now, ``None`` if nothing can be; read anew by ``refresh``.
        refresh: takes up the newest state.
        command: what a fold runs.
    """

    def __init__(
        self,
        settings: Settings,
        collection: str,
        view: Callable[[], LiveView | None],
        refresh: Callable[[], object],
        command: list[str] | None = None,
    ) -> None:
        self._settings = settings
        self._collection = collection
        self._view = view
        self._refresh = refresh
        self._command = command or module_command(
            "search_api.cli", "reindex", "--if-changed", "--json",
            "--collection", settings.collection,
        )  # fmt: skip

    async def run(self) -> None:
        """Fold whenever it is due, until cancelled; a fold that runs then is broken off."""
        while True:
            delay = POLL_SECONDS
            try:
                if self._is_due() and await self._fold() != 0:
                    delay = RETRY_SECONDS
            except OSError as error:
                log.error("cannot fold the delta", error=str(error))
                delay = RETRY_SECONDS
            await asyncio.sleep(delay)

    def _is_due(self) -> bool:
        view = self._view()
        limits = self._settings
        return view is not None and fold_is_due(
            view, limits.max_delta_segments, limits.max_delta_share
        )

    async def _fold(self) -> int:
        """Run a reindex unless another worker does; return its exit code."""
        path = self._settings.data.fold_lock(self._collection)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Kept by this object, whichever thread it is released in.
        lock = FileLock(path, thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return 0
        try:
            # The worker that held the lock before may just have folded it.
            await asyncio.to_thread(self._refresh)
            return await self._reindexed() if self._is_due() else 0
        finally:
            lock.release()

    async def _reindexed(self) -> int:
        log.info("folding the delta", collection=self._collection)
        process = await asyncio.to_thread(self._started)
        try:
            said, _ = await asyncio.to_thread(process.communicate)
        except asyncio.CancelledError:
            process.terminate()
            await asyncio.shield(asyncio.to_thread(_ended, process))
            raise
        text = said.decode(errors="replace").strip()[-2000:]
        if process.returncode != 0:
            log.error("the delta was not folded", exit_code=process.returncode, said=text)
        else:
            log.info("the delta was folded", said=text)
        return process.returncode

    def _started(self) -> subprocess.Popen[bytes]:
        settings = self._settings
        process = subprocess.Popen(
            self._command,
            env=child_environment(
                **{DATA_DIR_VARIABLE: settings.data_dir, "KINDRED_MODELS_DIR": settings.models_dir}
            ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended already
            psutil.Process(process.pid).nice(NICENESS)  # searches go first
        return process


def _ended(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
