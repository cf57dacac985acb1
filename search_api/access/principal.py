"""Who a request comes from, as far as it matters for what it may do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from search_api.access.api_key import SCOPES, Scope, is_secret_of, split_token
from search_api.access.key_file import KeyRing
from search_api.errors import NotAllowed, NotAuthenticated
from search_api.settings import Settings, is_loopback


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever sends a request."""

    key_id: str | None
    """Of the API key; ``None``: the server has no keys."""

    scope: Scope

    requests_per_minute: int | None = None
    """``None``: as many as it likes."""

    def require(self, scope: Scope) -> None:
        """Refuse what needs a scope that is not there.

        Raises:
            NotAllowed: saying what would allow it.
        """
        if SCOPES.index(self.scope) >= SCOPES.index(scope):
            return
        if self.key_id is None:
            raise NotAllowed(
                "this server can be reached from other machines and has no keys, so it changes "
                "nothing for whoever asks: make keys with `kindred keys create`, or use the "
                "`kindred` commands where its data lies",
                needed=scope,
            )
        raise NotAllowed(
            f"this needs a key of scope {scope}; the key {self.key_id} is of scope {self.scope}",
            needed=scope,
            key=self.key_id,
        )


class Authenticator:
    """Tells whose requests are.

    Args:
        settings: of the server.
        keys: the API keys; once there are any, nobody gets in without.
    """

    def __init__(self, settings: Settings, keys: KeyRing) -> None:
        self._keys = keys
        self._is_local = is_loopback(settings.host)
        self._allow_anonymous = settings.allow_anonymous

    def principal(self, token: str | None) -> Principal:
        """Return who holds a token.

        Args:
            token: what the request brought; ``None``: nothing.

        Raises:
            NotAuthenticated: it brought none, or one that is not accepted.
            KeysUnreadable: what is accepted cannot be told.
        """
        keys = self._keys.current()
        if not keys:
            return self._anonymous()
        if token is None:
            raise NotAuthenticated(
                "this server needs an API key: send the header `Authorization: Bearer KEY`"
            )
        parts = split_token(token)
        key = keys.get(parts[0]) if parts else None
        if parts is None or key is None or not is_secret_of(key, parts[1]):
            raise NotAuthenticated("this API key is not known here")
        refusal = key.refusal(datetime.now(UTC))
        if refusal is not None:
            raise NotAuthenticated(refusal, key=key.key_id)
        return Principal(key.key_id, key.scope, key.requests_per_minute)

    def _anonymous(self) -> Principal:
        """Return what anybody may who reaches a server that has no keys."""
        if self._is_local:
            return Principal(None, "admin")
        if self._allow_anonymous:
            return Principal(None, "read")
        # It started with keys, and their file is gone.
        raise NotAuthenticated("this server has no API keys any more; `kindred keys create`")
