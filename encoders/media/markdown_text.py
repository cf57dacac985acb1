"""The readable text of Markdown: marks off, words kept."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from encoders.media.content import Block, Document

_FENCE = re.compile(r"\s*(`{3,}|~{3,})")
_HEADING = re.compile(r"\s{0,3}(#{1,6})(?:\s+(.*))?$")
_CLOSING_MARKS = re.compile(r"(?:^|(?<=\s))#+$")
_UNDERLINE = re.compile(r"\s{0,3}(=+|-+)\s*$")
_RULE = re.compile(r"\s{0,3}([-*_])(?:\s*\1){2,}\s*$")
_LIST_ENTRY = re.compile(r"\s*(?:[-*+]|\d{1,9}[.)])\s+(?:\[[ xX]\]\s+)?(.*)$")
_QUOTE = re.compile(r"^(?:\s{0,3}>\s?)+")
_LINK_TARGET = re.compile(r"\s{0,3}\[[^\]\n]+\]:\s*\S+")
_TABLE_RULE = re.compile(r"\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$")
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_AUTOLINK = re.compile(r"<((?:https?|mailto):[^<>\s]+)>")
_LINK = re.compile(
    r"!?\[([^\[\]]*)\](?:\([^()\s]*(?:\([^()]*\)[^()\s]*)*(?:\s+[^()]*)?\)|\[[^\]]*\])"
)
# At most 500 letters, so that the other half of a mark is not looked for to the very end.
_EMPHASIS = re.compile(r"(?<!\\)(\*{1,3}|~~|(?<!\w)_{1,3})(?=\S)(.{1,500}?)(?<=[^\s\\])\1")
_CODE = re.compile(r"(?<!`)(`++)(.{1,500}?)(?<!`)\1(?!`)")
_ESCAPE = re.compile(r"\\([\\`*_{}\[\]()#+.!|>~-])")


def markdown_document(text: str) -> Document:
    """Return headings, paragraphs, list entries, table rows and code of a Markdown text as blocks.

    The title is the first heading. Front matter, rules and link targets are left out.
    """
    lines = _without_comments(_without_front_matter(text)).split("\n")
    blocks: list[Block] = []
    title: str | None = None
    for block, heading_level, is_code in _blocks(lines):
        words = block if is_code else _without_marks(block)
        words = " ".join(words.split())
        if not words:
            continue
        blocks.append(Block(words, heading_level))
        if heading_level and title is None:
            title = words
    return Document(tuple(blocks), title=title)


def _without_front_matter(text: str) -> str:
    if text.startswith("---\n") and (end := text.find("\n---", 3)) >= 0:
        return text[text.find("\n", end + 1) + 1 :] if "\n" in text[end + 1 :] else ""
    return text


def _without_comments(text: str) -> str:
    """Return ``text`` without what stands between ``<!--`` and ``-->``.

    A regular expression would look for the end of each comment that has none.
    """
    kept = []
    position = 0
    while (start := text.find("<!--", position)) >= 0 and (end := text.find("-->", start)) >= 0:
        kept.append(text[position:start])
        position = end + len("-->")
    return "".join(kept) + text[position:]


def _blocks(lines: list[str]) -> Iterator[tuple[str, int, bool]]:
    """Yield ``(text, heading_level, is_code)``; the text still has its inline marks."""
    paragraph: list[str] = []
    can_be_heading = False  # the paragraph, if it is underlined: list entries and quotes are not
    fence: str | None = None
    for line in [*lines, ""]:
        if fence is not None:
            if line.strip().startswith(fence):
                yield "\n".join(paragraph), 0, True
                paragraph, fence = [], None
            else:
                paragraph.append(line)
            continue
        is_quoted = _QUOTE.match(line) is not None
        line = _QUOTE.sub("", line)
        underline = _UNDERLINE.match(line) if paragraph and can_be_heading else None
        if underline is not None:
            yield " ".join(paragraph), 1 if underline.group(1)[0] == "=" else 2, False
            paragraph = []
            continue
        starts_block = _starts_block(line)
        if starts_block and paragraph:
            yield " ".join(paragraph), 0, False
            paragraph = []
        if match := _FENCE.match(line):
            fence = match.group(1)
        elif match := _HEADING.match(line):
            yield _CLOSING_MARKS.sub("", (match[2] or "").rstrip()), len(match[1]), False
        elif _is_silent(line):
            continue
        elif match := _LIST_ENTRY.match(line):
            paragraph = [match.group(1)]
            can_be_heading = False
        else:
            can_be_heading = (can_be_heading or not paragraph) and not is_quoted
            paragraph.append(line.replace("|", " ") if line.lstrip().startswith("|") else line)
    if paragraph:  # a fence that was never closed
        yield "\n".join(paragraph), 0, True


def _starts_block(line: str) -> bool:
    patterns = (_FENCE, _HEADING, _LIST_ENTRY, _RULE, _LINK_TARGET)
    is_table_row = line.lstrip().startswith("|")
    return not line.strip() or is_table_row or any(pattern.match(line) for pattern in patterns)


def _is_silent(line: str) -> bool:
    return not line.strip() or any(
        pattern.match(line) for pattern in (_RULE, _LINK_TARGET, _TABLE_RULE)
    )


def _without_marks(text: str) -> str:
    text = _AUTOLINK.sub(r"\1", text)
    text = _TAG.sub(" ", text)
    for _ in range(2):  # a picture inside a link, emphasis inside emphasis
        text = _LINK.sub(r"\1", text)
        text = _EMPHASIS.sub(r"\2", text)
    text = _CODE.sub(r"\2", text)
    return html.unescape(_ESCAPE.sub(r"\1", text))
