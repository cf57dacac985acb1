"""What is stored about each row beside its vector, for engines that filter while they search."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from indexer.config import AttributeType
from indexer.item_table import ATTRIBUTE_PREFIX

ITEM_ID = "item_id"


def payload_columns(attributes: Mapping[str, AttributeType]) -> dict[str, AttributeType]:
    """Return the columns of an item table that an engine indexes beside the vectors, by type.

    They are the collection's own attributes: each index costs dozens of files, and a filter on
    anything else, as a size in bytes, is answered from the item table.
    """
    return {ATTRIBUTE_PREFIX + name: kind for name, kind in attributes.items()}


class PayloadTable:
    """The payload of a channel's rows: what is known about the item of each.

    Args:
        items: has ``item_id`` and the columns that ``columns`` names.
        item_rows: ``(num_rows,)`` row of ``items`` of each row of the channel.
        columns: from `payload_columns`.
    """

    def __init__(
        self,
        items: pa.Table,
        item_rows: NDArray[np.int64],
        columns: Mapping[str, AttributeType],
    ) -> None:
        self.columns = columns
        self._items = items.select([ITEM_ID, *columns])
        self._item_rows = item_rows

    def rows(self, start: int, stop: int) -> list[dict[str, Any]]:
        """Return ``item_id`` and ``attributes`` of rows ``start`` to ``stop``, JSON-ready.

        A column ``attributes.NAME`` is NAME inside ``attributes``, which is also how Qdrant reads a
        path of that spelling.
        """
        chosen, places = np.unique(self._item_rows[start:stop], return_inverse=True)
        found = [_payload(values) for values in self._items.take(pa.array(chosen)).to_pylist()]
        return [found[place] for place in places.tolist()]


def _payload(values: Mapping[str, Any]) -> dict[str, Any]:
    attributes = {}
    for column, value in values.items():
        stored = None if column == ITEM_ID else _stored(value)
        # What a filter calls no value is not there for Qdrant, which would count a null in a list.
        if stored is not None and stored != []:
            attributes[column.removeprefix(ATTRIBUTE_PREFIX)] = stored
    return {ITEM_ID: values[ITEM_ID], "attributes": attributes}


def _stored(value: Any) -> Any:
    if isinstance(value, list):
        return [one for one in value if one is not None]
    return as_rfc3339(value) if isinstance(value, datetime) else value


def as_rfc3339(moment: datetime) -> str:
    """Return a moment in UTC, to the microsecond, as Qdrant stores and compares it."""
    # Not by strftime, which writes years before 1000 with fewer than four digits.
    in_utc = moment.astimezone(UTC).replace(tzinfo=None)
    return f"{in_utc.isoformat(timespec='microseconds')}Z"
