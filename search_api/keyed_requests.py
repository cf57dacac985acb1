"""Requests that may be sent again: the header ``Idempotency-Key`` and what is answered."""

from __future__ import annotations

import contextlib
import hashlib
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec

from encoders.errors import KindredError
from indexer.catalog.idempotency import KeyClaim, StoredAnswer
from indexer.catalog.live_writes import LiveWrites
from search_api.bounded_pool import BoundedPool
from search_api.errors import InvalidRequest

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
LEASE_MARGIN_SECONDS = 30.0
"""How much longer than a write may take its key is kept from other attempts."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back."""

    stored: StoredAnswer
    replayed: bool = False
    """It was said before, to the same request."""


def request_digest(*parts: object) -> str:
    """Return the sha256 of everything that says what is asked for, in hex."""
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


class KeyedRequests:
    """Carries requests with a key out once.

    Args:
        collection: in which keys are unique.
        live: where they are kept.
        pool: for the catalog.
        write_seconds: how long a request may take.
    """

    def __init__(
        self, collection: str, live: LiveWrites, pool: BoundedPool, write_seconds: float
    ) -> None:
        self._collection = collection
        self._live = live
        self._pool = pool
        self._lease_seconds = write_seconds + LEASE_MARGIN_SECONDS

    def close(self) -> None:
        """End the threads."""
        self._pool.close()

    async def answer(
        self,
        key: str | None,
        digest: str,
        work: Callable[[KeyClaim | None], Awaitable[StoredAnswer]],
    ) -> Answer:
        """Return what ``work`` answers, or what it answered when the request came first.

        Args:
            key: the header; ``None``: the request is carried out whenever it comes.
            digest: of the request, see `request_digest`.
            work: keeps its answer under the claim in the transaction that makes it true.

        Raises:
            InvalidRequest: the key is not 1 to 255 printable characters of ASCII.
            KeyReused, KeyInUse: see `claim_key`.
        """
        if key is None:
            return Answer(await work(None))
        if not _KEY.fullmatch(key):
            raise InvalidRequest(
                "header Idempotency-Key: expected 1 to 255 printable ASCII characters without "
                f"spaces, got {key[:300]!r}"
            )
        claim = KeyClaim(self._collection, key, digest, secrets.token_hex(16), self._lease_seconds)
        known = await self._pool.run(lambda: self._live.claim(claim))
        if known is not None:
            return Answer(known, replayed=True)
        try:
            return Answer(await work(claim))
        except BaseException:
            # What failed may be tried again at once. If this fails too, the lease runs out.
            with contextlib.suppress(KindredError):
                await self._pool.run(lambda: self._live.release(claim))
            raise
