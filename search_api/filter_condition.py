"""The Qdrant compiler of the filter language: a filter becomes a condition on stored payload.

One rule decides what Qdrant is asked: a condition keeps exactly the items that the Arrow mask
keeps, or it is not said at all. What cannot be said::

    a built-in field, as size_bytes    it is not in the payload, see `payload_columns`
    a bound on whole numbers from 2**53 on    Qdrant compares with bounds of 53 bits
    a part that cannot be said         inside "or" and "not" nothing of them can; of the parts of an
                                       "and" those that can are said, and the mask decides the rest

The mask decides in any case: deleted items and everything written since the snapshot are its alone.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeAlias

from indexer.ann.payload import as_rfc3339
from indexer.ann.vector_index import PayloadCondition
from indexer.item_table import ATTRIBUTE_PREFIX
from search_api.filters import And, Exists, Filter, Not, OneOf, Or, Range, RangeOperator, Value

Clause: TypeAlias = dict[str, Any]
"""A condition, or a filter inside another, as Qdrant's HTTP API takes it."""

MAX_EXACT_INTEGER = 2**53
"""From here on not every whole number is a float64, which Qdrant's bounds are."""


def pushable_part(wanted: Filter) -> Filter | None:
    """Return what of a filter Qdrant can decide as the mask does: all, some parts of it, or none.

    Every item that the filter keeps is kept by the part as well.
    """
    if _is_pushable(wanted):
        return wanted
    if isinstance(wanted, And):
        parts = tuple(part for part in map(pushable_part, wanted.parts) if part is not None)
        return And(parts) if parts else None
    return None


def payload_condition(wanted: Filter) -> PayloadCondition:
    """Return a filter from `pushable_part` as a condition that keeps the same items."""
    columns: dict[str, str] = {}
    clause = _clause(wanted, columns)
    return PayloadCondition(_as_filter(clause), columns)


def _is_pushable(wanted: Filter) -> bool:
    if isinstance(wanted, And | Or):
        return all(map(_is_pushable, wanted.parts))
    if isinstance(wanted, Not):
        return _is_pushable(wanted.part)
    if not wanted.field.column.startswith(ATTRIBUTE_PREFIX):
        return False
    if isinstance(wanted, Range) and wanted.field.type == "int":
        return all(abs(_number(bound)) < MAX_EXACT_INTEGER for _, bound in wanted.bounds)
    return True


def _clause(wanted: Filter, columns: dict[str, str]) -> Clause:
    """Return a filter as one clause, and note the columns that it reads."""
    if isinstance(wanted, And):
        return {"must": [_clause(part, columns) for part in wanted.parts]}
    if isinstance(wanted, Or):
        return {"should": [_clause(part, columns) for part in wanted.parts]}
    if isinstance(wanted, Not):
        return {"must_not": [_clause(wanted.part, columns)]}
    key = wanted.field.column
    columns[key] = wanted.field.type
    if isinstance(wanted, Exists):
        empty = {"is_empty": {"key": key}}
        return {"must_not": [empty]} if wanted.exists else empty
    if isinstance(wanted, OneOf):
        return _one_of(key, wanted)
    bounds = _tightest(dict(wanted.bounds))
    return {"key": key, "range": {operator: _bound(bound) for operator, bound in bounds.items()}}


def _one_of(key: str, wanted: OneOf) -> Clause:
    if wanted.field.type in ("float", "datetime"):
        # Qdrant matches strings and whole numbers only: equal is what is neither more nor less.
        bounds = map(_bound, wanted.values)
        return {"should": [{"key": key, "range": {"gte": each, "lte": each}} for each in bounds]}
    return {"key": key, "match": {"any": list(wanted.values)}}


def _tightest(bounds: dict[RangeOperator, Any]) -> dict[RangeOperator, Any]:
    """Return at most one bound on each side: of ``gt`` and ``gte`` Qdrant reads only one."""
    tightest = dict(bounds)
    if "gt" in bounds and "gte" in bounds:
        del tightest["gte" if bounds["gt"] >= bounds["gte"] else "gt"]
    if "lt" in bounds and "lte" in bounds:
        del tightest["lte" if bounds["lt"] <= bounds["lte"] else "lt"]
    return tightest


def _bound(value: Value) -> Any:
    return as_rfc3339(value) if isinstance(value, datetime) else value


def _number(value: Value) -> int:
    assert isinstance(value, int), "the parser lets nothing else into a field of whole numbers"
    return value


def _as_filter(clause: Clause) -> Clause:
    return clause if clause.keys() <= {"must", "should", "must_not"} else {"must": [clause]}
