"""Kept-alive connections of which it is known which worker of a server answers on them.

Workers share a port, and the kernel gives each new connection to one of them for good.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psutil

BATCH = 16
MAX_CONNECTIONS = 512
ACCEPT_SECONDS = 0.2
ANSWER_SECONDS = 30.0


class BrokenConnection(Exception):
    """A connection ended, or an answer did not come in time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


class Connection:
    """One connection, for one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.port: int = writer.get_extra_info("sockname")[1]

    @classmethod
    async def open(cls, port: int) -> Connection:
        """Connect to a port of this machine."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, method: str, path: str, body: object = None) -> Answer:
        """Send a request and return the answer.

        Raises:
            BrokenConnection: there was none.
        """
        content = b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nhost: kindred\r\ncontent-type: application/json\r\n"
            f"content-length: {len(content)}\r\n\r\n"
        )
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                self._writer.write(head.encode() + content)
                await self._writer.drain()
                return await self._answer()
        except (OSError, EOFError, TimeoutError) as error:
            raise BrokenConnection(f"{type(error).__name__}: {error}") from error

    async def _answer(self) -> Answer:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        status_line, *lines = head.rstrip().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        length = int(headers.get("content-length", 0))
        body = await self._reader.readexactly(length) if length else b""
        return Answer(int(status_line.split()[1]), body)

    def close(self) -> None:
        """End the connection."""
        self._writer.close()


async def connections_by_worker(
    port: int, workers: Sequence[int], per_worker: int
) -> dict[int, list[Connection]]:
    """Open connections until each worker has its share; those beyond it are closed.

    Args:
        port: of the server.
        workers: their process ids.
        per_worker: how many.

    Raises:
        RuntimeError: a worker got too few of many.
    """
    found: dict[int, list[Connection]] = {pid: [] for pid in workers}
    for _ in range(MAX_CONNECTIONS // BATCH):
        fresh = [await Connection.open(port) for _ in range(BATCH)]
        await asyncio.sleep(ACCEPT_SECONDS)
        owners = _owners(port, workers)
        for connection in fresh:
            mine = found.get(owners.get(connection.port, -1))
            if mine is not None and len(mine) < per_worker:
                mine.append(connection)
            else:
                connection.close()
        if all(len(mine) == per_worker for mine in found.values()):
            return found
    raise RuntimeError(f"workers got {[len(mine) for mine in found.values()]} connections each")


def _owners(port: int, workers: Sequence[int]) -> dict[int, int]:
    """Return, by the client's port, which worker holds a connection."""
    return {
        each.raddr.port: pid
        for pid in workers
        for each in psutil.Process(pid).net_connections("tcp4")
        if each.raddr and each.laddr.port == port
    }
