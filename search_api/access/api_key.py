"""An API key: what it opens, until when, and how it is recognised.

A key reads ``kindred_ID_SECRET``. The id is public: it names the key in lists and logs. Of the
secret only the sha256 is kept, so that whoever reads the file of keys cannot use them; 256 random
bits need no slower hash than that, since nobody can guess them.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from datetime import UTC, datetime
from typing import Annotated, Literal, TypeAlias

import msgspec

Scope: TypeAlias = Literal["read", "write", "admin"]

SCOPES: tuple[Scope, ...] = ("read", "write", "admin")
"""What a key may open, from little to all."""

MAX_PER_MINUTE = 1_000_000

TOKEN_PREFIX = "kindred"
_TOKEN = re.compile(rf"{TOKEN_PREFIX}_([0-9a-f]{{12}})_([A-Za-z0-9_-]{{43}})")

KeyName: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class ApiKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key as it is kept."""

    key_id: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{12}$")]

    name: KeyName
    """Says whose it is or what for."""

    secret_sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]

    scope: Scope
    """What it opens; each scope opens what those before it in `SCOPES` do."""

    requests_per_minute: Annotated[int, msgspec.Meta(ge=1, le=MAX_PER_MINUTE)] | None = None
    """``None``: as many as it likes."""

    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def refusal(self, now: datetime) -> str | None:
        """Return why the key is not accepted any more; ``None``: it is."""
        if self.revoked_at is not None:
            return f"the key {self.key_id} was revoked"
        if self.expires_at is not None and now >= self.expires_at:
            return f"the key {self.key_id} expired {self.expires_at:%Y-%m-%d %H:%M} UTC"
        return None


def new_key(
    name: str,
    scope: Scope,
    expires_at: datetime | None = None,
    requests_per_minute: int | None = None,
) -> tuple[ApiKey, str]:
    """Return a new key and its token, which cannot be had again."""
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    key = ApiKey(
        key_id=key_id,
        name=name,
        secret_sha256=_digest(secret),
        scope=scope,
        requests_per_minute=requests_per_minute,
        created_at=datetime.now(UTC).replace(microsecond=0),
        expires_at=expires_at,
    )
    return key, f"{TOKEN_PREFIX}_{key_id}_{secret}"


def split_token(token: str) -> tuple[str, str] | None:
    """Return the id and the secret in a token; ``None``: it is no key at all."""
    parts = _TOKEN.fullmatch(token)
    return (parts[1], parts[2]) if parts else None


def is_secret_of(key: ApiKey, secret: str) -> bool:
    """Tell whether ``secret`` belongs to ``key``, in a time that says nothing about it."""
    return hmac.compare_digest(key.secret_sha256, _digest(secret))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
