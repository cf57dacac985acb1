"""First bytes of binary formats."""

from __future__ import annotations

import struct
from collections.abc import Mapping

FIXED: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", "jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "png"),
    (0, b"GIF87a", "gif"),
    (0, b"GIF89a", "gif"),
    (0, b"II*\0", "tiff"),
    (0, b"MM\0*", "tiff"),
    (0, b"II+\0", "tiff"),
    (0, b"MM\0+", "tiff"),
    (0, b"fLaC", "flac"),
    (0, b"OggS", "ogg"),
    (0, b"\x1aE\xdf\xa3", "matroska"),
)
"""Offset, bytes, format, for formats that are told by fixed bytes alone."""

RIFF_FORMATS: Mapping[bytes, str] = {b"WAVE": "wav", b"WEBP": "webp", b"AVI ": "avi"}

AVIF_BRANDS = frozenset({b"avif", b"avis"})

SOUND_BRANDS = frozenset({b"M4A ", b"M4B ", b"M4P "})
"""MP4 brands that promise sound: a video track in such a file is its cover."""

UNSUPPORTED: tuple[tuple[int, bytes, str], ...] = (
    (0, b"PK\x03\x04", "ZIP archive or office document"),
    (0, b"PK\x05\x06", "empty ZIP archive"),
    (0, b"%PDF-", "PDF document"),
    (0, b"\x1f\x8b", "gzip archive"),
    (0, b"BZh", "bzip2 archive"),
    (0, b"\xfd7zXZ\0", "xz archive"),
    (0, b"\x28\xb5\x2f\xfd", "Zstandard archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "7-Zip archive"),
    (0, b"Rar!\x1a\x07", "RAR archive"),
    (257, b"ustar", "tar archive"),
    (0, b"\x7fELF", "ELF program"),
    (0, b"MZ", "Windows program"),
    (0, b"\xcf\xfa\xed\xfe", "Mach-O program"),
    (0, b"\xca\xfe\xba\xbe", "Java class or Mach-O program"),
    (0, b"\0asm", "WebAssembly program"),
    (0, b"SQLite format 3\0", "SQLite database"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old Microsoft Office document"),
    (0, b"\xc5\xd0\xd3\xc6", "PostScript document"),
    (0, b"8BPS", "Photoshop picture"),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000 picture"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000 picture"),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL picture"),
    (0, b"\xff\x0a", "JPEG XL picture"),
    (0, b"\0\0\x01\0", "Windows icon"),
    (0, b"SIMPLE  =", "FITS picture"),
    (0, b"FORM", "AIFF sound or another IFF file"),
    (0, b".snd", "AU sound"),
    (0, b"caff", "Core Audio sound"),
    (0, b"#!AMR", "AMR sound"),
    (0, b"MThd", "MIDI score"),
    (0, b"wvpk", "WavPack sound"),
    (0, b"MAC ", "Monkey's Audio sound"),
    (0, b"\xff\xf1", "AAC sound without a container"),
    (0, b"\xff\xf9", "AAC sound without a container"),
    (0, b"\x0b\x77", "AC-3 sound"),
    (0, b"0&\xb2u\x8ef\xcf\x11", "Windows Media file"),
    (0, b"FLV\x01", "Flash video"),
    (0, b"\0\0\x01\xba", "MPEG program stream"),
    (0, b"wOFF", "font"),
    (0, b"wOF2", "font"),
    (0, b"OTTO", "font"),
    (0, b"\0\x01\0\0\0", "font"),
    (0, b"PAR1", "Parquet table"),
    (0, b"ARROW1\0\0", "Arrow table"),
    (0, b"\x93NUMPY", "NumPy array"),
    (0, b"\x89HDF\r\n\x1a\n", "HDF5 file"),
)
"""Offset, bytes, and what to call it in a refusal. Some begin with letters that a text may begin
with too: only content that does not read as text is refused by these.
"""

TRANSPORT_PACKET_BYTES = 188
BITMAP_HEADER_SIZES = frozenset({12, 40, 52, 56, 64, 108, 124})


def find_signature(head: bytes, table: tuple[tuple[int, bytes, str], ...]) -> str | None:
    """Return the name of the first row of ``table`` that ``head`` fits."""
    for offset, magic, name in table:
        if head.startswith(magic, offset):
            return name
    return None


def is_bitmap(head: bytes) -> bool:
    """Tell a Windows bitmap from a text that begins with BM."""
    if len(head) < 18 or not head.startswith(b"BM"):
        return False
    (header_size,) = struct.unpack_from("<I", head, 14)
    return header_size in BITMAP_HEADER_SIZES


def is_transport_stream(head: bytes) -> bool:
    """Tell an MPEG transport stream: a sync byte at the start of each of several packets."""
    starts = range(0, min(len(head), 5 * TRANSPORT_PACKET_BYTES), TRANSPORT_PACKET_BYTES)
    return len(starts) >= 3 and all(head[start] == 0x47 for start in starts)


def mpeg_frame_bytes(header: bytes) -> int | None:
    """Return the length of the MPEG layer III frame that starts with these four bytes.

    Returns:
        Bytes from this frame's start to the next; ``None`` if no such frame starts here.
    """
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return None  # no sync word, or not layer III
    version = header[1] >> 3 & 3  # 3: MPEG-1, 2: MPEG-2, 0: MPEG-2.5, 1: reserved
    bit_rate_index, sample_rate_index = header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or bit_rate_index in (0, 15) or sample_rate_index == 3:
        return None
    is_mpeg1 = version == 3
    kilobits = _KILOBITS_MPEG1 if is_mpeg1 else _KILOBITS_MPEG2
    sample_rate_hz = (44_100, 48_000, 32_000)[sample_rate_index]
    sample_rate_hz //= {3: 1, 2: 2, 0: 4}[version]
    bytes_per_kilobit = 144_000 if is_mpeg1 else 72_000
    padding = header[2] >> 1 & 1
    return bytes_per_kilobit * kilobits[bit_rate_index] // sample_rate_hz + padding


_KILOBITS_MPEG1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KILOBITS_MPEG2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
