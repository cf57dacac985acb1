"""Identifiers of items."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from pathlib import PurePath

from encoders.errors import KindredError

ITEM_ID = re.compile(r"[A-Za-z0-9._:@-]{1,200}")
MAX_SLUG_CHARACTERS = 60
NUM_HASH_DIGITS = 16


class InvalidItemId(KindredError):
    """An ``item_id`` that does not have the agreed form."""

    code = "invalid_item_id"


def item_id_for(source: str, relative_path: str) -> str:
    """Return the id of a file of a source: readable, and the same on every run.

    Args:
        source: the folder or list the file was found through.
        relative_path: its place inside the source, with ``/`` between parts.

    Returns:
        ``red-cat-3f2a…``: a slug of the file's name without its extension, then 16 hex digits
        over source and path, which alone make it unique. A file has the same id whether it is
        found alone or through any folder above it.
    """
    key = f"{source}/{relative_path}".encode("utf-8", "surrogateescape")
    digest = hashlib.sha256(key).hexdigest()[:NUM_HASH_DIGITS]
    return f"{_slug(PurePath(relative_path).stem)}-{digest}"


def check_item_id(text: str) -> None:
    """Refuse an id that is not of the agreed form.

    Raises:
        InvalidItemId: naming the id and the form.
    """
    if not ITEM_ID.fullmatch(text):
        raise InvalidItemId(
            f"item_id {text[:200]!r} is not 1 to 200 of the characters A-Z a-z 0-9 . _ : @ -",
            item_id=text[:200],
            expected=ITEM_ID.pattern,
        )


def _slug(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    words = re.sub(r"[^a-z0-9]+", "-", plain.lower())
    return words[:MAX_SLUG_CHARACTERS].strip("-") or "item"
