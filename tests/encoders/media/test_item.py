from __future__ import annotations

import pytest

from encoders.media.item import InvalidItemId, check_item_id, item_id_for


@pytest.mark.parametrize(
    ("relative_path", "slug"),
    [
        ("animals/Red Cat.png", "red-cat-"),
        ("café_noir.mp3", "cafe-noir-"),
        ("灯台.txt", "item-"),
        (".hidden", "hidden-"),
        ("x" * 300 + ".wav", "x" * 60 + "-"),
    ],
)
def test_an_id_reads_like_the_file_name(relative_path: str, slug: str) -> None:
    item_id = item_id_for("stamps", relative_path)
    assert item_id.startswith(slug)
    check_item_id(item_id)


def test_an_id_depends_on_where_the_file_lies_and_nothing_else() -> None:
    assert item_id_for("a", "b/c.png") == item_id_for("a/b", "c.png")
    ids = {item_id_for(*key) for key in [("a", "b/c.png"), ("b", "b/c.png"), ("a", "b/c.jpg")]}
    assert len(ids) == 3


def test_a_path_that_is_not_unicode_has_an_id() -> None:
    check_item_id(item_id_for("a", b"\xff.png".decode("utf-8", "surrogateescape")))


@pytest.mark.parametrize("text", ["a", "A.b_c:d@e-9", "x" * 200])
def test_agreed_ids_pass(text: str) -> None:
    assert check_item_id(text) is None


@pytest.mark.parametrize("text", ["", "x" * 201, "a b", "a/b", "ä", "a\n"])
def test_other_ids_are_refused(text: str) -> None:
    with pytest.raises(InvalidItemId):
        check_item_id(text)
