"""Reading the operations of a batch, each by itself."""

from __future__ import annotations

import msgspec

from search_api.errors import InvalidRequest
from search_api.operation_results import failed_result
from search_api.write_schemas import BatchOperation, OperationResult


def read_operation(raw: msgspec.Raw) -> BatchOperation | OperationResult:
    """Read one operation by itself; what does not fit is that operation's failure."""
    try:
        operation: BatchOperation = msgspec.json.decode(raw, type=BatchOperation)
    except msgspec.MsgspecError as error:
        return failed_result(_named_id(raw), InvalidRequest(str(error)))
    return operation


class _Named(msgspec.Struct):
    item_id: str = ""


def _named_id(raw: msgspec.Raw) -> str:
    try:
        return msgspec.json.decode(raw, type=_Named).item_id[:200]
    except msgspec.MsgspecError:
        return ""
