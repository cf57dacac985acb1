"""The filter language: conditions on what is stored about an item, and their Arrow compiler.

A filter is JSON::

    {"and": [{"field": "language", "equals": "en"},
             {"not": {"field": "tags", "in": ["live", "remix"]}},
             {"field": "duration_seconds", "range": {"gte": 60, "lt": 600}},
             {"field": "released", "exists": true}]}

A ``keyword`` field may hold several values; a condition holds when any of them fits. A field
without a value fits no condition except ``{"exists": false}``. ``not`` is the plain complement, so
``{"not": {"field": "language", "equals": "en"}}`` also takes items of no known language.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from encoders.errors import KindredError
from indexer.config import AttributeType
from indexer.item_table import ATTRIBUTE_PREFIX

MAX_DEPTH = 16
MAX_CONDITIONS = 256

BUILT_IN_FIELDS: Mapping[str, AttributeType] = {
    "item_id": "keyword",
    "medium": "keyword",
    "format": "keyword",
    "duration_seconds": "float",
    "size_bytes": "int",
    "width_px": "int",
    "height_px": "int",
    "updated_at": "datetime",
}

Value: TypeAlias = str | int | float | bool | datetime
RangeOperator: TypeAlias = Literal["gte", "gt", "lte", "lt"]
RANGE_OPERATORS: tuple[RangeOperator, ...] = ("gte", "gt", "lte", "lt")
ORDERED_TYPES: tuple[AttributeType, ...] = ("int", "float", "datetime")

_EXPECTED: Mapping[AttributeType, str] = {
    "keyword": "a string",
    "text": "a string",
    "int": "a whole number of 64 bits",
    "float": "a number",
    "bool": "true or false",
    "datetime": "an ISO 8601 date or time",
}


class FilterError(KindredError):
    """A filter that does not follow the language or does not fit the collection's fields."""

    code = "bad_filter"


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the collection."""

    name: str
    """As the filter names it."""

    column: str
    """Its column in `LiveView.items`."""

    type: AttributeType


@dataclass(frozen=True, slots=True)
class And:
    """All parts hold; with no parts it always holds."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one part holds; with no parts it never holds."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Filter


@dataclass(frozen=True, slots=True)
class OneOf:
    """The field has one of the values; ``equals`` is the case of one value."""

    field: Field
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """The field lies between bounds."""

    field: Field
    bounds: tuple[tuple[RangeOperator, Value], ...]


@dataclass(frozen=True, slots=True)
class Exists:
    """The field has a value, or has none."""

    field: Field
    exists: bool


Filter: TypeAlias = And | Or | Not | OneOf | Range | Exists


def filter_fields(attributes: Mapping[str, AttributeType]) -> dict[str, Field]:
    """Return the fields that filters of a collection may name.

    Built-in fields come first; an attribute is named by itself, or as ``attributes.NAME``, which
    also reaches an attribute that shares a built-in name.
    """
    fields = {name: Field(name, name, kind) for name, kind in BUILT_IN_FIELDS.items()}
    for attribute, kind in attributes.items():
        column = ATTRIBUTE_PREFIX + attribute
        fields[column] = Field(column, column, kind)
        fields.setdefault(attribute, Field(attribute, column, kind))
    return fields


def parse_filter(data: object, fields: Mapping[str, Field]) -> Filter:
    """Check a filter and return it in typed form.

    Args:
        data: decoded JSON.
        fields: from `filter_fields`.

    Raises:
        FilterError: naming the place, the field, what was expected and what was given.
    """
    return _FilterParser(fields).parse(data, "filter", depth=1)


class _FilterParser:
    """Walks one filter and counts its conditions."""

    def __init__(self, fields: Mapping[str, Field]) -> None:
        self.fields = fields
        self.num_conditions = 0

    def parse(self, data: object, where: str, depth: int) -> Filter:
        if depth > MAX_DEPTH:
            raise FilterError(f"{where}: nested deeper than {MAX_DEPTH}", where=where)
        if not isinstance(data, Mapping):
            raise FilterError(f"{where}: expected an object, got {_shown(data)}", where=where)
        if "field" in data:
            return self._condition(data, where)
        if len(data) != 1 or next(iter(data)) not in ("and", "or", "not"):
            raise FilterError(
                f"{where}: expected one of and, or, not, or a field with a condition; "
                f"got keys {_names(data)}",
                where=where,
            )
        operator, inner = next(iter(data.items()))
        if operator == "not":
            return Not(self.parse(inner, f"{where}.not", depth + 1))
        if not isinstance(inner, list) or not inner:
            raise FilterError(
                f"{where}.{operator}: expected a list of at least one filter, got {_shown(inner)}",
                where=f"{where}.{operator}",
            )
        parts = tuple(
            self.parse(part, f"{where}.{operator}[{position}]", depth + 1)
            for position, part in enumerate(inner)
        )
        return And(parts) if operator == "and" else Or(parts)

    def _condition(self, data: Mapping[str, object], where: str) -> Filter:
        self.num_conditions += 1
        if self.num_conditions > MAX_CONDITIONS:
            raise FilterError(f"more than {MAX_CONDITIONS} conditions", limit=MAX_CONDITIONS)
        name = data["field"]
        field = self.fields.get(name) if isinstance(name, str) else None
        if field is None:
            known = [name for name in self.fields if not name.startswith(ATTRIBUTE_PREFIX)]
            raise FilterError(
                f"{where}: there is no field {_shown(name)}; there are: {', '.join(known)}",
                where=where,
                fields=known,
            )
        operators = [key for key in data if key != "field"]
        if len(operators) != 1 or operators[0] not in ("equals", "in", "range", "exists"):
            raise FilterError(
                f"{where}: field {field.name!r} takes exactly one of equals, in, range, exists; "
                f"got {_names(operators)}",
                where=where,
                field=field.name,
            )
        operator, operand = operators[0], data[operators[0]]
        where = f"{where}.{operator}"
        if operator == "equals":
            return OneOf(field, (_value(operand, field, where),))
        if operator == "in":
            return self._one_of(field, operand, where)
        if operator == "range":
            return _range(field, operand, where)
        if not isinstance(operand, bool):
            raise _mismatch(where, field, "true or false", operand)
        return Exists(field, operand)

    def _one_of(self, field: Field, operand: object, where: str) -> Filter:
        if not isinstance(operand, list) or not operand:
            raise _mismatch(where, field, "a list of at least one value", operand)
        # Every value is a comparison, so a long list counts like as many conditions.
        self.num_conditions += len(operand) - 1
        if self.num_conditions > MAX_CONDITIONS:
            raise FilterError(f"more than {MAX_CONDITIONS} conditions", limit=MAX_CONDITIONS)
        return OneOf(field, tuple(_value(value, field, where) for value in operand))


def _range(field: Field, operand: object, where: str) -> Range:
    if field.type not in ORDERED_TYPES:
        raise FilterError(
            f"{where}: field {field.name!r} is {field.type}; ranges are for "
            f"{', '.join(ORDERED_TYPES)}",
            where=where,
            field=field.name,
            type=field.type,
        )
    if not isinstance(operand, Mapping) or not operand or set(operand) - set(RANGE_OPERATORS):
        raise _mismatch(where, field, f"an object with {', '.join(RANGE_OPERATORS)}", operand)
    bounds = tuple(
        (operator, _value(operand[operator], field, f"{where}.{operator}"))
        for operator in RANGE_OPERATORS
        if operator in operand
    )
    return Range(field, bounds)


def _value(value: object, field: Field, where: str) -> Value:
    """Return ``value`` as the field's type, or raise naming both."""
    expected = _EXPECTED[field.type]
    if field.type in ("keyword", "text") and isinstance(value, str):
        return value
    if field.type == "bool" and isinstance(value, bool):
        return value
    if field.type == "int" and isinstance(value, int) and not isinstance(value, bool):
        if -(2**63) <= value < 2**63:
            return value
    elif field.type == "float" and isinstance(value, int | float) and not isinstance(value, bool):
        return _finite(value, field, where)
    elif field.type == "datetime" and isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise _mismatch(where, field, expected, value)


def _finite(value: float, field: Field, where: str) -> float:
    try:
        number = float(value)
    except OverflowError:
        raise _mismatch(where, field, "a number of 64 bits", value) from None
    if number != number or number in (float("inf"), float("-inf")):
        raise _mismatch(where, field, "a finite number", value)
    return number


def _mismatch(where: str, field: Field, expected: str, got: object) -> FilterError:
    return FilterError(
        f"{where}: field {field.name!r} is {field.type}: expected {expected}, got {_shown(got)}",
        where=where,
        field=field.name,
        expected=expected,
        got=_shown(got),
    )


def _shown(value: Any) -> str:
    """Return a short form of ``value`` for messages."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _names(names: Any) -> str:
    return ", ".join(str(name)[:40] for name in list(names)[:8]) or "none"
