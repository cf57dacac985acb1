"""The filter form: typed inputs for a collection's attributes, and the filter they stand for.

An attribute ``year`` has the parameter ``a.year``, or ``a.year.from`` and ``a.year.to`` where its
values have an order. Names of attributes hold no dot, so no two can be confused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from indexer.config import AttributeType
from indexer.item_table import ATTRIBUTE_PREFIX
from search_api.filters import ORDERED_TYPES, FilterError

PREFIX = "a."
FROM = ".from"
TO = ".to"

_EXPECTED: Mapping[AttributeType, str] = {
    "int": "a whole number",
    "float": "a number",
    "datetime": "a date, such as 2024-05-31",
    "bool": "yes or no",
}
_TRUTH = {"yes": True, "no": False}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True)
class FilterInput:
    """The inputs for one attribute."""

    name: str
    label: str
    type: AttributeType

    param: str
    """Name of the input; of the lower and upper bound with `FROM` and `TO` after it."""

    value: str
    lower: str
    upper: str

    suggestions: Sequence[str]
    """Values there are, where they are few."""

    @property
    def is_ordered(self) -> bool:
        """Whether it has two bounds instead of a value."""
        return self.type in ORDERED_TYPES

    def input_type(self, value: str) -> str:
        """Return the HTML type of the input for a bound that holds ``value``.

        What does not fit stays visible as text, to be mended: an input for numbers would be empty.
        """
        if self.type == "datetime":
            return "date" if not value or _DAY.fullmatch(value) else "text"
        return "number" if not value or _NUMBER.fullmatch(value) else "text"


@dataclass(frozen=True, slots=True)
class ActiveCondition:
    """A filled-in input, as a short text with the way to take it back."""

    param: str
    text: str


def label_of(attribute: str) -> str:
    """Return what people call an attribute: ``release_year`` is *Release year*."""
    return attribute.replace("_", " ").replace("-", " ").capitalize()


def filter_inputs(
    attributes: Mapping[str, AttributeType],
    conditions: Mapping[str, str],
    suggestions: Mapping[str, Sequence[str]],
) -> list[FilterInput]:
    """Return the inputs for a collection's attributes, filled in as ``conditions`` say."""
    return [
        FilterInput(
            name=name,
            label=label_of(name),
            type=kind,
            param=PREFIX + name,
            value=conditions.get(PREFIX + name, ""),
            lower=conditions.get(PREFIX + name + FROM, ""),
            upper=conditions.get(PREFIX + name + TO, ""),
            suggestions=suggestions.get(name, ()),
        )
        for name, kind in attributes.items()
    ]


def active_conditions(inputs: Sequence[FilterInput]) -> list[ActiveCondition]:
    """Return what is filled in, one short text each."""
    active = []
    for each in inputs:
        if each.value:
            active.append(ActiveCondition(each.param, f"{each.label}: {each.value}"))
        if each.lower:
            active.append(ActiveCondition(each.param + FROM, f"{each.label} from {each.lower}"))
        if each.upper:
            active.append(ActiveCondition(each.param + TO, f"{each.label} to {each.upper}"))
    return active


def filter_of(
    attributes: Mapping[str, AttributeType], conditions: Mapping[str, str]
) -> dict[str, Any] | None:
    """Return the filter that the filled-in form stands for; ``None`` if nothing is filled in.

    Several keywords with commas between them mean any of these. A day as an upper bound means until
    its end.

    Raises:
        FilterError: a value does not fit its attribute, or there is no such attribute.
    """
    parts = []
    for param, text in conditions.items():
        name, _, bound = param.removeprefix(PREFIX).partition(".")
        kind = attributes.get(name)
        if (
            kind is None
            or bound not in ("", "from", "to")
            or bool(bound) != (kind in ORDERED_TYPES)
        ):
            raise FilterError(
                f"there is no filter {param.removeprefix(PREFIX)!r} here; there are: "
                + (", ".join(attributes) or "none")
            )
        condition = _bound(name, kind, bound, text) if bound else _value(name, kind, text)
        parts.append({"field": ATTRIBUTE_PREFIX + name, **condition})
    return {"and": parts} if parts else None


def _value(name: str, kind: AttributeType, text: str) -> dict[str, Any]:
    if kind == "keyword":
        return {"in": [value.strip() for value in text.split(",") if value.strip()] or [text]}
    if kind == "bool":
        if text not in _TRUTH:
            raise _mismatch(name, kind, text)
        return {"equals": _TRUTH[text]}
    return {"equals": text}


def _bound(name: str, kind: AttributeType, bound: str, text: str) -> dict[str, Any]:
    operator = "gte" if bound == "from" else "lte"
    try:
        if kind == "int":
            return {"range": {operator: int(text)}}
        if kind == "float":
            return {"range": {operator: float(text)}}
        moment = datetime.fromisoformat(text)
        if bound == "to" and _DAY.fullmatch(text):
            next_day = moment.replace(tzinfo=UTC) + timedelta(days=1)
            return {"range": {"lt": next_day.isoformat()}}
        return {"range": {operator: text}}
    except (ValueError, OverflowError):
        raise _mismatch(name, kind, text) from None


def _mismatch(name: str, kind: AttributeType, text: str) -> FilterError:
    return FilterError(f"{label_of(name)}: expected {_EXPECTED[kind]}, got {text[:60]!r}")
