"""Records out of JSON and JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Iterator

from encoders.media.content import Block, Document
from encoders.media.rejection import MediaRejected

TITLE_KEYS = ("title", "name", "headline")


def json_document(text: str) -> Document:
    """Return one block per record: each element of a list, or the one object there is.

    A block has a line ``key: value`` for every string in the record, nested keys joined by dots;
    numbers and booleans are no words and are left out.

    Raises:
        MediaRejected: ``invalid_json``.
    """
    content = _parsed(text, where="")
    records = content if isinstance(content, list) else [content]
    title = _title(content) if isinstance(content, dict) else None
    return _document(records, title)


def jsonl_document(text: str) -> Document:
    """Return one block per line; see `json_document`.

    Raises:
        MediaRejected: ``invalid_json``, naming the line.
    """
    records = [
        _parsed(line, where=f" in line {number}")
        for number, line in enumerate(text.split("\n"), 1)
        if line.strip()
    ]
    return _document(records, None)


def whole_characters(text: str) -> str:
    """Return ``text`` with a question mark for each half of a character (lone surrogate).

    JSON can spell them, but no database or encoder takes them.
    """
    return text.encode("utf-8", "replace").decode()


def _parsed(text: str, *, where: str) -> object:
    try:
        content: object = json.loads(text.removeprefix("\ufeff"))
    except ValueError as error:
        raise MediaRejected("invalid_json", f"not JSON{where}: {error}") from error
    except RecursionError as error:
        raise MediaRejected("invalid_json", f"JSON nested too deeply{where}") from error
    return content


def _document(records: list[object], title: str | None) -> Document:
    blocks = (whole_characters("\n".join(_lines(record, ""))) for record in records)
    return Document(
        tuple(Block(block) for block in blocks if block), title=title, blocks_are_records=True
    )


def _lines(value: object, key: str) -> Iterator[str]:
    if isinstance(value, str):
        words = " ".join(value.split())
        if words:
            yield f"{key}: {words}" if key else words
    elif isinstance(value, list):
        if all(isinstance(entry, str) for entry in value):
            yield from _lines(", ".join(value), key)
            return
        for entry in value:
            yield from _lines(entry, key)
    elif isinstance(value, dict):
        for name, entry in value.items():
            yield from _lines(entry, f"{key}.{name}" if key else name)


def _title(record: dict[str, object]) -> str | None:
    for key in TITLE_KEYS:
        value = record.get(key)
        if isinstance(value, str) and value.strip():
            return " ".join(whole_characters(value).split())
    return None
