"""Attributes of items: typed by the collection's schema, read from sidecars and attribute files.

Values outside the schema are kept as they are: they come back with a hit but cannot be filtered on.
Stored values are JSON-ready: keywords as a list of strings, datetimes as ISO 8601 in UTC.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from encoders.errors import KindredError
from indexer.config import AttributeType
from indexer.errors import AttributesError

RECORD_SUFFIXES = frozenset({".json", ".jsonl"})
KEY_COLUMNS = ("item_id", "path")


def _keyword(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(entry, str) for entry in values):
        raise TypeError
    return [entry for entry in values if entry]


def _int(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise TypeError
    number = int(value)
    if not -(1 << 63) <= number < 1 << 63:
        raise OverflowError
    return number


def _float(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError
    number = float(value)
    if number != number or number in (float("inf"), float("-inf")):
        raise ValueError
    return number


def _bool(value: Any) -> bool:
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in words:
        return words[value.strip().lower()]
    raise TypeError


def _datetime(value: Any) -> str:
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC).isoformat()


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


_READ: Mapping[AttributeType, Callable[[Any], object]] = {
    "keyword": _keyword,
    "int": _int,
    "float": _float,
    "bool": _bool,
    "datetime": _datetime,
    "text": _text,
}


def typed_attributes(
    values: Mapping[str, Any], schema: Mapping[str, AttributeType], *, origin: str
) -> dict[str, object]:
    """Return ``values`` in the types of ``schema``; empty ones are left out.

    Args:
        values: as they came from JSON, CSV or Parquet.
        schema: attribute name to type; names outside it are kept untouched.
        origin: where the values stand, for the message.

    Raises:
        AttributesError: naming the origin, the field, the expected type and what came.
    """
    typed: dict[str, object] = {}
    for name, value in values.items():
        if value is None or value == "" or value == []:
            continue
        kind = schema.get(name)
        if kind is None:
            typed[name] = value
            continue
        try:
            typed[name] = _READ[kind](value)
        except (TypeError, ValueError, OverflowError) as error:
            raise AttributesError(
                f"{origin}: attribute {name!r} should be {kind}, got {value!r}",
                origin=origin,
                field=name,
                expected=kind,
                got=repr(value),
            ) from error
    return _json_ready(typed, origin)


def _json_ready(values: dict[str, object], origin: str) -> dict[str, object]:
    """Return values as they come back from the catalog, so that equal ones compare equal."""
    try:
        plain = msgspec.json.decode(msgspec.json.encode(values), type=dict[str, object])
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise AttributesError(
            f"{origin}: attributes that JSON cannot hold: {error}", origin=origin
        ) from error
    # NaN, for one, becomes null.
    return {name: value for name, value in plain.items() if value is not None}


def sidecar_of(path: Path, names_beside: frozenset[str]) -> Path | None:
    """Return the JSON file that describes ``path``: ``NAME.EXT.json``, else ``NAME.json``.

    A file of JSON records is described by ``NAME.jsonl.json`` only: ``NAME.json`` beside it holds
    records as well.

    Args:
        path: a media file.
        names_beside: names of all files in its folder, so that no file system call is needed.
    """
    names = sidecar_names(path)
    return next((path.with_name(name) for name in names if name in names_beside), None)


def sidecar_names(path: Path) -> list[str]:
    """Return what a sidecar of ``path`` may be called, the first one there counts."""
    names = [f"{path.name}.json"]
    if path.suffix.lower() not in RECORD_SUFFIXES:
        names.append(f"{path.stem}.json")
    return names


def read_sidecar(path: Path) -> object:
    """Return the JSON in a sidecar: attributes, or what is said in a recording.

    Raises:
        AttributesError: it cannot be read, or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise AttributesError(f"sidecar {path.name}: {error}", origin=path.name) from error


def sidecar_attributes(values: object, path: Path) -> dict[str, Any]:
    """Return the attributes in a sidecar that was read.

    Raises:
        AttributesError: it is not one JSON object.
    """
    if not isinstance(values, dict):
        raise AttributesError(
            f"sidecar {path.name}: expected one JSON object, got {type(values).__name__}",
            origin=path.name,
        )
    return values


class AttributeFile:
    """Rows of attributes keyed by item id or by path.

    ``path`` may be relative to the source folder or absolute. A CSV cell that is a JSON list is
    read as one, so that keywords can hold several values.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._by_item_id: dict[str, dict[str, Any]] = {}
        self._by_path: dict[str, dict[str, Any]] = {}
        self._used: set[int] = set()
        for number, row in table_rows(path):
            if isinstance(row, AttributesError):
                raise row
            key = next((column for column in KEY_COLUMNS if row.get(column)), None)
            if key is None:
                raise AttributesError(
                    f"{path.name}, row {number}: needs a value in one of the columns "
                    f"{', '.join(KEY_COLUMNS)}",
                    origin=path.name,
                    row=number,
                )
            values = {name: value for name, value in row.items() if name not in KEY_COLUMNS}
            if key == "item_id":
                self._by_item_id[str(row[key])] = values
            else:
                self._by_path[Path(str(row[key])).as_posix()] = values

    def get(self, item_id: str, relative_path: str, location: str) -> dict[str, Any] | None:
        """Return the row of an item, ``None`` if there is none."""
        for table, key in (
            (self._by_item_id, item_id),
            (self._by_path, relative_path),
            (self._by_path, location),
        ):
            if key in table:
                self._used.add(id(table[key]))
                return table[key]
        return None

    @property
    def num_unused(self) -> int:
        """How many rows no item has asked for."""
        return len(self._by_item_id) + len(self._by_path) - len(self._used)


TableRow: TypeAlias = Mapping[str, Any] | AttributesError


def table_rows(path: Path) -> Iterator[tuple[int, TableRow]]:
    """Yield the rows of a CSV, JSON Lines or Parquet file with their numbers for messages.

    A row that cannot be read by itself comes as the error that says why, and the next ones follow.

    Raises:
        AttributesError: the suffix is none of these, or the file as a whole cannot be read.
    """
    readers: Mapping[str, Callable[[Path], Iterator[tuple[int, TableRow]]]] = {
        ".csv": _csv_rows,
        ".jsonl": _jsonl_rows,
        ".parquet": _parquet_rows,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise AttributesError(
            f"{path.name}: attribute files end in {', '.join(readers)}", origin=path.name
        )
    try:
        yield from reader(path)
    except KindredError:
        raise
    except (OSError, ValueError, csv.Error) as error:
        raise AttributesError(f"{path}: {error}", origin=str(path)) from error


def _csv_rows(path: Path) -> Iterator[tuple[int, TableRow]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, strict=True)
        for row in reader:
            if None in row:
                error = AttributesError(
                    f"{path.name}, row {reader.line_num}: more cells than the header names",
                    origin=path.name,
                    row=reader.line_num,
                )
                yield reader.line_num, error
                continue
            yield (
                reader.line_num,
                {name: _csv_value(cell) for name, cell in row.items()},
            )


def _csv_value(cell: str | None) -> Any:
    if not cell or not cell.startswith("["):
        return cell
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        return cell  # "[Live] at home" is a title


def _jsonl_rows(path: Path) -> Iterator[tuple[int, TableRow]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                yield number, msgspec.json.decode(line, type=dict[str, Any])
            except msgspec.MsgspecError as error:
                unreadable = AttributesError(
                    f"{path.name}, line {number}: {error}", origin=path.name, row=number
                )
                yield number, unreadable


def _parquet_rows(path: Path) -> Iterator[tuple[int, TableRow]]:
    from pyarrow import parquet

    number = 0
    with parquet.ParquetFile(path) as file:
        for batch in file.iter_batches():
            for row in batch.to_pylist():
                number += 1
                yield number, row
