"""HTTP ranges (RFC 9110, section 14): which bytes of a file a request wants."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SINGLE_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)
MAX_DIGITS = 18


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes ``[start, stop)`` of a file."""

    start: int
    stop: int

    def content_range(self, size_bytes: int) -> str:
        """Return the value of ``Content-Range`` for a file of ``size_bytes``."""
        return f"bytes {self.start}-{self.stop - 1}/{size_bytes}"


class RangeNotSatisfiable(Exception):
    """The range begins beyond the end of the file."""


def parse_range(header: str | None, size_bytes: int) -> ByteRange | None:
    """Return the bytes that a ``Range`` header asks for.

    Args:
        header: the header's value, ``None`` when there was none.
        size_bytes: length of the file.

    Returns:
        ``None`` when the whole file is to be sent: no header, another unit, several ranges, or
        no valid range, all of which a server may ignore.

    Raises:
        RangeNotSatisfiable: no byte of the file lies in the range.
    """
    match = _SINGLE_RANGE.fullmatch(header.replace(" ", "")) if header else None
    if match is None or max(map(len, match.groups())) > MAX_DIGITS:
        return None
    first, last = match.groups()
    if not first:
        if not last:
            return None
        if int(last) == 0 or size_bytes == 0:
            raise RangeNotSatisfiable
        return ByteRange(max(0, size_bytes - int(last)), size_bytes)
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size_bytes:
        raise RangeNotSatisfiable
    return ByteRange(start, min(int(last) + 1, size_bytes) if last else size_bytes)
