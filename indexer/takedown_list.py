"""Takedowns outside their catalog: a file that outlives the data folder, and bringing it back.

A backup knows the takedowns of its day. What was taken down later must be told when it is restored:
by a list that was exported, or by a data folder or backup that still knows.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from encoders.errors import KindredError
from indexer.catalog.catalog import Catalog
from indexer.catalog.copying import copy_catalog
from indexer.catalog.takedown_merging import MergedTakedowns, merge_takedowns
from indexer.catalog.takedown_records import Takedown
from indexer.data_dir import DataDir
from indexer.durable_files import replace_durably
from indexer.erasure import erase_files

LIST_FORMAT_VERSION = 1

_T = TypeVar("_T")


class TakedownListUnreadable(KindredError):
    """A file is no list of takedowns, or a folder holds none."""

    code = "takedown_list_unreadable"


class _Head(msgspec.Struct, frozen=True):
    """The first line."""

    kindred_takedowns: int
    """Version of the format."""

    exported: str
    """UTC, ISO 8601."""


@dataclass(frozen=True, slots=True)
class TakedownList:
    """Takedowns of every collection, as somebody knew them."""

    takedowns: tuple[Takedown, ...]

    known_through: str
    """UTC, ISO 8601; of later ones it says nothing."""


def export_takedowns(catalog: Catalog, path: Path) -> TakedownList:
    """Write every takedown of every collection to a file, one a line.

    What the file holds already stays: a list never forgets.

    Args:
        catalog: whose takedowns.
        path: new, or of an earlier export.

    Raises:
        TakedownListUnreadable: something else lies there.
        OSError: it cannot be written; what was there is as it was.
    """
    before = read_list_file(path).takedowns if path.exists() else ()
    known = {each.takedown_id: each for each in before}
    now = _now()
    for each in catalog.takedowns.all():
        known[each.takedown_id] = each
    ordered = tuple(sorted(known.values(), key=lambda each: (each.requested_at, each.takedown_id)))
    lines = [msgspec.json.encode(each) for each in (_Head(LIST_FORMAT_VERSION, now), *ordered)]
    replace_durably(path.absolute(), b"\n".join([*lines, b""]))
    return TakedownList(ordered, now)


def read_takedowns_of(path: Path) -> TakedownList:
    """Read what an exported list, a data folder or a backup knows; nothing is changed there.

    Raises:
        TakedownListUnreadable: it is none of these.
        CatalogError: the folder's catalog is damaged.
    """
    if not path.is_dir():
        return read_list_file(path)
    source = DataDir(path).catalog_path
    if not source.is_file():
        raise TakedownListUnreadable(f"{path}: there is no {source.name} in this folder")
    changed_at = _changed_at(source)
    # A copy, which may be brought up to date without touching what is kept there.
    with tempfile.TemporaryDirectory(prefix="kindred-takedowns-") as scratch:
        copied = DataDir(Path(scratch))
        copy_catalog(source, copied.catalog_path)
        with Catalog.open(copied) as catalog:
            return TakedownList(tuple(catalog.takedowns.all()), changed_at)


def read_list_file(path: Path) -> TakedownList:
    """Read an exported list.

    Raises:
        TakedownListUnreadable: saying which line is wrong.
    """
    try:
        first, *lines = path.read_bytes().splitlines() or [b""]
    except OSError as error:
        raise TakedownListUnreadable(f"{path}: {error.strerror}", file=str(path)) from error
    head = _decoded(first, _Head, path, 1)
    if head.kindred_takedowns != LIST_FORMAT_VERSION:
        raise TakedownListUnreadable(
            f"{path}: format version {head.kindred_takedowns}; this version of kindred reads "
            f"{LIST_FORMAT_VERSION}",
            expected=LIST_FORMAT_VERSION,
            got=head.kindred_takedowns,
        )
    found = [_decoded(line, Takedown, path, number) for number, line in enumerate(lines, 2)]
    return TakedownList(tuple(found), head.exported)


def _decoded(line: bytes, kind: type[_T], path: Path, number: int) -> _T:
    try:
        return msgspec.json.decode(line, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TakedownListUnreadable(
            f"{path}, line {number}: not a list of takedowns: {error}", file=str(path), line=number
        ) from error


def bring_back(catalog: Catalog, data_dir: DataDir, listed: Sequence[Takedown]) -> MergedTakedowns:
    """Carry out takedowns that a catalog does not know, as after restoring an older backup.

    Their items are hidden, kept out, and their uploads and cached files erased.
    """
    merged = merge_takedowns(catalog.engine, listed)
    for takedown in merged.brought:
        if takedown.lifted_at is None:
            erase_files(catalog, data_dir, takedown)
    return merged


def _changed_at(database: Path) -> str:
    """Return when a SQLite file, or its log, was last written."""
    log = database.with_name(f"{database.name}-wal")
    times = [path.stat().st_mtime for path in (database, log) if path.exists()]
    return datetime.fromtimestamp(max(times), UTC).isoformat(timespec="seconds")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
