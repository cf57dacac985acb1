"""The Arrow compiler against a plain evaluator that works on one record at a time."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from search_api.filter_mask import filter_mask
from search_api.filters import filter_fields, parse_filter
from tests.search_api.random_filters import conditions_on, filters_of

ATTRIBUTES = {
    "tags": "keyword",
    "year": "int",
    "gain": "float",
    "live": "bool",
    "released": "datetime",
    "title": "text",
}
FIELDS = filter_fields(ATTRIBUTES)  # type: ignore[arg-type]
SCHEMA = pa.schema(
    [
        ("medium", pa.string()),
        ("width_px", pa.int32()),
        ("attributes.tags", pa.list_(pa.string())),
        ("attributes.year", pa.int64()),
        ("attributes.gain", pa.float64()),
        ("attributes.live", pa.bool_()),
        ("attributes.released", pa.timestamp("us", tz="UTC")),
        ("attributes.title", pa.string()),
    ]
)
START = datetime(2020, 1, 1, tzinfo=UTC)

VALUES: Mapping[str, st.SearchStrategy[Any]] = {
    "medium": st.sampled_from(["image", "audio"]),
    "width_px": st.integers(0, 4),
    "tags": st.sampled_from(["a", "b", "c"]),
    "year": st.integers(-2, 2),
    "gain": st.sampled_from([-1.5, -0.0, 0.0, 0.5, 2.0]),
    "live": st.booleans(),
    "released": st.integers(0, 3).map(lambda days: START + timedelta(days=days)),
    "title": st.sampled_from(["", "one", "two"]),
}


def column_of(name: str) -> str:
    return FIELDS[name].column


records = st.lists(
    st.fixed_dictionaries(
        {
            column_of(name): (
                st.none() | st.lists(values, max_size=3) if name == "tags" else st.none() | values
            )
            for name, values in VALUES.items()
        }
    ),
    max_size=12,
)


def as_json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


@st.composite
def conditions(draw: st.DrawFn) -> dict[str, Any]:
    name = draw(st.sampled_from(list(VALUES)))
    values = VALUES[name].map(as_json)
    return draw(conditions_on(FIELDS[name], values))


filters = filters_of(conditions())


def holds(data: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
    if "and" in data:
        return all(holds(part, record) for part in data["and"])
    if "or" in data:
        return any(holds(part, record) for part in data["or"])
    if "not" in data:
        return not holds(data["not"], record)
    stored = record[column_of(data["field"])]
    values = [as_json(v) for v in (stored if isinstance(stored, list) else [stored])]
    values = [value for value in values if value is not None]
    if "exists" in data:
        return bool(values) == data["exists"]
    if "equals" in data:
        return data["equals"] in values
    if "in" in data:
        return any(value in data["in"] for value in values)
    return any(in_bounds(value, data["range"]) for value in values)


def in_bounds(value: Any, bounds: Mapping[str, Any]) -> bool:
    return (
        value >= bounds.get("gte", value)
        and value <= bounds.get("lte", value)
        and ("gt" not in bounds or value > bounds["gt"])
        and ("lt" not in bounds or value < bounds["lt"])
    )


def chunked(rows: list[dict[str, Any]], first: int) -> pa.Table:
    """A table in several chunks, as a view of snapshot and delta is."""
    return pa.concat_tables(
        [
            pa.Table.from_pylist(rows[:first], schema=SCHEMA),
            pa.Table.from_pylist(rows[first:], schema=SCHEMA),
        ]
    )


@settings(max_examples=300, deadline=None)
@given(rows=records, data=filters, first=st.integers(0, 12))
def test_mask_agrees_with_an_evaluator_of_single_records(
    rows: list[dict[str, Any]], data: dict[str, Any], first: int
) -> None:
    mask = filter_mask(parse_filter(data, FIELDS), chunked(rows, first))
    assert mask.dtype == np.bool_
    assert mask.tolist() == [holds(data, row) for row in rows]


def test_not_also_takes_items_without_a_value() -> None:
    items = chunked([{"medium": "image"}, {"medium": None}], 1)
    data = {"not": {"field": "medium", "equals": "image"}}
    assert filter_mask(parse_filter(data, FIELDS), items).tolist() == [False, True]


def test_a_bound_beyond_a_narrow_column_is_no_overflow() -> None:
    items = chunked([{"width_px": 5}, {"width_px": None}], 2)
    data = {"field": "width_px", "range": {"lt": 2**40}}
    assert filter_mask(parse_filter(data, FIELDS), items).tolist() == [True, False]


def test_a_sliced_list_column_keeps_its_places() -> None:
    rows = [{"attributes.tags": tags} for tags in (["a"], ["b", "a"], [], None, ["b"])]
    items = pa.Table.from_pylist(rows, schema=SCHEMA).slice(1)
    data = {"field": "tags", "equals": "b"}
    assert filter_mask(parse_filter(data, FIELDS), items).tolist() == [True, False, False, True]
