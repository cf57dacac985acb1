from __future__ import annotations

import pytest

from encoders.media.json_records import json_document, jsonl_document
from encoders.media.rejection import MediaRejected


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ('{"a": "x", "n": 1, "b": {"c": "y"}, "d": null}', ["a: x\nb.c: y"]),
        ('[{"a": "x"}, {"a": "y"}]', ["a: x", "a: y"]),
        ('[{"a": "x"}, {"n": 2}]', ["a: x"]),
        ('{"tags": ["sea", "night"]}', ["tags: sea, night"]),
        ('{"list": [{"a": "x"}, {"a": "y"}, 3]}', ["list.a: x\nlist.a: y"]),
        ('["one", "two"]', ["one", "two"]),
        ('"alone"', ["alone"]),
        ('\ufeff{"a": " x\\n y "}', ["a: x y"]),
    ],
)
def test_a_record_is_its_strings_under_their_keys(text: str, blocks: list[str]) -> None:
    document = json_document(text)
    assert [block.text for block in document.blocks] == blocks
    assert document.blocks_are_records


def test_an_object_may_have_a_title() -> None:
    assert json_document('{"title": "Whale ", "text": "x"}').title == "Whale"
    assert json_document('[{"title": "Whale"}]').title is None


def test_each_line_is_a_record() -> None:
    document = jsonl_document('{"a": "x"}\n\n  \n"y"\n')
    assert [block.text for block in document.blocks] == ["a: x", "y"]
    assert document.blocks_are_records


@pytest.mark.parametrize("text", ["", "{", "{'a': 1}", "[" * 100_000, "9" * 5000, "{} {}"])
def test_broken_json_says_so(text: str) -> None:
    with pytest.raises(MediaRejected) as caught:
        json_document(text)
    assert caught.value.reason == "invalid_json"


def test_a_broken_line_is_named() -> None:
    with pytest.raises(MediaRejected, match="line 3") as caught:
        jsonl_document('{"a": "x"}\n\n{"a"\n')
    assert caught.value.reason == "invalid_json"


def test_halves_of_characters_are_not_handed_on() -> None:
    document = json_document('{"title": "\\ud800", "\\udfff": "whale \\ud83d\\udc0b"}')
    assert document.title == "?"
    assert [block.text for block in document.blocks] == ["title: ?\n?: whale \U0001f40b"]
