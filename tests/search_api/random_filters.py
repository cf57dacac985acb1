"""Filters of every shape, for whatever fields a test has."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from search_api.filters import ORDERED_TYPES, RANGE_OPERATORS, Field


@st.composite
def conditions_on(draw: st.DrawFn, field: Field, values: st.SearchStrategy[Any]) -> dict[str, Any]:
    """Draw a condition on a field, of an operator that it takes."""
    operators = ["equals", "in", "exists"]
    if field.type in ORDERED_TYPES:
        operators.append("range")
    operator = draw(st.sampled_from(operators))
    operand: Any
    if operator == "equals":
        operand = draw(values)
    elif operator == "in":
        operand = draw(st.lists(values, min_size=1, max_size=3))
    elif operator == "exists":
        operand = draw(st.booleans())
    else:
        names = draw(st.lists(st.sampled_from(RANGE_OPERATORS), min_size=1, unique=True))
        operand = {bound: draw(values) for bound in names}
    return {"field": field.name, operator: operand}


def filters_of(
    conditions: st.SearchStrategy[dict[str, Any]],
) -> st.SearchStrategy[dict[str, Any]]:
    """Return filters that combine conditions."""
    return st.recursive(
        conditions,
        lambda inner: (
            st.fixed_dictionaries({"and": st.lists(inner, min_size=1, max_size=3)})
            | st.fixed_dictionaries({"or": st.lists(inner, min_size=1, max_size=3)})
            | st.fixed_dictionaries({"not": inner})
        ),
        max_leaves=6,
    )
