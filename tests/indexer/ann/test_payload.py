from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pyarrow as pa

from indexer.ann.payload import PayloadTable, as_rfc3339, payload_columns


def test_rows_carry_what_is_known_about_their_item() -> None:
    columns = payload_columns({"tags": "keyword", "year": "int", "released": "datetime"})
    assert columns == {
        "attributes.tags": "keyword",
        "attributes.year": "int",
        "attributes.released": "datetime",
    }
    items = pa.table(
        {
            "attributes.year": pa.array([2020, None], pa.int64()),
            "attributes.tags": pa.array([["a", None, "b"], [None]], pa.list_(pa.string())),
            "size_bytes": [1, 2],
            "item_id": ["first", "second"],
            "attributes.released": pa.array([datetime(2020, 1, 2, tzinfo=UTC), None]),
        }
    )
    payload = PayloadTable(items, np.array([0, 0, 1]), columns)
    first = {
        "item_id": "first",
        "attributes": {"tags": ["a", "b"], "year": 2020, "released": "2020-01-02T00:00:00.000000Z"},
    }
    assert payload.rows(0, 3) == [first, first, {"item_id": "second", "attributes": {}}]
    assert payload.rows(2, 3) == [{"item_id": "second", "attributes": {}}]
    assert payload.rows(1, 1) == []


def test_moments_are_given_in_utc_to_the_microsecond() -> None:
    zone = timezone(timedelta(hours=2))
    moment = datetime(2021, 5, 6, 7, 8, 9, 10, tzinfo=zone)
    assert as_rfc3339(moment) == "2021-05-06T05:08:09.000010Z"
    assert as_rfc3339(datetime(7, 1, 2, tzinfo=UTC)) == "0007-01-02T00:00:00.000000Z"
