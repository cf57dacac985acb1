"""Documents out of text files."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from encoders.media.captions import InvalidCaptions, caption_document
from encoders.media.content import Block, Document
from encoders.media.decode_limits import DecodeLimits
from encoders.media.html_text import html_document
from encoders.media.json_records import json_document, jsonl_document
from encoders.media.markdown_text import markdown_document
from encoders.media.media_file import open_media
from encoders.media.rejection import MediaRejected
from encoders.media.text_signatures import BYTE_ORDER_MARKS

CHARSET_BYTES = 2048
"""An HTML page declares its encoding within so many bytes."""

_CHARSET = re.compile(rb"charset\s*=\s*[\"']?([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE)
_BLANK_LINE = re.compile(r"\n[ \t\f]*\n")


def read_document(path: Path, format: str, *, limits: DecodeLimits) -> Document:
    """Read the words of a text file.

    Args:
        path: the file.
        format: one of the text formats, as `sniff` names it.
        limits: ``max_text_bytes`` bounds the file.

    Raises:
        MediaRejected: ``no_text``, ``invalid_json``, ``corrupt`` (captions without times),
            ``too_many_bytes``, ``vanished``, ``unreadable`` or ``empty``.
    """
    with open_media(path, max_bytes=limits.max_text_bytes) as file:
        raw = file.read()
    try:
        document = _PARSERS[format](decoded(raw, format).removeprefix("\ufeff"))
    except InvalidCaptions as error:
        raise MediaRejected("corrupt", str(error)) from error
    if not any(char.isalnum() for block in document.blocks for char in block.text):
        raise MediaRejected("no_text", "the file has no words")
    return document


def decoded(raw: bytes, format: str) -> str:
    """Return the characters of a text file, line ends as newlines.

    The encoding is that of the byte order mark (UTF-8, UTF-16, UTF-32), else UTF-8, else what an
    HTML page declares, else Windows-1252, the superset of Latin-1 that Western files without a
    declaration are written in. That last one fits any bytes: text of another 8-bit encoding comes
    out as the wrong letters.
    """
    text = raw.decode(_encoding(raw, format), errors="replace")
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")


def plain_document(text: str) -> Document:
    """Return the paragraphs of a plain text: what blank lines separate."""
    blocks = (" ".join(part.split()) for part in _BLANK_LINE.split(text))
    return Document(tuple(Block(block) for block in blocks if block))


def _encoding(raw: bytes, format: str) -> str:
    for mark, encoding in BYTE_ORDER_MARKS:
        if raw.startswith(mark):
            return encoding
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return (format == "html" and _declared_encoding(raw)) or "cp1252"
    return "utf-8"


def _declared_encoding(raw: bytes) -> str | None:
    match = _CHARSET.search(raw[:CHARSET_BYTES])
    if match is None:
        return None
    try:
        "".encode(match.group(1).decode("ascii"))  # refuses codecs that are not of characters
        return codecs.lookup(match.group(1).decode("ascii")).name
    except LookupError:
        return None


_PARSERS: Mapping[str, Callable[[str], Document]] = {
    "plain": plain_document,
    "markdown": markdown_document,
    "html": html_document,
    "json": json_document,
    "jsonl": jsonl_document,
    "srt": caption_document,
    "vtt": caption_document,
}
