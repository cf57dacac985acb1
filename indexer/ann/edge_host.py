"""This process's side of Qdrant Edge: starts the process that holds it, asks, and ends it."""

from __future__ import annotations

import subprocess
import threading
import weakref
from collections.abc import Iterable
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from encoders.child_processes import child_environment, module_command
from encoders.errors import DependencyMissing, KindredError
from encoders.space import Vectors
from indexer.ann.edge_messages import EdgeReply, EdgeRequest, OpenShard, SearchShard
from indexer.ann.index_entry import SearchSettings
from indexer.ann.vector_index import PayloadCondition, Rows

MAX_START_SECONDS = 60.0
MAX_OPEN_SECONDS = 300.0
MAX_SEARCH_SECONDS = 60.0


class EdgeFailed(KindredError):
    """Qdrant Edge refused, died or hung."""

    code = "qdrant_edge_failed"


class EdgeHost:
    """A process that holds Edge shards. Safe to use from several threads: they queue."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._decoder = msgspec.msgpack.Decoder(EdgeReply)
        self._start()

    def ask(self, request: EdgeRequest, max_seconds: float | None = None) -> Any:
        """Return the answer to a request.

        Args:
            request: what to do.
            max_seconds: how long it may take; as long as it likes when ``None``.

        Raises:
            EdgeFailed: Edge said no, or its process died or took too long; then it is ended.
        """
        with self._lock:
            if not self.alive:
                raise EdgeFailed("the process that holds Qdrant Edge has ended")
            return self._asked(request, max_seconds)

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def _start(self) -> None:
        ours, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                module_command("indexer.ann.edge_process", str(theirs.fileno())),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=child_environment(),
            )
        self._connection: Connection[Any, Any] = ours
        self.end = weakref.finalize(self, _end, self._process, ours)
        try:
            self._received(MAX_START_SECONDS)
        except EdgeFailed as error:
            if "qdrant_edge" in error.message:
                raise DependencyMissing(
                    "Qdrant Edge is not installed: install kindred-search[qdrant] "
                    f"({error.message})",
                    extras=["qdrant"],
                ) from error
            raise

    def _asked(self, request: EdgeRequest, max_seconds: float | None) -> Any:
        try:
            self._connection.send_bytes(msgspec.msgpack.encode(request))
        except OSError as error:
            raise self._death() from error
        return self._received(max_seconds)

    def _received(self, max_seconds: float | None) -> Any:
        try:
            if not self._connection.poll(max_seconds):
                self.end()
                raise EdgeFailed(
                    f"Qdrant Edge gave no answer within {max_seconds:g} s",
                    max_seconds=max_seconds,
                )
            reply = self._decoder.decode(self._connection.recv_bytes())
        except (EOFError, OSError) as error:
            raise self._death() from error
        if reply.error is not None:
            raise EdgeFailed(f"Qdrant Edge: {reply.error}")
        return reply.value

    def _death(self) -> EdgeFailed:
        self.end()
        return EdgeFailed(
            f"the process that holds Qdrant Edge ended with exit code {self._process.returncode}",
            exit_code=self._process.returncode,
        )


def _end(process: subprocess.Popen[bytes], connection: Connection[Any, Any]) -> None:
    connection.close()
    process.kill()
    process.wait()


_hosts: weakref.WeakValueDictionary[Path, EdgeHost] = weakref.WeakValueDictionary()
_hosts_lock = threading.Lock()


def _host(owner: Path) -> EdgeHost:
    """Return the host of one snapshot: its channels share a process, snapshots do not.

    So a snapshot that is being opened does not hold up searches in the one that serves.
    """
    with _hosts_lock:
        host = _hosts.get(owner)
        if host is None or not host.alive:
            host = _hosts[owner] = EdgeHost()
        return host


class EdgePoints:
    """A packed shard opened for searching. Safe to use from several threads.

    Args:
        folder: where it lies; nothing in there is changed.
        dim: length of its vectors.
        num_rows: how many it must hold.

    Raises:
        EdgeFailed: it cannot be opened, or holds another number of rows.
        DependencyMissing: Edge is not installed.
    """

    def __init__(self, folder: Path, dim: int, num_rows: int) -> None:
        self._folder = folder
        self._dim = dim
        self._num_rows = num_rows
        self._lock = threading.Lock()
        self._open()

    def search(
        self,
        queries: Vectors,
        limit: int,
        *,
        exact: bool,
        settings: SearchSettings,
        condition: PayloadCondition | None,
    ) -> Rows:
        """Return ``(num_queries, limit)`` row numbers, nearest first, -1 where there are none.

        A process that died in the meantime is replaced once.

        Raises:
            EdgeFailed: Edge said no, or its process died again or hung.
        """
        with self._lock:
            self._revive()
            host, shard = self._opened_in, self._shard
        found = host.ask(
            SearchShard(
                shard=shard,
                queries=queries.tobytes(),
                num_queries=len(queries),
                limit=limit,
                exact=exact,
                ef_search=settings.ef_search,
                oversampling=settings.k_factor,
                filter=None if condition is None else dict(condition.filter),
            ),
            MAX_SEARCH_SECONDS,
        )
        rows: Rows = np.frombuffer(found, np.int64).reshape(len(queries), limit)
        return rows

    def check(self) -> None:
        """Open the shard anew if its process died.

        Raises:
            EdgeFailed: it cannot be opened any more.
        """
        with self._lock:
            self._revive()

    def _revive(self) -> None:
        if not self._opened_in.alive:
            self._open()

    def _open(self) -> None:
        # channels/<name>/qdrant: what all channels of a snapshot share is two levels up.
        self._opened_in = _host(self._folder.parent.parent)
        request = OpenShard(str(self._folder), self._dim, self._num_rows)
        try:
            self._shard: int = self._opened_in.ask(request, MAX_OPEN_SECONDS)
        except EdgeFailed as error:
            raise EdgeFailed(f"{self._folder}: {error.message}", **error.detail) from error


def build_shard(requests: Iterable[EdgeRequest]) -> None:
    """Run the steps of building a shard in a process that ends with them."""
    host = EdgeHost()
    try:
        for request in requests:
            host.ask(request)
    finally:
        host.end()
