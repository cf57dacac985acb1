"""The client of the encoder process: one connection per worker, shared by all its requests."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import structlog

from encoders.query_encoding import ChannelQuery, FileQuery
from encoders.query_plan import QueryPlan
from encoders.serving.errors import DeadlineExceeded, EncoderUnavailable
from encoders.serving.messages import (
    EncodeFile,
    EncodeText,
    ErrorMessage,
    ItemMessage,
    MakeThumbnail,
    MakeVersion,
    Message,
    Ping,
    Reply,
    frame,
    read_reply,
    unpack_error,
    unpack_queries,
)
from encoders.serving.start_problem import start_problem
from encoders.serving.version_maker import WAIT_SECONDS, VersionRequest
from search_api.remote_models import ItemFacts, RemoteModels

PING_SECONDS = 2.0
MIN_RETRY_SECONDS = 0.05
MAX_RETRY_SECONDS = 1.0

VERSION_SECONDS = WAIT_SECONDS + 5.0
"""How long the encoder process may take to say at least that a version is being made."""

log = structlog.get_logger("kindred.api")


def _no_facts() -> ItemFacts:
    return ItemFacts({}, {}, {})


class RemoteQueryEncoder:
    """Asks the encoder process.

    The connection is made by the first question and made again after it broke, at most once per
    back-off interval, so a dead encoder process costs an error and no waiting.

    Args:
        socket_path: where the encoder process listens.
        plan: how each channel is asked; the process was started with the same channels.
        text_seconds: how long a question in words may take.
        file_seconds: how long a file may take, decoding included.
        find_facts: tells what encodes items that are stored; called with the first of them.
    """

    def __init__(
        self,
        socket_path: Path,
        plan: QueryPlan,
        *,
        text_seconds: float = 10.0,
        file_seconds: float = 60.0,
        find_facts: Callable[[], ItemFacts] = _no_facts,
    ) -> None:
        self.plan = plan
        self._socket_path = socket_path
        self._text_seconds = text_seconds
        self._file_seconds = file_seconds
        self._find_facts = find_facts
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Reply]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._connecting = asyncio.Lock()
        self._retry_seconds = MIN_RETRY_SECONDS
        self._retry_at = 0.0
        self._silence = _why_silent(None)

    async def encode_text(self, text: str, channels: Sequence[str]) -> Mapping[str, ChannelQuery]:
        """See `QueryEncoder.encode_text`."""
        message = EncodeText(
            id=next(self._ids),
            timeout_seconds=self._text_seconds,
            text=text,
            channels=list(channels),
        )
        return unpack_queries((await self._ask(message, self._text_seconds)).vectors)

    async def encode_file(self, path: Path, channels: Sequence[str]) -> FileQuery:
        """See `QueryEncoder.encode_file`."""
        message = EncodeFile(
            id=next(self._ids),
            timeout_seconds=self._file_seconds,
            path=str(path),
            channels=list(channels),
        )
        reply = await self._ask(message, self._file_seconds)
        if reply.medium is None or reply.format is None:
            raise EncoderUnavailable("the encoder process answered without saying what the file is")
        return FileQuery(reply.medium, reply.format, unpack_queries(reply.vectors))

    async def thumbnail(
        self, path: Path, max_side_px: int, *, at_seconds: float | None = None
    ) -> bytes:
        """Return a small picture of the file, for videos of the frame at ``at_seconds``."""
        message = MakeThumbnail(
            id=next(self._ids),
            timeout_seconds=self._file_seconds,
            path=str(path),
            max_side_px=max_side_px,
            at_seconds=at_seconds,
        )
        return (await self._ask(message, self._file_seconds)).data

    async def version(self, request: VersionRequest) -> str:
        """Return the suffix under which a version that browsers play lies.

        Raises:
            BeingPrepared, MediaRejected, Overloaded: see `VersionMaker.version`.
        """
        message = MakeVersion(
            id=next(self._ids),
            timeout_seconds=VERSION_SECONDS,
            path=str(request.path),
            size_bytes=request.size_bytes,
            mtime_ns=request.mtime_ns,
            target=str(request.target),
        )
        reply = await self._ask(message, VERSION_SECONDS)
        if reply.format is None:
            raise EncoderUnavailable("the encoder process answered without saying what it made")
        return reply.format

    @cached_property
    def _facts(self) -> ItemFacts:
        return self._find_facts()

    def recognizer_ids(self) -> Mapping[str, str]:
        """See `EncoderService.recognizer_ids`."""
        return self._facts.recognizer_ids

    def item_models(self, timeout_seconds: float) -> RemoteModels:
        """See `EncoderService.item_models`; called where the event loop runs."""
        loop = asyncio.get_running_loop()

        def ask(make: Callable[[int, float], ItemMessage], seconds: float) -> Reply:
            message = make(next(self._ids), seconds)
            asked = asyncio.run_coroutine_threadsafe(self._ask(message, seconds), loop)
            return asked.result()

        return RemoteModels(self._facts, ask, timeout_seconds)

    async def ping(self) -> None:
        """Return when the encoder process answers; raise `EncoderUnavailable` if it does not."""
        await self._ask(Ping(id=next(self._ids), timeout_seconds=PING_SECONDS), PING_SECONDS)

    async def aclose(self) -> None:
        """Hang up."""
        if self._reading is not None:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reading

    async def _ask(self, message: Message, timeout_seconds: float) -> Reply:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Reply] = loop.create_future()
        try:
            async with asyncio.timeout(timeout_seconds):
                writer = await self._connected()
                self._waiting[message.id] = future
                writer.write(frame(message))
                await writer.drain()
                reply = await future
        except TimeoutError:
            raise DeadlineExceeded(
                f"no answer from the encoder process within {timeout_seconds:g} s",
                seconds=timeout_seconds,
            ) from None
        except ConnectionError as error:
            raise EncoderUnavailable(f"the encoder process hung up: {error}") from error
        finally:
            self._waiting.pop(message.id, None)
        if reply.error is not None:
            raise unpack_error(reply.error)
        return reply

    async def _connected(self) -> asyncio.StreamWriter:
        """Return the open connection, connecting first if there is none."""
        async with self._connecting:
            if self._writer is not None:
                return self._writer
            if time.monotonic() < self._retry_at:
                raise EncoderUnavailable(self._silence)
            try:
                reader, writer = await asyncio.open_unix_connection(str(self._socket_path))
            except OSError as error:
                self._retry_at = time.monotonic() + self._retry_seconds
                self._retry_seconds = min(2 * self._retry_seconds, MAX_RETRY_SECONDS)
                self._silence = _why_silent(start_problem(self._socket_path))
                raise EncoderUnavailable(self._silence) from error
            self._retry_seconds = MIN_RETRY_SECONDS
            self._writer = writer
            self._reading = asyncio.create_task(self._read_replies(reader, writer))
            return writer

    async def _read_replies(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Hand each reply to whoever waits for it, until the connection ends."""
        try:
            while True:
                reply = await read_reply(reader)
                future = self._waiting.get(reply.id)
                if future is not None and not future.done():
                    future.set_result(reply)
        except (asyncio.IncompleteReadError, ConnectionError):
            log.warning("the encoder process hung up")
        finally:
            self._writer = None
            writer.close()
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(EncoderUnavailable("the encoder process hung up"))


def _why_silent(problem: ErrorMessage | None) -> str:
    """Return why nobody listens: what the encoder process said when it last could not start."""
    if problem is None:
        return "the encoder process does not answer; it is starting"
    return f"the encoder process cannot start ({problem.code}): {problem.message}"
