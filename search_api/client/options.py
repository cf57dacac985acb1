"""What every search takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

PAGE_SIZE = 200


def search_options(
    modalities: Sequence[str] | str | None,
    channels: Sequence[str] | str | None,
    filter: Mapping[str, Any] | None,
    limit: int,
    collection: str | None,
) -> dict[str, Any]:
    """Return the fields of `search_api.schemas.SearchOptions`."""
    return {
        "modalities": _names(modalities),
        "channels": _names(channels),
        "filter": dict(filter) if filter is not None else None,
        "limit": limit,
        "collection": collection,
    }


def _names(names: Sequence[str] | str | None) -> list[str] | None:
    """Return names as a list; one name may be given alone."""
    if names is None:
        return None
    return [names] if isinstance(names, str) else list(names)
