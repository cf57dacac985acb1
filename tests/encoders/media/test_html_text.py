from __future__ import annotations

import pytest

from encoders.media.content import Block
from encoders.media.html_text import html_document


@pytest.mark.parametrize(
    ("page", "blocks"),
    [
        ("<p>one <b>two</b> three<p>four", ["one two three", "four"]),
        ("a<script>x < y</script>b", ["a", "b"]),
        ("<style>p{}</style><nav><a>Home</a></nav><p>text", ["text"]),
        ("<ul><li>one<li>two</ul>", ["one", "two"]),
        ("<table><tr><td>a<td>b</table>", ["a", "b"]),
        ("5 &lt; 6 &amp;&#233;&nbsp;x", ["5 < 6 &é x"]),
        ("one<br>two", ["one", "two"]),
        ("<p>a\n   b\t c</p>", ["a b c"]),
        ('<p>see <img src=x alt="a lighthouse"/> there', ["see a lighthouse there"]),
        ("<p>x</nav></script>y", ["x", "y"]),
        ("<head><meta charset=utf-8><body>text", ["text"]),
        ("<p>never closed <nav>menu", ["never closed"]),
        ("plain words", ["plain words"]),
        ("<!-- hidden -->shown", ["shown"]),
        ("<svg><title>x</title><text>y</text></svg>z", ["z"]),
    ],
)
def test_what_a_reader_reads(page: str, blocks: list[str]) -> None:
    assert [block.text for block in html_document(page).blocks] == blocks


def test_the_title_is_kept_apart() -> None:
    document = html_document(
        "<html><head><title> A\n&amp; B </title></head><h1>Heading</h1></html>"
    )
    assert (document.title, document.blocks) == ("A & B", (Block("Heading", 1),))
    assert html_document("<p>x").title is None


def test_very_deep_nesting_is_read() -> None:
    assert html_document("<div>" * 50_000 + "deep").blocks == (Block("deep"),)


def test_headings_say_their_level_even_when_never_closed() -> None:
    page = "<h1>Guide</h1><p>one<h3>Part <b>two</b><p>three<h2>four</h2>five"
    assert html_document(page).blocks == (
        Block("Guide", 1),
        Block("one"),
        Block("Part two", 3),
        Block("three"),
        Block("four", 2),
        Block("five"),
    )
