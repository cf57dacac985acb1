"""Making versions of media that browsers play: two at a time, each once, however many ask."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import structlog

from encoders.errors import KindredError
from encoders.media.rejection import MediaRejected
from encoders.media.sandbox import DecodeSandbox
from encoders.media.transcoder import TRANSCODE_LIMITS, make_version
from encoders.serving.errors import BeingPrepared, Overloaded

WAIT_SECONDS = 3.0
"""How long who asks is kept waiting; copying tracks into another container takes less."""

NUM_WORKERS = 2
"""Versions made at the same time: a picture need not wait for an hour of video."""

MAX_JOBS = 32
"""Versions being made or waiting for their turn."""

REMEMBERED_SECONDS = 600.0
"""How long a failure is answered without another attempt."""

MAX_REMEMBERED = 1000

ORIGINAL = "original"
"""What a file is called beside the versions if browsers play it as it is."""

PARTIAL_SUFFIX = ".partial"

log = structlog.get_logger("kindred.encoder")

Make: TypeAlias = Callable[[Path, Path], "Future[str | None]"]
"""Writes a version of the first path to the second: `transcoder.make_version` in a sandbox."""


@dataclass(frozen=True, slots=True)
class VersionRequest:
    """A version that somebody wants."""

    path: Path
    size_bytes: int
    """Of the file when it was taken in: another file in its place is none of this version."""

    mtime_ns: int
    """When that file was last written."""

    target: Path
    """Where the version goes, without a suffix."""


@dataclass(frozen=True, slots=True)
class _Failure:
    error: KindredError
    at: float
    """On the monotonic clock."""


class VersionMaker:
    """Makes versions in decoder processes of its own, which may write files.

    Args:
        make: writes one; by default in processes that are started when they are first needed.
    """

    def __init__(self, make: Make | None = None) -> None:
        self._sandbox: DecodeSandbox | None = None
        self._make = make or self._in_sandbox
        self._jobs: dict[Path, asyncio.Task[str]] = {}
        self._failures: dict[Path, _Failure] = {}

    async def version(self, request: VersionRequest) -> str:
        """Return the suffix under which the version lies, when it does.

        The work goes on when nobody waits for it any more; asking again joins it.

        Returns:
            One of `version_plan.VERSION_FORMATS`, or `ORIGINAL` where an empty mark says that
            browsers play the file as it is.

        Raises:
            BeingPrepared: it takes longer than `WAIT_SECONDS`.
            MediaRejected: it cannot be made. Asked again soon, the same answer comes at once.
            Overloaded: too many wait already.
        """
        failure = self._failures.get(request.target)
        if failure is not None and time.monotonic() - failure.at < REMEMBERED_SECONDS:
            raise failure.error
        job = self._jobs.get(request.target)
        if job is None:
            if len(self._jobs) >= MAX_JOBS:
                raise Overloaded(
                    f"{len(self._jobs)} files wait to be made playable already; try again soon",
                    waiting=len(self._jobs),
                )
            job = asyncio.create_task(self._job(request))
            self._jobs[request.target] = job
            job.add_done_callback(lambda done: self._finish(request, done))
        await asyncio.wait({job}, timeout=WAIT_SECONDS)
        if not job.done():
            raise BeingPrepared(
                "a version that browsers play is being made; ask again in a few seconds"
            )
        return job.result()

    async def aclose(self) -> None:
        """Stop what is being made."""
        for job in self._jobs.values():
            job.cancel()
        if self._sandbox is not None:
            await asyncio.to_thread(self._sandbox.close)

    def _in_sandbox(self, path: Path, target: Path) -> Future[str | None]:
        if self._sandbox is None:
            self._sandbox = DecodeSandbox(TRANSCODE_LIMITS, num_workers=NUM_WORKERS)
        return self._sandbox.run(make_version, path, target, limits=TRANSCODE_LIMITS)

    async def _job(self, request: VersionRequest) -> str:
        # A name of its own, which no other server with this data folder writes to.
        partial = request.target.with_name(
            f"{request.target.name}.{uuid.uuid4().hex}{PARTIAL_SUFFIX}"
        )
        await asyncio.to_thread(request.target.parent.mkdir, parents=True, exist_ok=True)
        started = time.monotonic()
        try:
            format = await asyncio.wrap_future(self._make(request.path, partial))
            suffix = format or ORIGINAL
            await asyncio.to_thread(_keep, request, partial, suffix)
        finally:
            await asyncio.to_thread(partial.unlink, missing_ok=True)
        log.info("version made", suffix=suffix, seconds=round(time.monotonic() - started, 2))
        return suffix

    def _finish(self, request: VersionRequest, job: asyncio.Task[str]) -> None:
        del self._jobs[request.target]
        error = None if job.cancelled() else job.exception()
        # A file that is gone may be back the next moment; whatever else is wrong with it stays.
        if isinstance(error, MediaRejected) and error.reason != "vanished":
            log.warning("cannot make a version", reason=error.reason, error=error.message)
            self._failures.pop(request.target, None)
            self._failures[request.target] = _Failure(error, time.monotonic())
            if len(self._failures) > MAX_REMEMBERED:
                del self._failures[next(iter(self._failures))]


def _keep(request: VersionRequest, partial: Path, suffix: str) -> None:
    """Give what was made its name, unless it was made of another file than was asked for."""
    try:
        found = request.path.stat()
    except OSError:
        found = None
    if found is None or (found.st_size, found.st_mtime_ns) != (
        request.size_bytes,
        request.mtime_ns,
    ):
        raise MediaRejected("vanished", "the file has changed while it was made playable")
    if suffix == ORIGINAL:
        partial.touch()
    partial.replace(version_path(request.target, suffix))


def version_path(target: Path, suffix: str) -> Path:
    """Return where the version for ``target`` lies."""
    return target.with_name(f"{target.name}.{suffix}")
