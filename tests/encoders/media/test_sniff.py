from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from encoders.media.rejection import MediaRejected
from encoders.media.sniff import FORMATS, MEDIA_TYPES, MEDIUM_OF, Sniffed, sniff
from tests.generated_media import chord, gradient, video_bytes, write_m4a, write_sound
from tests.media_zoo import FFCONCAT, HLS, MPD, SDP, STORY, SVG


def sniffed(folder: Path, name: str, content: bytes | str) -> Sniffed:
    raw = content if isinstance(content, bytes) else content.encode()
    (folder / name).write_bytes(raw)
    return sniff(folder / name)


def reason_of(folder: Path, name: str, content: bytes | str) -> str:
    with pytest.raises(MediaRejected) as caught:
        sniffed(folder, name, content)
    return caught.value.reason


def box(kind: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def track(handler: bytes) -> bytes:
    return box(b"trak", box(b"mdia", box(b"hdlr", bytes(8) + handler + bytes(13))))


def iso_file(brand: bytes, *handlers: bytes, media_first: bool = False) -> bytes:
    tracks = box(b"moov", box(b"mvhd", bytes(100)) + b"".join(map(track, handlers)))
    media = box(b"mdat", bytes(5000))
    parts = [media, tracks] if media_first else [tracks, media]
    return box(b"ftyp", brand + bytes(4) + brand) + b"".join(parts)


def ogg_page(packet: bytes, *, first: bool = True) -> bytes:
    header = b"OggS\0" + bytes([2 if first else 0]) + bytes(20) + b"\x01"
    return header + bytes([len(packet)]) + packet


def test_every_format_has_a_media_type_and_one_medium() -> None:
    assert set(MEDIA_TYPES) == set(MEDIUM_OF)
    assert sum(map(len, FORMATS.values())) == len(MEDIUM_OF)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "AVIF", "TIFF", "BMP"])
@pytest.mark.parametrize("name", ["picture", "picture.mp3", "picture.txt"])
def test_pictures_are_told_by_content_under_any_name(
    tmp_path: Path, format: str, name: str
) -> None:
    Image.fromarray(gradient(20, 10)).save(tmp_path / name, format=format)
    assert sniff(tmp_path / name) == Sniffed("image", format.lower())


@pytest.mark.parametrize(
    ("container", "subtype", "format"),
    [
        ("WAV", "PCM_16", "wav"),
        ("RF64", "PCM_16", "wav"),
        ("FLAC", None, "flac"),
        ("MP3", None, "mp3"),
        ("OGG", "VORBIS", "ogg"),
        ("OGG", "OPUS", "opus"),
    ],
)
def test_sounds_are_told_by_content_under_any_name(
    tmp_path: Path, container: str, subtype: str | None, format: str
) -> None:
    path = write_sound(tmp_path / "sound.png", chord(), 16_000, format=container, subtype=subtype)
    assert sniff(path) == Sniffed("audio", format)


def test_a_tag_with_a_large_cover_before_the_sound_is_skipped(tmp_path: Path) -> None:
    sound = write_sound(tmp_path / "s.mp3", chord(), 16_000).read_bytes()
    tag = b"ID3\x04\0\0" + bytes([0, 0x0C, 0, 0]) + bytes(12 << 14)
    assert sniffed(tmp_path, "tagged", tag + sound) == Sniffed("audio", "mp3")
    assert sniffed(tmp_path, "twice", tag + tag + sound) == Sniffed("audio", "mp3")
    assert sniffed(tmp_path, "flac", tag + b"fLaC") == Sniffed("audio", "flac")
    assert reason_of(tmp_path, "cut", tag[:1000]) == "truncated"


def test_m4a_is_sound_and_mp4_with_pictures_is_video(tmp_path: Path) -> None:
    path = write_m4a(tmp_path / "sound.mp4", chord(), 16_000)
    assert sniff(path) == Sniffed("audio", "m4a")
    assert sniffed(tmp_path, "film.m4a", video_bytes("mp4")) == Sniffed("video", "mp4")
    assert sniffed(tmp_path, "film", video_bytes("mov")) == Sniffed("video", "mov")


@pytest.mark.parametrize("media_first", [False, True])
@pytest.mark.parametrize(
    ("brand", "handlers", "expected"),
    [
        (b"isom", [b"soun"], Sniffed("audio", "m4a")),
        (b"isom", [b"soun", b"vide"], Sniffed("video", "mp4")),
        (b"qt  ", [b"vide"], Sniffed("video", "mov")),
        (b"M4A ", [b"soun", b"vide"], Sniffed("audio", "m4a")),  # its cover is a video track
    ],
)
def test_tracks_decide_what_an_mp4_is(
    tmp_path: Path, brand: bytes, handlers: list[bytes], expected: Sniffed, media_first: bool
) -> None:
    content = iso_file(brand, *handlers, media_first=media_first)
    assert sniffed(tmp_path, "file", content) == expected


def test_an_mp4_that_ends_before_its_tracks_is_truncated(tmp_path: Path) -> None:
    content = iso_file(b"M4A ", b"soun", media_first=True)
    assert reason_of(tmp_path, "a.m4a", content[:3000]) == "truncated"
    assert reason_of(tmp_path, "b.m4a", content[:-4]) == "truncated"


@pytest.mark.parametrize("format", ["webm", "matroska", "avi"])
def test_other_videos_are_told(tmp_path: Path, format: str) -> None:
    assert sniffed(tmp_path, "film.jpg", video_bytes(format)) == Sniffed("video", format)


def element(number: str, content: bytes, *, length: bytes | None = None) -> bytes:
    """Return an EBML element with its length in eight bytes, or as given."""
    stated = (len(content) | 1 << 56).to_bytes(8, "big") if length is None else length
    return bytes.fromhex(number) + stated + content


UNKNOWN_LENGTH = b"\x01" + b"\xff" * 7


def matroska_file(
    *track_types: int, doc_type: bytes = b"matroska", before: bytes = b"", after: bytes = b""
) -> bytes:
    entries = b"".join(
        element("ae", element("d7", b"\x01") + element("83", bytes([kind]))) for kind in track_types
    )
    tracks = element("1654ae6b", entries)
    head = element("1a45dfa3", element("4282", doc_type))
    return head + element("18538067", before + tracks + after, length=UNKNOWN_LENGTH)


@pytest.mark.parametrize(
    ("track_types", "doc_type", "expected"),
    [
        ([2], b"matroska", Sniffed("audio", "mka")),
        ([2, 17], b"webm", Sniffed("audio", "weba")),
        ([2, 1], b"webm", Sniffed("video", "webm")),
        ([1], b"matroska", Sniffed("video", "matroska")),
        ([17], b"matroska", Sniffed("video", "matroska")),
        ([], b"webm", Sniffed("video", "webm")),
    ],
)
def test_tracks_decide_what_a_matroska_is(
    tmp_path: Path, track_types: list[int], doc_type: bytes, expected: Sniffed
) -> None:
    block = element("a3", b"\x81" + bytes(500))
    places = (
        b"",
        element("ec", bytes(70_000)),
        element("1f43b675", block),
        element("1f43b675", block + block, length=UNKNOWN_LENGTH),
    )
    for number, before in enumerate(places):
        content = matroska_file(*track_types, doc_type=doc_type, before=before, after=block)
        assert sniffed(tmp_path, f"file-{number}", content) == expected


def test_a_matroska_that_ends_before_its_tracks_is_truncated(tmp_path: Path) -> None:
    content = matroska_file(2, before=element("ec", bytes(2000)))
    for number, stop in enumerate((4, 9, 40, 1000, len(content) - 3)):
        assert reason_of(tmp_path, f"{number}.mkv", content[:stop]) == "truncated"


def test_looking_for_the_tracks_of_a_matroska_ends(tmp_path: Path) -> None:
    endless = element("ec", b"", length=b"\x80") * 100_000
    assert reason_of(tmp_path, "a.mkv", matroska_file(2, before=endless)) == "truncated"
    nested = element("1654ae6b", element("ae", b"", length=b"\x88") * 100_000)
    assert sniffed(tmp_path, "b.mkv", matroska_file(1, before=nested)).medium == "video"


def test_boxes_in_boxes_are_not_followed_without_end(tmp_path: Path) -> None:
    tracks = b""
    for _ in range(5000):
        tracks = struct.pack(">I4s", 8 + len(tracks), b"trak") + tracks
    film = box(b"ftyp", b"isom" + bytes(4)) + box(b"moov", tracks)
    assert sniffed(tmp_path, "a.mp4", film) == Sniffed("audio", "m4a")


def test_theora_among_the_streams_makes_an_ogg_a_video(tmp_path: Path) -> None:
    sound, film = ogg_page(b"\x01vorbis" + bytes(20)), ogg_page(b"\x80theora" + bytes(20))
    rest = ogg_page(b"data", first=False)
    assert sniffed(tmp_path, "a.ogg", sound + rest) == Sniffed("audio", "ogg")
    assert sniffed(tmp_path, "b.ogg", sound + film + rest) == Sniffed("video", "ogv")
    film = ogg_page(b"OVP80\x01" + bytes(20))
    assert sniffed(tmp_path, "c.ogg", film + sound + rest) == Sniffed("video", "ogv")


@pytest.mark.parametrize(
    ("name", "content", "format"),
    [
        ("a.txt", STORY, "plain"),
        ("a", STORY, "plain"),
        ("a.md", STORY, "markdown"),
        ("a.txt", "<!DOCTYPE html><p>Hello", "html"),
        ("a.txt", "<?xml version='1.0'?>\n<!-- x -->\n<html><body>Hello</body></html>", "html"),
        ("a.html", "Hello <b>you</b>", "html"),
        ("a.txt", "< 3 apples and > 2 pears", "plain"),
        ("a.txt", '{"a": "b"}', "json"),
        ("a.txt", '[{"a": "b"}]', "json"),
        ("a.txt", '{"a": "b"}\n{"a": "c"}\n', "jsonl"),
        ("a.jsonl", '{"a": "b"}', "jsonl"),
        ("a.json", "not json at all", "json"),
        ("a.txt", "[1] A footnote, not a list", "plain"),
        ("a.txt", "{braces} in a text", "plain"),
        ("a.txt", "\ufeffBOM", "plain"),
        ("a.txt", "été".encode("latin-1") + b" in a Western encoding", "plain"),
        ("a.txt", "été".encode("utf-16"), "plain"),
        ("a.txt", b"MZ, BM, PAR1, FORM and BZh begin texts too", "plain"),
        ("a.txt", "Get free copies of it", "plain"),
        ("a.txt", "ID3 is how sounds are tagged", "plain"),
    ],
)
def test_text_formats(tmp_path: Path, name: str, content: bytes | str, format: str) -> None:
    assert sniffed(tmp_path, name, content) == Sniffed("text", format)


def test_a_character_cut_by_the_end_of_the_head_is_still_text(tmp_path: Path) -> None:
    assert sniffed(tmp_path, "a.txt", "é" * 70_000 + "x").format == "plain"
    assert sniffed(tmp_path, "b.txt", "x" + "é" * 70_000).format == "plain"


@pytest.mark.parametrize("suffix", [".jpg", ".mp3", ".mp4", ".PNG", ".flac"])
@pytest.mark.parametrize("content", [STORY, SDP, HLS, FFCONCAT, MPD, '{"a": 1}', "<html>"])
def test_text_under_the_name_of_media_is_a_mismatch(
    tmp_path: Path, suffix: str, content: str
) -> None:
    assert reason_of(tmp_path, f"file{suffix}", content) == "content_mismatch"


@pytest.mark.parametrize("name", ["file", "file.txt", "file.m3u8", "file.sdp"])
@pytest.mark.parametrize("content", [SDP, HLS, FFCONCAT, MPD, "[playlist]\nFile1=x", "rtsp://a/b"])
def test_playlists_are_refused_under_any_other_name(
    tmp_path: Path, name: str, content: str
) -> None:
    assert reason_of(tmp_path, name, content) == "unsupported_format"


@pytest.mark.parametrize("name", ["a.svg", "a.png", "a.txt", "a"])
@pytest.mark.parametrize(
    "preamble", ["", "<?xml version='1.0'?>\n", "<!-- x -->\n<!DOCTYPE svg>\n"]
)
def test_svg_is_refused_under_any_name(tmp_path: Path, name: str, preamble: str) -> None:
    assert reason_of(tmp_path, name, preamble + SVG) == "unsupported_format"


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"PK\x03\x04" + bytes(30), "ZIP"),
        (b"%PDF-1.4\n\x00\xff", "PDF"),
        (b"%PDF-1.4\nall letters", "PDF"),
        (b"MZ\x90\x00", "Windows program"),
        (b"\x7fELF" + bytes(20), "ELF"),
        (bytes(257) + b"ustar\0", "tar"),
        (box(b"ftyp", b"heic" + bytes(4) + b"mif1"), "HEIF"),
        ((b"G" + bytes(187)) * 5, "MPEG transport stream"),
        (b"FORM\0\0\0\x20AIFF", "AIFF"),
        (b"{\\rtf1}", "RTF"),
        (b"<?xml version='1.0'?><catalog/>", "XML"),
    ],
)
def test_known_formats_that_are_not_taken_are_named(
    tmp_path: Path, content: bytes, name: str
) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(MediaRejected, match=name) as caught:
        sniff(tmp_path / "file")
    assert caught.value.reason == "unsupported_format"


def test_random_bytes_are_unrecognized_and_nothing_is_empty(tmp_path: Path) -> None:
    assert reason_of(tmp_path, "a.jpg", b"\x81" + bytes(range(256)) * 4) == "unrecognized"
    assert reason_of(tmp_path, "b.txt", bytes(100)) == "unrecognized"
    assert reason_of(tmp_path, "c.png", b"") == "empty"


def test_a_fifo_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(MediaRejected) as caught:
        sniff(tmp_path / "a.png")
    assert caught.value.reason == "unreadable"


SUBRIP = "1\n00:00:01,000 --> 00:00:02,000\nwords\n"
WEBVTT = "WEBVTT - a talk\n\n00:01.000 --> 00:02.000\nwords\n"


@pytest.mark.parametrize("name", ["a.srt", "a.vtt", "a.txt", "a.md", "a.json", "a"])
@pytest.mark.parametrize(
    "encoded",
    [
        str.encode,
        lambda text: text.replace("\n", "\r\n").encode("utf-8-sig"),
        lambda text: text.encode("utf-16"),
    ],
    ids=["plain", "windows", "utf-16"],
)
def test_captions_are_told_by_content_under_any_name(
    tmp_path: Path, name: str, encoded: Callable[[str], bytes]
) -> None:
    assert sniffed(tmp_path, name, encoded(SUBRIP)) == Sniffed("text", "srt")
    short = SUBRIP.removeprefix("1\n").replace("00:00:", "00:").replace(",", ".")
    assert sniffed(tmp_path, name, encoded(short)) == Sniffed("text", "srt")
    assert sniffed(tmp_path, name, encoded(WEBVTT)) == Sniffed("text", "vtt")


@pytest.mark.parametrize(
    "text",
    [
        "1. 00:00:01 we began --> later\n",
        "WEBVTTs are captions\n",
        "2\n\n00:01 is a time\n",
        "# 1\n\n    00:00:01,000 --> 00:00:02,000\n",
    ],
)
def test_text_about_captions_is_not_captions(tmp_path: Path, text: str) -> None:
    assert sniffed(tmp_path, "a.txt", text) == Sniffed("text", "plain")
    assert sniffed(tmp_path, "a.md", text) == Sniffed("text", "markdown")
