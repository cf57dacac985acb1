"""Pictures and sounds with an English caption each, read from unpacked packages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SOUND_SUFFIXES = frozenset({".ogg", ".wav", ".mp3"})

_DESCRIPTION = re.compile(r"_desc(_|$)")
_LANGUAGE = re.compile(r"_[a-z]{2,3}(_[A-Z]{2})?(@[a-z]+)?$")
_SYMBOLS = ("symbols/alphabets", "symbols/math")


@dataclass(frozen=True, slots=True)
class CaptionedFile:
    """A picture or sound and what somebody called it."""

    path: Path

    caption: str

    group: str
    """The folder it came from, relative to the package's media: ``animals/birds``."""

    @property
    def is_symbol(self) -> bool:
        """Whether it is a letter or a digit: spoken, it sounds like any other speech."""
        return self.group.startswith(_SYMBOLS)


def stamp_pictures(stamps: Path) -> list[CaptionedFile]:
    """Return Tux Paint's bitmap stamps that have a caption, in order of path.

    Stamps that exist as SVG only are no bitmaps, and mirrored variants have no caption.

    Args:
        stamps: the folder ``stamps`` of the package.
    """
    pictures = sorted(stamps.rglob("*.png"))
    return list(_captioned(stamps, pictures))


def stamp_sounds(stamps: Path) -> list[CaptionedFile]:
    """Return the sounds that Tux Paint's stamps make, captioned as the stamp is, in order of path.

    ``NAME_desc*`` is the caption read aloud, and ``NAME_de.ogg`` the German form of a sound: both
    are speech and left out. ``apple_red.ogg`` is no language but belongs to a stamp of that name.
    """
    sounds = [
        path
        for path in sorted(stamps.rglob("*"))
        if path.suffix.lower() in SOUND_SUFFIXES
        and not _DESCRIPTION.search(path.stem)
        and not (_LANGUAGE.search(path.stem) and not path.with_suffix(".png").exists())
    ]
    return list(_captioned(stamps, sounds))


def stamp_captions_read_aloud(stamps: Path) -> list[CaptionedFile]:
    """Return the captions of Tux Paint's stamps that somebody reads aloud in English.

    ``NAME_desc.ogg`` says what ``NAME.txt`` does, mostly without its article; other languages have
    their code in the name.
    """
    return [
        CaptionedFile(path, caption, path.parent.relative_to(stamps).as_posix())
        for path in sorted(stamps.rglob("*_desc.ogg"))
        if (caption := caption_of(path.with_name(path.name.removesuffix("_desc.ogg") + ".png")))
    ]


def scratch_sounds(sounds: Path) -> list[CaptionedFile]:
    """Return Scratch's sounds, each labelled by its file name, in order of path.

    Args:
        sounds: the folder ``Media/Sounds`` of the package.
    """
    return [
        CaptionedFile(path, words_of_name(path.stem), path.parent.relative_to(sounds).as_posix())
        for path in sorted(sounds.rglob("*"))
        if path.suffix.lower() in SOUND_SUFFIXES
    ]


def words_of_name(name: str) -> str:
    """Return a file name as words: ``HorseGallop2`` becomes ``horse gallop``."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return " ".join(re.sub(r"[\d_-]+", " ", apart).lower().split())


def caption_of(path: Path) -> str | None:
    """Return the English caption beside a stamp: the first line of ``NAME.txt``."""
    described = path.with_suffix(".txt")
    if not described.is_file():
        return None
    first, _, _ = described.read_text(encoding="utf-8").partition("\n")
    return first.strip() or None


def _captioned(folder: Path, paths: list[Path]) -> Iterator[CaptionedFile]:
    for path in paths:
        caption = caption_of(path)
        if caption is not None:
            yield CaptionedFile(path, caption, path.parent.relative_to(folder).as_posix())
