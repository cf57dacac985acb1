"""A Qdrant server as the place of one generation: how it is asked, and what its errors mean."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from indexer.ann.qdrant_errors import TRANSIENT, QdrantServerFailed, http_status, server_failure
from indexer.ann.qdrant_generation import Generation

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

T = TypeVar("T")

OLDEST_VERSION = (1, 12)
"""The first whose collections, indexes and queries are all as they are asked for here."""

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server may keep whoever asks it waiting."""

    request_seconds: int
    """For one answer."""

    retry_seconds: float
    """For which a step that failed in passing is begun anew."""


class QdrantServer:
    """A server, asked about one generation. Safe to use from several threads.

    Args:
        generation: where it lies.
        patience: how long to wait for it.
        client: to ask with; made for the generation when ``None``.

    Raises:
        QdrantServerFailed: the variable that should hold the key is not set.
    """

    def __init__(
        self, generation: Generation, patience: Patience, client: QdrantClient | None = None
    ) -> None:
        import qdrant_client
        from qdrant_client.common.client_exceptions import QdrantException
        from qdrant_client.http.exceptions import ApiException

        self.generation = generation
        self.patience = patience
        self.models: Any = qdrant_client.models
        self.client: Any = client or qdrant_client.QdrantClient(
            url=generation.url,
            api_key=_api_key(generation),
            prefer_grpc=generation.grpc,
            timeout=patience.request_seconds,
            # A warning there; `check_version` refuses.
            check_compatibility=False,
        )
        self._errors = (ApiException, QdrantException)

    def check_version(self) -> None:
        """Refuse a server that is too old.

        Raises:
            QdrantServerFailed: it is, or cannot be asked.
        """
        version = self.retried("asking its version", self.client.info).version
        found = re.match(r"v?(\d+)\.(\d+)", version)
        if found is None or (int(found[1]), int(found[2])) < OLDEST_VERSION:
            oldest = ".".join(map(str, OLDEST_VERSION))
            raise self.wrong(f"expected version {oldest} or newer, got {version!r}; update it")

    def check_there(self) -> None:
        """Ask once, without another try, whether the generation is there.

        Raises:
            QdrantServerFailed: it is not, or the server does not answer.
        """
        is_there = self.retried(
            "asking for the collection",
            lambda: self.client.collection_exists(self.generation.collection),
            retry_seconds=0.0,
        )
        if not is_there:
            raise self.wrong("it is not there; reindex, or roll back to a snapshot that is")

    def check_count(self, num_rows: int) -> None:
        """Refuse a generation of another size than it should have.

        Raises:
            QdrantServerFailed: naming both.
        """
        found = self.retried(
            "counting", lambda: self.client.count(self.generation.collection, exact=True)
        ).count
        if found != num_rows:
            raise self.wrong(f"expected {num_rows} rows, got {found}; reindex")

    def wrong(self, what: str) -> QdrantServerFailed:
        """Return an error about what the server holds or is."""
        at = self.generation
        return QdrantServerFailed(
            f"Qdrant at {at.url}, collection {at.collection}: {what}",
            url=at.url,
            collection=at.collection,
        )

    def retried(
        self, doing: str, call: Callable[[], T], *, retry_seconds: float | None = None
    ) -> T:
        """Return what ``call`` does, again and again while a better answer may come.

        Args:
            doing: for the error.
            call: asks the server once; harmless when done twice.
            retry_seconds: for how long; the server's own patience when ``None``.

        Raises:
            QdrantServerFailed: the server said no, or there was no answer for so long.
        """
        if retry_seconds is None:
            retry_seconds = self.patience.retry_seconds
        deadline = time.monotonic() + retry_seconds
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                return call()
            except Exception as error:
                # gRPC's errors are known by their code: its package carries no types.
                if not (isinstance(error, self._errors) or callable(getattr(error, "code", None))):
                    raise
                status = http_status(error)
                lost = status is None or status in TRANSIENT
                if not lost or time.monotonic() + pause > deadline:
                    raise server_failure(self.generation, doing, error) from error
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def _api_key(generation: Generation) -> str | None:
    variable = generation.api_key_variable
    if variable is None:
        return None
    key = os.environ.get(variable)
    if not key:
        raise QdrantServerFailed(
            f"Qdrant at {generation.url}: its key should be in {variable}, which is not set",
            url=generation.url,
            variable=variable,
        )
    return key
