"""The Arrow compiler of the filter language: a filter becomes a mask over `LiveView.items`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from search_api.filters import And, Exists, Filter, Not, OneOf, Or, Range, RangeOperator

Mask = NDArray[np.bool_]

_COMPARISONS: Mapping[RangeOperator, Callable[..., Any]] = {
    "gte": pc.greater_equal,
    "gt": pc.greater,
    "lte": pc.less_equal,
    "lt": pc.less,
}


def filter_mask(wanted: Filter, items: pa.Table) -> Mask:
    """Return which rows of ``items`` the filter holds for.

    Args:
        wanted: from `parse_filter`.
        items: has the columns that the filter names.

    Returns:
        ``(items.num_rows,)`` bool.
    """
    if isinstance(wanted, And):
        return np.asarray(np.all([filter_mask(part, items) for part in wanted.parts], axis=0))
    if isinstance(wanted, Or):
        return np.asarray(np.any([filter_mask(part, items) for part in wanted.parts], axis=0))
    if isinstance(wanted, Not):
        return ~filter_mask(wanted.part, items)
    column = items.column(wanted.field.column)
    chunks = [_condition_mask(wanted, chunk) for chunk in column.chunks]
    return np.concatenate([np.zeros(0, dtype=bool), *chunks])


def _condition_mask(wanted: OneOf | Range | Exists, values: pa.Array) -> Mask:
    """Return which values of one chunk satisfy one condition; null satisfies none."""
    if pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        # A condition on a list holds when it holds for any of its values.
        mask = np.zeros(len(values), dtype=bool)
        parents = pc.list_parent_indices(values).to_numpy(zero_copy_only=False)
        held = _scalar_mask(wanted, pc.list_flatten(values), exists=True)
        mask[parents[held]] = True
        return ~mask if isinstance(wanted, Exists) and not wanted.exists else mask
    exists = wanted.exists if isinstance(wanted, Exists) else True
    return _scalar_mask(wanted, values, exists=exists)


def _scalar_mask(wanted: OneOf | Range | Exists, values: pa.Array, *, exists: bool) -> Mask:
    compared_as = _comparable(values.type)
    if values.type != compared_as:
        values = values.cast(compared_as)
    if isinstance(wanted, Exists):
        held = pc.is_valid(values) if exists else pc.is_null(values)
    elif isinstance(wanted, OneOf):
        accepted = pa.array(wanted.values, type=compared_as)
        if pa.types.is_floating(compared_as):
            # Looked up by their bits, in which 0.0 and -0.0 differ; adding zero makes both 0.0.
            values, accepted = pc.add(values, 0.0), pc.add(accepted, 0.0)
        held = pc.and_(pc.is_in(values, value_set=accepted), pc.is_valid(values))
    else:
        held = pc.is_valid(values)
        for operator, bound in wanted.bounds:
            scalar = pa.scalar(bound, type=compared_as)
            held = pc.and_(held, _COMPARISONS[operator](values, scalar).fill_null(False))
    return np.asarray(held.to_numpy(zero_copy_only=False), dtype=bool)


def _comparable(column_type: pa.DataType) -> pa.DataType:
    """Return the type in which values are compared with a column of ``column_type``.

    Whole numbers are compared as 64 bit even where the column is narrower, so that a bound beyond
    the column's range is a true or false answer and no overflow.
    """
    if pa.types.is_integer(column_type):
        return pa.int64()
    if pa.types.is_floating(column_type):
        return pa.float64()
    return column_type
