"""Payloads and filters as every form of Qdrant stores and compares them alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def without_bools(value: Any) -> Any:
    """Return a JSON value with 1 for true and 0 for false."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, Mapping):
        return {key: without_bools(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [without_bools(inner) for inner in value]
    return value
