"""The supervisor's count of requests, and how workers reach it.

Over a Unix socket, one line each way for each request: ``KEY_ID PER_MINUTE`` is answered by the
seconds to wait. Answers come in the order of the questions.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
from collections import deque
from pathlib import Path

from search_api.access.rate_limit import Buckets, LimitsUnreachable

SOCKET_NAME = "limits.sock"
ANSWER_SECONDS = 2.0

_LINE = re.compile(rb"([0-9a-f]{12}) ([1-9][0-9]{0,8})\n")


class LimitService:
    """Counts for all workers, in a thread of the supervisor.

    Args:
        path: of the socket; short, see `server.MAX_SOCKET_PATH_BYTES`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._buckets = Buckets()
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._listening = threading.Event()
        self._failure: OSError | None = None
        self._ending = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="rate-limits", daemon=True)

    def start(self) -> None:
        """Listen; workers may connect when this returns.

        Raises:
            OSError: the socket cannot be made.
        """
        self._thread.start()
        self._listening.wait()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """End, and forget the counts."""
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        except OSError as error:
            self._failure = error
        finally:
            self._listening.set()
            self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_unix_server(self._answer, self._path)
        self._path.chmod(0o600)
        self._listening.set()
        async with server:
            await self._ending.wait()
            for writer in self._writers:
                writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                asked = _LINE.fullmatch(line)
                if asked is None:
                    break
                wait = self._buckets.wait_seconds(asked[1].decode(), int(asked[2]))
                writer.write(b"%.6f\n" % wait)
                await writer.drain()
        self._writers.discard(writer)
        writer.close()


class CountedBySupervisor:
    """Asks the supervisor; belongs to one event loop.

    Args:
        path: of the supervisor's socket.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connecting = asyncio.Lock()
        self._connection: _Connection | None = None

    async def wait_seconds(self, key_id: str, per_minute: int) -> float:
        """Count a request; see `Buckets.wait_seconds`.

        Raises:
            LimitsUnreachable: the supervisor does not answer.
        """
        connection = None
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                connection = await self._connected()
                return await connection.ask(f"{key_id} {per_minute}\n".encode())
        except (OSError, TimeoutError) as error:
            if connection is not None:
                connection.close()  # the next question finds whoever listens then
            raise LimitsUnreachable(
                "the requests of this key cannot be counted: the supervisor does not answer"
            ) from error

    async def aclose(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            await asyncio.gather(self._connection.reading, return_exceptions=True)

    async def _connected(self) -> _Connection:
        async with self._connecting:
            if self._connection is None or self._connection.reading.done():
                self._connection = _Connection(*await asyncio.open_unix_connection(self._path))
            return self._connection


class _Connection:
    """Questions under way, and the task that gives them their answers until the other end goes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._waiting: deque[asyncio.Future[float]] = deque()
        self.reading = asyncio.create_task(self._read())

    async def ask(self, line: bytes) -> float:
        answer: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        # Without a pause in between: the order of answers is that of questions.
        self._waiting.append(answer)
        self._writer.write(line)
        return await answer

    def close(self) -> None:
        self.reading.cancel()

    async def _read(self) -> None:
        try:
            while line := await self._reader.readline():
                answer = self._waiting.popleft()
                if not answer.done():  # whoever asked may have gone
                    answer.set_result(float(line))
        finally:
            self._writer.close()
            for answer in self._waiting:
                if not answer.done():
                    answer.set_exception(ConnectionResetError("the supervisor is gone"))


class CountedHere:
    """Counts for the one process that answers."""

    def __init__(self) -> None:
        self._buckets = Buckets()

    async def wait_seconds(self, key_id: str, per_minute: int) -> float:
        """Count a request; see `Buckets.wait_seconds`."""
        return self._buckets.wait_seconds(key_id, per_minute)

    async def aclose(self) -> None:
        """There is nothing to close."""
