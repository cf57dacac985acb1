"""Items as an Arrow table: what search results and filters read instead of the catalog."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import pyarrow as pa

from indexer.catalog.records import ItemRecord
from indexer.config import AttributeType

ATTRIBUTE_PREFIX = "attributes."
EXTRA = "extra"

TIMESTAMP = pa.timestamp("us", tz="UTC")

_BUILT_IN = (
    pa.field("item_id", pa.string(), nullable=False),
    pa.field("medium", pa.string(), nullable=False),
    pa.field("format", pa.string(), nullable=False),
    pa.field("location", pa.string(), nullable=False),
    pa.field("relative_path", pa.string(), nullable=False),
    pa.field("content_sha256", pa.string(), nullable=False),
    pa.field("size_bytes", pa.int64(), nullable=False),
    pa.field("duration_seconds", pa.float64()),
    pa.field("width_px", pa.int64()),
    pa.field("height_px", pa.int64()),
    pa.field("updated_at", TIMESTAMP, nullable=False),
)

_ATTRIBUTE_TYPES: Mapping[AttributeType, pa.DataType] = {
    "keyword": pa.list_(pa.string()),
    "int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "datetime": TIMESTAMP,
    "text": pa.string(),
}


def items_schema(attributes: Mapping[str, AttributeType]) -> pa.Schema:
    """Return the columns of an item table.

    Built-in columns first; then ``attributes.NAME`` per attribute of the collection (a keyword is a
    list of strings, a datetime a UTC timestamp in microseconds); then ``extra``, a JSON object of
    the attributes outside the schema or with a value that does not fit it, null where there are
    none.
    """
    fields = [
        pa.field(f"{ATTRIBUTE_PREFIX}{name}", _ATTRIBUTE_TYPES[kind])
        for name, kind in attributes.items()
    ]
    return pa.schema([*_BUILT_IN, *fields, pa.field(EXTRA, pa.string())])


def item_batch(
    records: Iterable[ItemRecord], attributes: Mapping[str, AttributeType]
) -> pa.RecordBatch:
    """Return items as rows of `items_schema`, in the order given."""
    schema = items_schema(attributes)
    columns: dict[str, list[object]] = {name: [] for name in schema.names}
    for record in records:
        extra = dict(record.attributes)
        for field in _BUILT_IN[:-1]:
            columns[field.name].append(getattr(record, field.name))
        columns["updated_at"].append(datetime.fromisoformat(record.updated_at))
        for name, kind in attributes.items():
            value = _fitting(extra.get(name), kind)
            columns[f"{ATTRIBUTE_PREFIX}{name}"].append(value)
            if value is not None:
                del extra[name]
        columns[EXTRA].append(msgspec.json.encode(extra).decode() if extra else None)
    arrays = [pa.array(columns[field.name], type=field.type) for field in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _fitting(value: Any, kind: AttributeType) -> object:
    """Return a stored attribute as its column takes it; ``None`` if it does not fit.

    Values were checked when they came in, but the schema may have changed since.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "keyword":
        values = [value] if isinstance(value, str) else value
        fits = isinstance(values, list) and all(isinstance(one, str) for one in values)
        return values if fits else None
    if kind == "text":
        return value if isinstance(value, str) else None
    if kind == "bool":
        return value if isinstance(value, bool) else None
    if kind == "float":
        return float(value) if is_number else None
    if kind == "int":
        fits = is_number and value == int(value) and abs(value) < 1 << 63
        return int(value) if fits else None
    return _instant(value)


def _instant(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
