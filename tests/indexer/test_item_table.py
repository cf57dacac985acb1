from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import pyarrow as pa

from indexer.item_table import item_batch, items_schema
from tests.indexer.stored_items import record, tiny_config

SCHEMA = tiny_config().attributes
WHEN = "2026-11-23T10:00:00.123456+00:00"


def row_of(attributes: dict[str, object]) -> dict[str, object]:
    item = replace(record("a", attributes=attributes), updated_at=WHEN)
    (row,) = item_batch([item], SCHEMA).to_pylist()
    return row


def test_values_arrive_in_the_type_of_their_attribute() -> None:
    row = row_of(
        {
            "title": "t",
            "tags": ["a", "b"],
            "year": 1999,
            "score": 2,
            "live": False,
            "released": "1999-12-31T23:00:00+00:00",
            "label": {"any": "thing"},
        }
    )
    assert row["attributes.title"] == "t"
    assert row["attributes.tags"] == ["a", "b"]
    assert row["attributes.year"] == 1999
    assert row["attributes.score"] == 2.0
    assert row["attributes.live"] is False
    assert row["attributes.released"] == datetime(1999, 12, 31, 23, tzinfo=UTC)
    assert msgspec.json.decode(str(row["extra"])) == {"label": {"any": "thing"}}
    assert row["updated_at"] == datetime.fromisoformat(WHEN)
    assert row["location"] == "/media/a.txt"


def test_values_of_an_older_schema_are_kept_aside() -> None:
    wrong = {"title": 5, "tags": [1], "year": 1.5, "score": True, "live": 1, "released": "soon"}
    row = row_of(wrong)
    assert {row[f"attributes.{name}"] for name in wrong} == {None}
    assert msgspec.json.decode(str(row["extra"])) == wrong


def test_one_keyword_and_a_date_without_zone_are_understood() -> None:
    row = row_of({"tags": "solo", "released": "2001-02-03"})
    assert row["attributes.tags"] == ["solo"]
    assert row["attributes.released"] == datetime(2001, 2, 3, tzinfo=UTC)
    assert row["extra"] is None


def test_no_items_still_have_the_columns() -> None:
    batch = item_batch([], SCHEMA)
    assert batch.schema == items_schema(SCHEMA)
    assert batch.num_rows == 0
    assert batch.schema.field("attributes.released").type == pa.timestamp("us", tz="UTC")
