"""Keys under which a request is carried out once, however often it is sent.

A key is claimed before its request is worked on and settled in the transaction that commits the
work. Whoever claimed it and died loses it after a while, and so does whoever is too slow: a claim
that was taken over cannot be settled any more.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from indexer.catalog.schema import idempotency_keys
from indexer.errors import KeyInUse, KeyReused

KEPT_SECONDS = 24 * 3600.0
"""How long an answer is given again."""


@dataclass(frozen=True, slots=True)
class KeyClaim:
    """One attempt at the request of a key."""

    collection: str
    key: str

    request_sha256: str
    """Of everything that says what is asked for."""

    owner: str
    """Random: tells this attempt from others."""

    lease_seconds: float
    """How long nobody else may work on it."""


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What is answered to a request, again whenever it is repeated."""

    status: int
    answer_json: str
    location: str | None = None


def claim_key(connection: Connection, claim: KeyClaim) -> StoredAnswer | None:
    """Claim a key, or return what its request was answered with.

    Raises:
        KeyReused: it belongs to another request.
        KeyInUse: the same request is being worked on.
    """
    now = time.time()
    table = idempotency_keys
    connection.execute(delete(table).where(table.c.created_at_seconds < now - KEPT_SECONDS))
    held = connection.execute(select(table).where(_is(claim))).one_or_none()
    if held is not None and held.request_sha256 != claim.request_sha256:
        raise KeyReused(
            f"the key {claim.key!r} belongs to another request; send a new key with a new request",
            key=claim.key,
        )
    if held is not None and held.status is not None:
        return StoredAnswer(held.status, held.answer_json, held.location)
    if held is not None and held.lease_until_seconds > now:
        raise KeyInUse(
            f"the request with the key {claim.key!r} is being worked on; ask again soon",
            key=claim.key,
        )
    connection.execute(delete(table).where(_is(claim)))
    connection.execute(
        insert(table).values(
            collection=claim.collection,
            key=claim.key,
            request_sha256=claim.request_sha256,
            owner=claim.owner,
            created_at_seconds=now,
            lease_until_seconds=now + claim.lease_seconds,
        )
    )
    return None


def settle_key(connection: Connection, claim: KeyClaim, answer: StoredAnswer) -> None:
    """Keep the answer, in the transaction that makes it true.

    Raises:
        KeyInUse: the claim took too long and another attempt has taken over.
    """
    settled = connection.execute(
        update(idempotency_keys)
        .where(_is(claim), idempotency_keys.c.owner == claim.owner)
        .values(status=answer.status, answer_json=answer.answer_json, location=answer.location)
    )
    if settled.rowcount == 0:
        raise KeyInUse(
            f"another attempt at the request with the key {claim.key!r} has taken over",
            key=claim.key,
        )


def release_key(connection: Connection, claim: KeyClaim) -> None:
    """Give a claim up: nothing was done, and the next attempt may begin at once."""
    connection.execute(
        delete(idempotency_keys).where(
            _is(claim),
            idempotency_keys.c.owner == claim.owner,
            idempotency_keys.c.status.is_(None),
        )
    )


def _is(claim: KeyClaim) -> ColumnElement[bool]:
    return (idempotency_keys.c.collection == claim.collection) & (
        idempotency_keys.c.key == claim.key
    )
