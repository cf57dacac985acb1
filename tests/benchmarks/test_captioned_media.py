from pathlib import Path

import pytest

from benchmarks.captioned_media import (
    caption_of,
    scratch_sounds,
    stamp_captions_read_aloud,
    stamp_pictures,
    stamp_sounds,
    words_of_name,
)


def write(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.fixture
def stamps(tmp_path: Path) -> Path:
    """A small tree in the shape of Tux Paint's stamps."""
    birds = tmp_path / "animals/birds"
    write(birds / "owl.png")
    write(birds / "owl.txt", "An owl.\nde.utf8=Eine Eule.\n")
    write(birds / "owl.ogg")
    write(birds / "owl_de.ogg")
    write(birds / "owl_en_GB.ogg")
    write(birds / "owl_desc.ogg")
    write(birds / "owl_desc_pt_BR.wav")
    write(birds / "owl_mirror.png")
    write(birds / "vector.svg")
    write(birds / "vector.txt", "A drawn bird.\n")
    write(tmp_path / "food/apple_red.png")
    write(tmp_path / "food/apple_red.txt", "A red apple.\n")
    write(tmp_path / "food/apple_red.ogg")
    write(tmp_path / "symbols/math/1.png")
    write(tmp_path / "symbols/math/1.txt", "One.\n")
    write(tmp_path / "symbols/math/1.ogg")
    return tmp_path


def test_pictures_are_the_bitmaps_with_a_caption(stamps: Path) -> None:
    found = [(each.path.name, each.caption, each.group) for each in stamp_pictures(stamps)]
    assert found == [
        ("owl.png", "An owl.", "animals/birds"),
        ("apple_red.png", "A red apple.", "food"),
        ("1.png", "One.", "symbols/math"),
    ]


def test_spoken_captions_and_languages_are_no_sounds_but_a_stamp_named_like_one_is(
    stamps: Path,
) -> None:
    names = [each.path.name for each in stamp_sounds(stamps)]
    assert names == ["owl.ogg", "apple_red.ogg", "1.ogg"]


def test_captions_read_aloud_are_english_and_stand_beside_their_text(stamps: Path) -> None:
    write(stamps / "food/apple_red_desc.ogg")
    write(stamps / "food/unwritten_desc.ogg")
    found = [
        (each.path.name, each.caption, each.group) for each in stamp_captions_read_aloud(stamps)
    ]
    assert found == [
        ("owl_desc.ogg", "An owl.", "animals/birds"),
        ("apple_red_desc.ogg", "A red apple.", "food"),
    ]


def test_letters_and_digits_are_told_apart(stamps: Path) -> None:
    assert [each.is_symbol for each in stamp_sounds(stamps)] == [False, False, True]


def test_scratch_sounds_are_labelled_by_file_name(tmp_path: Path) -> None:
    write(tmp_path / "Animal/HorseGallop.wav")
    write(tmp_path / "Animal/Dog2.wav")
    write(tmp_path / "Animal/notes.txt")
    found = [(each.caption, each.group) for each in scratch_sounds(tmp_path)]
    assert found == [("dog", "Animal"), ("horse gallop", "Animal")]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Dog2", "dog"),
        ("HorseGallop", "horse gallop"),
        ("Laugh-male2", "laugh male"),
        ("Footsteps-1", "footsteps"),
        ("xylo4", "xylo"),
    ],
)
def test_words_of_a_file_name(name: str, words: str) -> None:
    assert words_of_name(name) == words


def test_a_file_without_caption_or_with_an_empty_one_has_none(tmp_path: Path) -> None:
    write(tmp_path / "empty.txt", "\nde.utf8=Leer\n")
    assert caption_of(tmp_path / "empty.png") is None
    assert caption_of(tmp_path / "missing.png") is None
