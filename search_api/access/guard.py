"""Letting requests in, before their bodies are read.

Every route says in its ``opt`` what it needs: ``access="read"``, ``"write"``, ``"admin"``, or
``"open"`` for what anybody may see. A route that says nothing lets nobody in.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, cast

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from search_api.access.api_key import Scope
from search_api.access.principal import Authenticator
from search_api.access.rate_limit import RateLimits, TooManyRequests
from search_api.errors import NotAllowed

Access: TypeAlias = Literal["open"] | Scope

ACCESS = "access"
COOKIE = "kindred_key"
"""What a browser sends after somebody logged in with a key."""

Connection: TypeAlias = ASGIConnection[Any, Any, Any, Any]


def token_of(connection: Connection) -> str | None:
    """Return the key in the header ``Authorization``, whatever it says; ``None``: no header."""
    header = connection.headers.get("authorization")
    if header is None:
        return None
    kind, _, token = header.partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


async def authorize(connection: Connection, handler: BaseRouteHandler) -> None:
    """Let a request in, or not; Litestar's guard of the whole application.

    A browser's cookie opens what is read and nothing else: a page of another site could make the
    browser send it along.

    Raises:
        NotAuthenticated: no key, or none that is accepted.
        NotAllowed: one that does not open this route.
        KeysUnreadable: who may cannot be told.
        TooManyRequests: the key has sent as many as it may for now.
        LimitsUnreachable: whether it has cannot be told.
    """
    needed = cast("Access | None", handler.opt.get(ACCESS))
    if needed == "open" or connection.scope.get("method") == "OPTIONS":
        return
    authenticator: Authenticator = connection.app.state.authenticator
    token = token_of(connection)
    if token is None and needed == "read":
        token = connection.cookies.get(COOKIE)
    principal = authenticator.principal(token)
    if needed is None:
        raise NotAllowed(f"{connection.url.path} does not say who may ask it")
    principal.require(needed)
    if principal.key_id is not None and principal.requests_per_minute is not None:
        limits: RateLimits = connection.app.state.rate_limits
        await _count(limits, principal.key_id, principal.requests_per_minute)


async def _count(limits: RateLimits, key_id: str, per_minute: int) -> None:
    wait = await limits.wait_seconds(key_id, per_minute)
    if wait > 0:
        raise TooManyRequests(
            f"the key {key_id} may send {per_minute} requests a minute", wait_seconds=round(wait, 3)
        )
