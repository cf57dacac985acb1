"""What happens in a worker before its first and after its last request."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import structlog
from litestar import Litestar

from search_api.access.limit_service import SOCKET_NAME, CountedBySupervisor, CountedHere
from search_api.metrics import Metrics
from search_api.service import MakeEncoder, open_service
from search_api.settings import Settings

SUPERVISOR_POLL_SECONDS = 1.0

log = structlog.get_logger("kindred.api")


@contextlib.asynccontextmanager
async def serving(
    app: Litestar, settings: Settings, make_encoder: MakeEncoder, metrics: Metrics
) -> AsyncIterator[None]:
    """Hold the service open and its view fresh while ``app`` answers requests."""
    service = await asyncio.to_thread(open_service, settings, make_encoder, metrics)
    await asyncio.to_thread(service.refresh)
    app.state.service = service
    limits = rate_limits(settings)
    app.state.rate_limits = limits
    tasks = [
        asyncio.create_task(service.keep_fresh()),
        asyncio.create_task(service.writes.job_runner.run()),
        asyncio.create_task(service.folding.run()),
    ]
    if settings.encoder_sockets is not None:
        tasks.append(asyncio.create_task(end_with_supervisor(os.getppid())))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await limits.aclose()
        await service.aclose()


def rate_limits(settings: Settings) -> CountedBySupervisor | CountedHere:
    """Return what counts requests: the supervisor for its workers, else this process for itself."""
    if settings.encoder_sockets is None:
        return CountedHere()
    return CountedBySupervisor(Path(settings.encoder_sockets) / SOCKET_NAME)


async def end_with_supervisor(supervisor_pid: int) -> None:
    """End this worker when its supervisor is gone, so that none keeps the port for itself."""
    while os.getppid() == supervisor_pid:  # noqa: ASYNC110  (the kernel sends no event)
        await asyncio.sleep(SUPERVISOR_POLL_SECONDS)
    log.error("the supervisor is gone")
    os.kill(os.getpid(), signal.SIGTERM)
