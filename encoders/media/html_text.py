"""The readable text of HTML."""

from __future__ import annotations

from html.parser import HTMLParser

from encoders.media.content import Block, Document

UNREAD = frozenset({"script", "style", "nav", "template", "noscript", "svg", "math", "head"})
"""Elements whose text is not part of what a reader reads."""

_VOID_NAMES = "area base br col embed hr img input link meta param source track wbr"
VOID = frozenset(_VOID_NAMES.split())
"""Elements that have no end tag."""

_INLINE_NAMES = (
    "a abbr acronym b bdi bdo big cite code data del dfn em font i img ins kbd label mark meter "
    "output q rp rt ruby s samp small span strike strong sub sup time tt u var wbr"
)
INLINE = frozenset(_INLINE_NAMES.split())
"""Elements that stand inside a line; all others begin a block."""


HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})

NEVER_IN_HEADINGS = frozenset({"p", "ul", "ol", "dl", "table", "section", "article", "form", "hr"})


def html_document(text: str) -> Document:
    """Return title and blocks of an HTML page, with entities resolved and white space folded.

    Scripts, styles and navigation are left out; a picture speaks by its ``alt`` text.
    """
    collector = _Collector()
    collector.feed(text)
    collector.close()
    collector.end_block()
    title = " ".join("".join(collector.title).split())
    return Document(tuple(collector.blocks), title=title or None)


class _Collector(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title: list[str] = []
        self.blocks: list[Block] = []
        self._block: list[str] = []
        self._unread: list[str] = []
        self._in_title = False
        self._heading_level = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "body":
            self._unread.clear()  # a head that was never closed
        if tag == "title" and "svg" not in self._unread:
            self._in_title = True
        elif tag in UNREAD:
            self._unread.append(tag)
        if tag not in INLINE:
            self.end_block()
        if tag in HEADINGS:
            self._heading_level = int(tag[1])
        elif tag in NEVER_IN_HEADINGS:
            self._heading_level = 0  # a heading that was never closed
        if tag == "img":
            self.handle_data(f" {dict(attrs).get('alt') or ''} ")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self._in_title = False
        elif tag in self._unread:
            while self._unread.pop() != tag:
                pass
        if tag not in INLINE:
            self.end_block()
        if tag in HEADINGS:
            self._heading_level = 0

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title.append(data)
        elif not self._unread:
            self._block.append(data)

    def end_block(self) -> None:
        """Close the block that is being read, if it has any text."""
        block = " ".join("".join(self._block).split())
        if block:
            self.blocks.append(Block(block, self._heading_level))
        self._block.clear()
