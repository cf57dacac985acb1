"""Telling text from other bytes, and one kind of text from another."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from encoders.media.captions import is_subrip, is_webvtt

MIN_READABLE = 0.6
"""Share of letters, digits, punctuation and space of ASCII below which bytes that are not Unicode
are not taken for text of a Western 8-bit encoding.
"""

BYTE_ORDER_MARKS: tuple[tuple[bytes, str], ...] = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is its beginning
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

# Control characters that no text contains; tab, line ends, form feed and escape are let through.
_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class TextKind:
    """A kind of text."""

    name: str
    """What to call it in a message."""

    format: str | None
    """The text format it is read as; ``None`` for kinds that are refused."""

    is_picture: bool = False
    """A picture written as text."""


PLAIN = TextKind("plain text", "plain")
MARKDOWN = TextKind("Markdown", "markdown")
HTML = TextKind("HTML", "html")
JSON = TextKind("JSON", "json")
SUBRIP = TextKind("SubRip captions", "srt")
WEBVTT = TextKind("WebVTT captions", "vtt")
JSON_LINES = TextKind("JSON Lines", "jsonl")
SVG = TextKind("an SVG picture", None, is_picture=True)

_HINTS = {
    ".md": MARKDOWN,
    ".markdown": MARKDOWN,
    ".html": HTML,
    ".htm": HTML,
    ".xhtml": HTML,
    ".json": JSON,
    ".jsonl": JSON_LINES,
    ".ndjson": JSON_LINES,
}

_PREAMBLE = re.compile(r"\s|<\?[^>]*\?>|<!--.*?-->", re.DOTALL)
_DOCTYPE = re.compile(r"<!DOCTYPE\s+([\w:.-]+)[^>\[]*(?:\[.*?\]\s*)?>", re.DOTALL | re.IGNORECASE)
_ROOT = re.compile(r"<([A-Za-z][\w:.-]*)")

_REFUSED_ROOTS = {
    "svg": SVG,
    "mpd": TextKind("a DASH playlist", None),
    "smil": TextKind("a SMIL playlist", None),
    "asx": TextKind("an ASX playlist", None),
    "playlist": TextKind("an XSPF playlist", None),
    "smoothstreamingmedia": TextKind("a Smooth Streaming playlist", None),
}
_HTML_ROOT_NAMES = (
    "html head body title meta link script style div p h1 h2 h3 h4 h5 h6 ul ol table article "
    "section main header nav span a b i em strong br hr pre blockquote form"
)
_HTML_ROOTS = frozenset(_HTML_ROOT_NAMES.split())

_REFUSED_STARTS: tuple[tuple[re.Pattern[str], TextKind], ...] = (
    (re.compile(r"#EXTM3U|#EXT-X-"), TextKind("an M3U or HLS playlist", None)),
    (re.compile(r"ffconcat\s+version"), TextKind("an ffconcat playlist", None)),
    (re.compile(r"v=0\s*\n\s*[a-z]="), TextKind("an SDP session", None)),
    (re.compile(r"(?i)\[playlist\]"), TextKind("a PLS playlist", None)),
    (re.compile(r"(?i)\[reference\]\s*\n\s*ref1="), TextKind("a Windows Media playlist", None)),
    (re.compile(r"(?i)rtsptext|(?:rtsp|rtmp|mms)://"), TextKind("a stream address", None)),
    (re.compile(r"\{\\rtf"), TextKind("an RTF document", None)),
    (re.compile(r"%!PS"), TextKind("a PostScript document", None)),
    (re.compile(r"%PDF-"), TextKind("a PDF document", None)),
)

_JSON_START = re.compile(
    r'\{\s*(?:"|\})|\[\s*(?:[\[{"\]]|-?\d[\d.eE+-]*\s*,|(?:true|false|null)\b)'
)
_TWO_OBJECT_LINES = re.compile(r"\{[^\n]*\}[ \t\r]*\n\s*\{")


def decoded_head(head: bytes) -> str | None:
    """Return the first bytes of a file as text, ``None`` if they do not read as text.

    Args:
        head: may end in the middle of a character.
    """
    for mark, encoding in BYTE_ORDER_MARKS:
        if head.startswith(mark):
            text = codecs.getincrementaldecoder(encoding)(errors="replace").decode(head)
            return None if _CONTROL.search(text) or "\ufffd" in text else text
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        text = head.decode("latin-1")
        readable = sum(char.isascii() and (char.isprintable() or char.isspace()) for char in text)
        if readable < MIN_READABLE * len(text):
            return None
    return None if _CONTROL.search(text) else text


def find_text(text: str, suffix: str) -> TextKind:
    """Return which kind of text this is.

    Args:
        text: the beginning of the file.
        suffix: of its name, lower case; decides between text formats that look alike.
    """
    start = text.lstrip("\ufeff \t\r\n\f")
    for pattern, kind in _REFUSED_STARTS:
        if pattern.match(start):
            return kind
    if start.startswith("<") and (kind_of_markup := _markup_kind(start)) is not None:
        return kind_of_markup
    unixed = start.replace("\r\n", "\n").replace("\r", "\n")
    if is_webvtt(unixed):
        return WEBVTT
    if is_subrip(unixed):
        return SUBRIP
    if (hint := _HINTS.get(suffix)) is not None:
        return hint
    if _JSON_START.match(start):
        return JSON_LINES if _TWO_OBJECT_LINES.match(start) else JSON
    return PLAIN


def _markup_kind(start: str) -> TextKind | None:
    position = _after_preamble(start, 0)
    doctype = _DOCTYPE.match(start, position)
    if doctype is not None:
        position = _after_preamble(start, doctype.end())
    root = _ROOT.match(start, position)
    names = [match.group(1).lower().rpartition(":")[2] for match in (doctype, root) if match]
    for name in names:
        if name in _REFUSED_ROOTS:
            return _REFUSED_ROOTS[name]
    if any(name in _HTML_ROOTS for name in names):
        return HTML
    return TextKind("XML", None) if start.startswith("<?xml") and root else None


def _after_preamble(text: str, position: int) -> int:
    while (match := _PREAMBLE.match(text, position)) is not None:
        position = match.end()
    return position
