"""The Qdrant compiler against the Arrow compiler, through engines that filter by themselves."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexer.ann.index_entry import SearchSettings
from indexer.ann.payload import PayloadTable, payload_columns
from indexer.ann.qdrant_index import QdrantIndex
from indexer.ann.vector_index import PayloadCondition
from indexer.item_table import items_schema
from search_api.filter_condition import payload_condition, pushable_part
from search_api.filter_mask import filter_mask
from search_api.filters import And, Filter, filter_fields, parse_filter
from tests.indexer.ann.edge_indexes import edge_index
from tests.indexer.ann.fake_qdrant_grpc import FakeGrpc
from tests.indexer.ann.server_indexes import (
    PATIENCE,
    named_server,
    needs_named_server,
    server_index,
)
from tests.indexer.stored_items import random_vectors
from tests.search_api.random_filters import conditions_on, filters_of

# What Qdrant's client says when it plays the server itself.
pytestmark = pytest.mark.filterwarnings("ignore:Local mode", "ignore:Payload indexes")

ATTRIBUTES: Mapping[str, Any] = {
    "tags": "keyword",
    "year-2": "int",
    "gain": "float",
    "live": "bool",
    "released": "datetime",
    "title": "text",
}
FIELDS = filter_fields(ATTRIBUTES)
NUM_ITEMS = 400
START = datetime(2020, 1, 1, tzinfo=UTC)

# Where conversions go wrong, beside values that often meet.
STRINGS = ["", "a", "b", "c", "A", "ä", "a\u0308", "e\0f", "x" * 300, "true", "1", "2020-01-01"]
INTEGERS = [0, 1, -1, 2, 7, 2**53 - 1, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)]
FLOATS = [0.0, -0.0, 0.1, -1.5, 2.0, 5e-324, 1e-7, 1e300, -1e300, 2.0**53, 1 / 3]
MOMENTS = [
    START,
    START + timedelta(microseconds=1),
    START + timedelta(days=1),
    datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(987, 6, 5, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
]
_RANDOM = random.Random(7)
VALUES: Mapping[str, list[Any]] = {
    "tags": STRINGS,
    "year-2": INTEGERS + [_RANDOM.randrange(-(2**63), 2**63) for _ in range(10)],
    "gain": FLOATS + [_RANDOM.gauss(0, 10) ** 5 for _ in range(10)],
    "live": [True, False],
    "released": MOMENTS
    + [START + timedelta(microseconds=_RANDOM.randrange(10**15)) for _ in range(10)],
    "title": STRINGS,
}


@cache
def items() -> pa.Table:
    """Return items with values drawn from `VALUES`, some of them missing."""
    draw = np.random.default_rng(7)
    columns: dict[str, list[Any]] = {}
    for name, values in VALUES.items():
        column: list[Any] = []
        for _ in range(NUM_ITEMS):
            chosen = [values[at] for at in draw.integers(0, len(values), draw.integers(0, 4))]
            if name == "tags":
                column.append([*chosen, None] if draw.random() < 0.1 else chosen or None)
            else:
                column.append(chosen[0] if chosen else None)
        columns[f"attributes.{name}"] = column
    columns["item_id"] = [f"item-{row}" for row in range(NUM_ITEMS)]
    columns["size_bytes"] = draw.integers(0, 4, NUM_ITEMS).tolist()
    schema = items_schema(ATTRIBUTES)
    return pa.table(
        {name: pa.array(values, schema.field(name).type) for name, values in columns.items()}
    )


@pytest.fixture(
    scope="module",
    params=["edge", "fake over gRPC", pytest.param("server", marks=needs_named_server)],
)
def engine(request: pytest.FixtureRequest) -> Iterator[QdrantIndex]:
    payload = PayloadTable(items(), np.arange(NUM_ITEMS), payload_columns(ATTRIBUTES))
    vectors = random_vectors(NUM_ITEMS, 4)
    if request.param == "edge":
        yield edge_index(vectors, graph=True, payload=payload)
    elif request.param == "server":
        yield server_index(named_server(), vectors, graph=True, payload=payload)
    else:
        fake = FakeGrpc()
        yield server_index(fake.asked(PATIENCE), vectors, graph=True, payload=payload)
        fake.stop()


def kept_by(engine: QdrantIndex, condition: PayloadCondition) -> set[int]:
    """Return the rows that the engine itself finds under a condition."""
    assert engine._points is not None
    found = engine._points.search(
        random_vectors(1, 4), NUM_ITEMS, exact=True, settings=SearchSettings(), condition=condition
    )
    return set(found[found >= 0].tolist())


def as_json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


@st.composite
def conditions(draw: st.DrawFn) -> dict[str, Any]:
    name = draw(st.sampled_from([*VALUES, "size_bytes"]))
    values = st.sampled_from(VALUES.get(name, [0, 1, 2])).map(as_json)
    if name == "year-2":
        values |= st.integers(-(2**63), 2**63 - 1)
    elif name == "gain":
        values |= st.floats(allow_nan=False, allow_infinity=False)
    elif name == "released":
        values |= st.datetimes().map(as_json)
    elif name in ("tags", "title"):
        values |= st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
    return draw(conditions_on(FIELDS[name], values))


filters = filters_of(conditions())


@given(filters)
@settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_condition_keeps_exactly_the_rows_that_the_mask_keeps(
    engine: QdrantIndex, data: dict[str, Any]
) -> None:
    wanted = parse_filter(data, FIELDS)
    part = pushable_part(wanted)
    if part is None:
        return
    expected = filter_mask(part, items())
    assert kept_by(engine, payload_condition(part)) == set(np.flatnonzero(expected).tolist())
    assert expected[filter_mask(wanted, items())].all(), "a part keeps all that the whole keeps"


def parsed(data: Any) -> Filter:
    return parse_filter(data, FIELDS)


SIZE = {"field": "size_bytes", "equals": 1}
LIVE = {"field": "live", "equals": True}
TAGS = {"field": "tags", "in": ["a", "b"]}


def test_of_a_conjunction_the_parts_that_can_be_said_are_said() -> None:
    assert pushable_part(parsed(LIVE)) == parsed(LIVE)
    assert pushable_part(parsed(SIZE)) is None
    nested = {"and": [SIZE, LIVE, {"and": [SIZE, TAGS]}]}
    assert pushable_part(parsed(nested)) == And((parsed(LIVE), And((parsed(TAGS),))))
    assert pushable_part(parsed({"and": [SIZE, {"or": [SIZE, LIVE]}, {"not": SIZE}]})) is None


@pytest.mark.parametrize(("bound", "is_said"), [(2**53 - 1, True), (2**53, False)])
def test_bounds_that_float64_cannot_hold_are_left_to_the_mask(bound: int, is_said: bool) -> None:
    for each in (bound, -bound):
        part = pushable_part(parsed({"field": "year-2", "range": {"lt": each}}))
        assert (part is not None) == is_said


def test_a_condition_names_the_columns_it_reads_with_their_types() -> None:
    condition = payload_condition(parsed({"and": [LIVE, {"not": TAGS}]}))
    assert condition.columns == {"attributes.live": "bool", "attributes.tags": "keyword"}
    assert condition.filter == {
        "must": [
            {"key": "attributes.live", "match": {"any": [True]}},
            {"must_not": [{"key": "attributes.tags", "match": {"any": ["a", "b"]}}]},
        ]
    }
