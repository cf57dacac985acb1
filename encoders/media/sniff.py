"""What a file is, told by its content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from encoders.media.containers import (
    id3_bytes,
    iso_handlers,
    matroska_track_types,
    ogg_codecs,
)
from encoders.media.content import Medium
from encoders.media.media_file import open_media
from encoders.media.rejection import MediaRejected
from encoders.media.signatures import (
    AVIF_BRANDS,
    FIXED,
    RIFF_FORMATS,
    SOUND_BRANDS,
    UNSUPPORTED,
    find_signature,
    is_bitmap,
    is_transport_stream,
    mpeg_frame_bytes,
)
from encoders.media.text_signatures import decoded_head, find_text

HEAD_BYTES = 65_536
MAX_TAGS = 8
"""ID3 tags that may stand one after the other before the sound begins."""

PICTURE_TRACK, SOUND_TRACK = 1, 2
"""Track types of Matroska."""

THEORA, DIRAC, VP8_IN_OGG = b"\x80theora", b"BBCD\0", b"OVP80"
"""With what streams of pictures begin in Ogg."""

FORMATS: Mapping[Medium, tuple[str, ...]] = {
    "image": ("jpeg", "png", "webp", "gif", "avif", "tiff", "bmp"),
    "audio": ("wav", "flac", "mp3", "ogg", "opus", "m4a", "weba", "mka"),
    "video": ("mp4", "mov", "matroska", "webm", "avi", "ogv"),
    "text": ("plain", "markdown", "html", "json", "jsonl", "srt", "vtt"),
}
"""The formats of each medium, by the names used everywhere else."""

MEDIUM_OF: Mapping[str, Medium] = {
    format: medium for medium, formats in FORMATS.items() for format in formats
}

MEDIA_TYPES: Mapping[str, str] = {
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "gif": "image/gif",
    "avif": "image/avif",
    "tiff": "image/tiff",
    "bmp": "image/bmp",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "mp3": "audio/mpeg",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
    "m4a": "audio/mp4",
    "weba": "audio/webm",
    "mka": "audio/matroska",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "matroska": "video/matroska",
    "webm": "video/webm",
    "avi": "video/vnd.avi",
    "ogv": "video/ogg",
    "plain": "text/plain",
    "markdown": "text/markdown",
    "html": "text/html",
    "json": "application/json",
    "jsonl": "application/jsonl",
    "srt": "application/x-subrip",
    "vtt": "text/vtt",
}
"""IANA media type of each format, for HTTP."""

_MEDIA_SUFFIXES = (
    ".jpg .jpeg .jpe .jfif .png .apng .webp .gif .avif .heic .tif .tiff .bmp "
    ".wav .wave .flac .mp3 .ogg .oga .opus .m4a .m4b .aac .aif .aiff .wma "
    ".mp4 .m4v .mov .mkv .webm .avi .ogv .mpg .mpeg .flv .wmv .3gp"
)
MEDIA_SUFFIXES = frozenset(_MEDIA_SUFFIXES.split())
"""Names that promise a picture, sound or video. ``.ts`` does not: it is also a program's source.
"""


@dataclass(frozen=True, slots=True)
class Sniffed:
    """What a file is."""

    medium: Medium

    format: str
    """One of `FORMATS`."""


def sniff(path: Path) -> Sniffed:
    """Tell medium and format of a file by its content.

    Only the head is read, and of containers the few bytes that say which tracks are inside. The
    name decides nothing except among text formats, where ``.md``, ``.json`` or ``.html`` is a hint.

    Raises:
        MediaRejected: ``empty``, ``unrecognized``, ``unsupported_format`` (naming the format),
            ``content_mismatch`` (a picture's, sound's or video's name on a text or playlist),
            ``truncated`` (a container that ends before it says what is inside), ``vanished`` or
            ``unreadable``.
    """
    with open_media(path) as file:
        head = file.read(HEAD_BYTES)
        format = _binary_format(file, head)
        if format is None:
            format = _text_format(path, head)
    return Sniffed(MEDIUM_OF[format], format)


def _text_format(path: Path, head: bytes) -> str:
    content = decoded_head(head)
    if content is None:
        raise MediaRejected(
            "unrecognized",
            f"the content of {path.name} is of no known format",
            head=head[:16].hex(),
        )
    text = find_text(content, path.suffix.lower())
    named_as_media = path.suffix.lower() in MEDIA_SUFFIXES
    if named_as_media and not text.is_picture:
        raise MediaRejected(
            "content_mismatch",
            f"{path.name} is named like media but holds {text.name}",
            suffix=path.suffix,
            got=text.name,
        )
    if text.format is None:
        raise MediaRejected(
            "unsupported_format", f"{path.name} is {text.name}, which is not taken", got=text.name
        )
    return text.format


def _binary_format(file: BinaryIO, head: bytes) -> str | None:
    if id3_bytes(head):
        return _tagged_format(file, head)
    found = find_signature(head, FIXED) or _riff_format(head)
    if found == "ogg":
        return _ogg_format(file)
    if found == "matroska":
        return _matroska_format(file, head)
    if found is not None:
        return found
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"skip", b"free"):
        return _iso_format(file, head)
    if is_bitmap(head):
        return "bmp"
    if _starts_with_mpeg_frames(head):
        return "mp3"
    if is_transport_stream(head):
        raise _unsupported("MPEG transport stream")
    if (name := find_signature(head, UNSUPPORTED)) is not None and decoded_head(head) is None:
        raise _unsupported(name)
    return None


def _unsupported(name: str) -> MediaRejected:
    return MediaRejected(
        "unsupported_format", f"a file of this kind is not taken: {name}", got=name
    )


def _riff_format(head: bytes) -> str | None:
    if head[:4] in (b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return "wav"
    return RIFF_FORMATS.get(head[8:12]) if head[:4] == b"RIFF" else None


def _tagged_format(file: BinaryIO, head: bytes) -> str:
    """Return what follows the ID3 tags: usually MP3, at times FLAC."""
    position = 0
    for _ in range(MAX_TAGS):
        tag_bytes = id3_bytes(head)
        if not tag_bytes:
            break
        position += tag_bytes
        file.seek(position)
        head = file.read(HEAD_BYTES)
    if not head:
        raise MediaRejected("truncated", "the file ends inside its ID3 tag")
    return "flac" if head.startswith(b"fLaC") else "mp3"


def _starts_with_mpeg_frames(head: bytes) -> bool:
    """Tell MP3 by two frames in a row: a sync word alone turns up in any data."""
    head = head.lstrip(b"\0")
    length = mpeg_frame_bytes(head)
    if length is None:
        return False
    rest = head[length:]
    return mpeg_frame_bytes(rest) is not None or (len(rest) < 4 and len(head) > 4)


def _ogg_format(file: BinaryIO) -> str:
    codecs = ogg_codecs(file)
    if any(codec.startswith((THEORA, DIRAC, VP8_IN_OGG)) for codec in codecs):
        return "ogv"
    return "opus" if any(codec == b"OpusHead" for codec in codecs) else "ogg"


def _matroska_format(file: BinaryIO, head: bytes) -> str:
    types = matroska_track_types(file)
    if types is None:
        raise MediaRejected("truncated", "the Matroska file ends before its list of tracks")
    is_webm = b"webm" in head[:64]
    if SOUND_TRACK in types and PICTURE_TRACK not in types:
        return "weba" if is_webm else "mka"
    return "webm" if is_webm else "matroska"


def _iso_format(file: BinaryIO, head: bytes) -> str | None:
    is_typed = head[4:8] == b"ftyp"
    brand = head[8:12] if is_typed else b"qt  "
    brands = {brand, *_compatible_brands(head)} if is_typed else {brand}
    if brands & AVIF_BRANDS:
        return "avif"
    if brand in (b"heic", b"heix", b"hevc", b"mif1", b"msf1"):
        raise _unsupported("HEIF picture")
    if brand in (b"crx ", b"jp2 ", b"jpx "):
        raise _unsupported("camera or JPEG 2000 picture")
    handlers = iso_handlers(file)
    if handlers is None:
        if is_typed:
            raise MediaRejected("truncated", "the MP4 ends before the box that lists its tracks")
        return None
    if brand in SOUND_BRANDS or b"vide" not in handlers:
        return "m4a"
    return "mov" if brand == b"qt  " else "mp4"


def _compatible_brands(head: bytes) -> list[bytes]:
    length = min(int.from_bytes(head[:4], "big"), len(head))
    return [head[start : start + 4] for start in range(16, length - 3, 4)]
