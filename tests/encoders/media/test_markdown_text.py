from __future__ import annotations

import pytest

from encoders.media.content import Block
from encoders.media.markdown_text import markdown_document


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("one\ntwo\n\nthree", ["one two", "three"]),
        ("# Title #\ntext", ["Title", "text"]),
        ("Title\n=====\ntext", ["Title", "text"]),
        ("- one\n- two\n  more\n3. three\n- [x] done", ["one", "two more", "three", "done"]),
        ("**bold** *thin* ***both*** _low_ ~~gone~~", ["bold thin both low gone"]),
        ("snake_case_name and 2 * 3 * 4", ["snake_case_name and 2 * 3 * 4"]),
        ("[words](http://x/a_(b) 'tip') ![alt](y.png)", ["words alt"]),
        ("[![badge](b.png)](http://x) [ref][1] <http://y>", ["badge ref http://y"]),
        ("[1]: http://x 'note'\ntext", ["text"]),
        ("`code` and ``a ` b``", ["code and a ` b"]),
        ("```python\n# no heading\nx = 1\n```\nafter", ["# no heading x = 1", "after"]),
        ("~~~\nnever closed", ["never closed"]),
        ("> quoted\n> more", ["quoted more"]),
        ("a\n\n---\n\nb", ["a", "b"]),
        ("| a | b |\n|---|---|\n| 1 | 2 |", ["a b", "1 2"]),
        ("<div>kept</div> <!-- not -->", ["kept"]),
        (r"\*plain\* &amp; 1 < 2", ["*plain* & 1 < 2"]),
        ("---\ntitle: x\n---\nbody", ["body"]),
        ("", []),
    ],
)
def test_marks_go_and_words_stay(text: str, blocks: list[str]) -> None:
    assert [block.text for block in markdown_document(text).blocks] == blocks


def test_the_title_is_the_first_heading() -> None:
    assert markdown_document("text\n\n## The *first*\n\n# Second").title == "The first"
    assert markdown_document("no heading").title is None


def test_headings_say_their_level() -> None:
    text = "Guide\n=====\n\none\n\nPart\n----\n\n### *Deep* ###\n\ntwo\n"
    assert markdown_document(text).blocks == (
        Block("Guide", 1),
        Block("one"),
        Block("Part", 2),
        Block("Deep", 3),
        Block("two"),
    )


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("# Learning C#\n## F# ##\n### #\n####\n#tag", ["1 Learning C#", "2 F#", "0 #tag"]),
        ("- one\n- two\n---\nwords", ["0 one", "0 two", "0 words"]),
        ("> quoted\n---\nwords", ["0 quoted", "0 words"]),
        ("- one\n\nTitle\n---\nwords", ["0 one", "2 Title", "0 words"]),
        ("```\n# remark\n```", ["0 # remark"]),
        ("# The `a` and ``b`c``", ["1 The a and b`c"]),
    ],
)
def test_only_headings_are_headings(text: str, blocks: list[str]) -> None:
    found = markdown_document(text).blocks
    assert [f"{block.heading_level} {block.text}" for block in found] == blocks


@pytest.mark.parametrize("text", ["*a ", "_a ", "~~a ", "<!--", "[a](", "`", "<a ", "- "])
def test_the_time_grows_with_the_text_and_not_with_its_square(text: str) -> None:
    assert len(markdown_document("x " + text * 10_000).blocks) == 1
    assert markdown_document("# a" + " " * 100_000 + "b").title == "a b"
