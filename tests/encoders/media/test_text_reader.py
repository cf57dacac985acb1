from __future__ import annotations

from pathlib import Path

import pytest

from encoders.media.content import Block, Document
from encoders.media.decode_limits import DecodeLimits
from encoders.media.rejection import MediaRejected
from encoders.media.text_reader import read_document

TEXT = "Déjà vu\n\nà la carte"


def read(folder: Path, content: bytes, format: str = "plain", **limits: int) -> Document:
    path = folder / "file"
    path.write_bytes(content)
    return read_document(path, format, limits=DecodeLimits(**limits))


def words(document: Document) -> list[str]:
    return [block.text for block in document.blocks]


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (b"", "utf-8-sig"),
        (b"", "utf-16"),
        (b"\xfe\xff", "utf-16-be"),
        (b"", "utf-32"),
        (b"", "latin-1"),
        (b"", "cp1252"),
    ],
)
def test_encodings_are_recognized(tmp_path: Path, mark: bytes, encoding: str) -> None:
    document = read(tmp_path, mark + TEXT.encode(encoding))
    assert words(document) == ["Déjà vu", "à la carte"]


def test_curly_quotes_of_western_files_survive(tmp_path: Path) -> None:
    assert words(read(tmp_path, "“Déjà”".encode("cp1252"))) == ["“Déjà”"]


def test_an_html_page_says_its_encoding(tmp_path: Path) -> None:
    page = '<meta charset="windows-1251"><p>Жук'
    assert words(read(tmp_path, page.encode("windows-1251"), "html"))[0].startswith("Ж")
    unknown = b'<meta charset="no-such"><p>caf\xe9'
    assert words(read(tmp_path, unknown, "html")) == ["café"]
    not_text = b'<meta charset="zlib_codec"><p>caf\xe9'
    assert words(read(tmp_path, not_text, "html")) == ["café"]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_paragraphs_are_what_blank_lines_separate(tmp_path: Path, newline: str) -> None:
    text = newline.join(["one", "two", "", "  ", "three  four", ""])
    assert words(read(tmp_path, text.encode())) == ["one two", "three four"]


@pytest.mark.parametrize(
    ("format", "content"),
    [("plain", b" \n\n"), ("plain", b"--- *** ---"), ("markdown", b"***\n"), ("json", b"[1, 2]")],
)
def test_a_file_without_words_has_no_text(tmp_path: Path, format: str, content: bytes) -> None:
    with pytest.raises(MediaRejected) as caught:
        read(tmp_path, content, format)
    assert caught.value.reason == "no_text"


def test_the_byte_limit_of_text_holds(tmp_path: Path) -> None:
    with pytest.raises(MediaRejected) as caught:
        read(tmp_path, b"word " * 10, max_text_bytes=49)
    assert caught.value.reason == "too_many_bytes"


def test_captions_are_timed_blocks(tmp_path: Path) -> None:
    srt = b"1\r\n00:00:01,500 --> 00:00:02,000\r\n<i>Hello</i>\r\nthere\r\n"
    assert read(tmp_path, srt, "srt").blocks == (Block("Hello there", 0, 1.5, 2.0),)


def test_captions_without_times_are_corrupt(tmp_path: Path) -> None:
    with pytest.raises(MediaRejected, match=r"line 2: expected two times .* got 'now --> later'"):
        read(tmp_path, b"WEBVTT\nnow --> later\nwords\n", "vtt")
