"""Pairs of media and titles out of a CSV, JSON Lines or Parquet file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from encoders.adapters.pairs import Pair, SkippedPair
from indexer.attributes import table_rows
from indexer.errors import AttributesError


@dataclass(frozen=True, slots=True)
class PairsFile:
    """What a file of pairs holds; every row is in one of the two."""

    pairs: tuple[Pair, ...]
    skipped: tuple[SkippedPair, ...]


def read_pairs(file: Path, *, folder: Path | None = None) -> PairsFile:
    """Return the rows of a file with the columns ``path``, ``title`` and, if wanted, ``group``.

    A row that cannot be used is listed with its reason and stops nothing.

    Args:
        file: its suffix says what it is: ``.csv``, ``.jsonl`` or ``.parquet``.
        folder: what paths are relative to; ``None``: the file's own folder.

    Raises:
        AttributesError: the file as a whole cannot be read.
    """
    root = (folder or file.parent).absolute()
    pairs: list[Pair] = []
    skipped: list[SkippedPair] = []
    row_of_pair: dict[tuple[Path, str], int] = {}
    for number, row in table_rows(file):
        made = _pair(number, row, root)
        if isinstance(made, Pair):
            first = row_of_pair.setdefault((made.path, made.title), number)
            if first != number:
                reason = f"the same path and title as row {first}"
                made = SkippedPair(number, str(made.path), reason)
        if isinstance(made, Pair):
            pairs.append(made)
        else:
            skipped.append(made)
    return PairsFile(tuple(pairs), tuple(skipped))


def _pair(number: int, row: Mapping[str, Any] | AttributesError, root: Path) -> Pair | SkippedPair:
    if isinstance(row, AttributesError):
        return SkippedPair(number, None, row.message)
    path, title, group = row.get("path"), row.get("title"), row.get("group")
    if not isinstance(path, str) or not path:
        return SkippedPair(number, None, f"column 'path' should be a path, got {path!r}")
    if not isinstance(title, str) or not title.strip():
        return SkippedPair(number, path, f"column 'title' should be words, got {title!r}")
    if group is not None and not isinstance(group, str | int):
        return SkippedPair(number, path, f"column 'group' should be text, got {group!r}")
    absolute = root / path
    try:
        is_file = absolute.is_file()
    except ValueError:  # a path with a NUL in it
        is_file = False
    if not is_file:
        return SkippedPair(number, path, f"there is no file {absolute}")
    return Pair(absolute, title.strip(), None if group in (None, "") else str(group), number)
