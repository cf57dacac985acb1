"""Looking into containers just far enough to tell what they hold."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

MAX_BOXES = 10_000
"""More boxes than this are not looked at: no file with so many above its media data was made to be
played.
"""

ID3_HEADER_BYTES = 10

ID3_VERSIONS = (2, 3, 4)

MAX_ELEMENTS = 10_000
"""Of a Matroska file, likewise."""

SEGMENT, CLUSTER = 0x18538067, 0x1F43B675
TRACKS, TRACK_ENTRY, TRACK_TYPE = 0x1654AE6B, 0xAE, 0x83
"""Numbers of Matroska's elements, with the bits that say how long the number is (RFC 9559)."""

LENGTH_TAG_BYTES = 256
"""The length of an MP3 stands within so many bytes of its first frame."""


def iso_handlers(file: BinaryIO) -> set[bytes] | None:
    """Return the handler types of the tracks of an ISO media file (MP4, MOV, M4A).

    Args:
        file: seekable, positioned anywhere.

    Returns:
        Such as ``{b"soun"}`` or ``{b"soun", b"vide"}``; ``None`` when the file ends before its
        ``moov`` box, which describes the tracks, does.
    """
    size = file.seek(0, os.SEEK_END)
    budget = iter(range(MAX_BOXES))
    for kind, start, stop in _boxes(file, 0, size, budget):
        if kind == b"moov":
            return _handlers(file, start, stop, budget) if stop <= size else None
    return None


def _handlers(file: BinaryIO, start: int, stop: int, budget: Iterator[int]) -> set[bytes]:
    """Return what ``hdlr`` boxes say inside ``mdia`` inside ``trak``: no deeper, whatever nests."""
    inside = [(start, stop)]
    for wanted in (b"trak", b"mdia", b"hdlr"):
        inside = [
            (box_start, box_stop)
            for outer_start, outer_stop in inside
            for kind, box_start, box_stop in _boxes(file, outer_start, outer_stop, budget)
            if kind == wanted
        ]
    found = set()
    for box_start, _ in inside:
        file.seek(box_start + 8)  # version and flags, pre-defined
        found.add(file.read(4))
    return found


def _boxes(
    file: BinaryIO, start: int, stop: int, budget: Iterator[int]
) -> Iterator[tuple[bytes, int, int]]:
    """Yield ``(type, start of content, end)`` of the boxes between two positions."""
    while start + 8 <= stop and next(budget, None) is not None:
        file.seek(start)
        header = file.read(16)
        if len(header) < 8:
            return
        length, kind = struct.unpack_from(">I4s", header)
        header_bytes = 8
        if length == 1 and len(header) == 16:  # a 64-bit length follows
            (length,) = struct.unpack_from(">Q", header, 8)
            header_bytes = 16
        elif length == 0:  # to the end of the file
            length = stop - start
        if length < header_bytes:
            return
        yield kind, start + header_bytes, start + length
        start += length


def matroska_track_types(file: BinaryIO) -> set[int] | None:
    """Return the types of the tracks of a Matroska or WebM file.

    Args:
        file: seekable, positioned anywhere.

    Returns:
        Such as ``{2}`` (sound) or ``{1, 2}`` (pictures and sound); ``None`` when the file ends
        before its list of tracks does.
    """
    size = file.seek(0, os.SEEK_END)
    budget = iter(range(MAX_ELEMENTS))
    for number, start, stop in _elements(file, 0, size, budget):
        if number == TRACKS:
            return _track_types(file, start, stop, budget) if stop <= size else None
    return None


def _track_types(file: BinaryIO, start: int, stop: int, budget: Iterator[int]) -> set[int]:
    types = set()
    for number, entry_start, entry_stop in _elements(file, start, stop, budget):
        if number != TRACK_ENTRY:
            continue
        for inner_number, content, content_stop in _elements(file, entry_start, entry_stop, budget):
            if inner_number == TRACK_TYPE:
                file.seek(content)
                types.add(int.from_bytes(file.read(min(content_stop - content, 8)), "big"))
    return types


def _elements(
    file: BinaryIO, start: int, stop: int, budget: Iterator[int]
) -> Iterator[tuple[int, int, int]]:
    """Yield ``(number, start of content, end)`` of the elements between two positions.

    A segment, and a cluster that does not say how long it is, are gone into: what they hold
    follows them.
    """
    while start < stop and next(budget, None) is not None:
        file.seek(start)
        header = file.read(12)
        number_bytes = _vint_bytes(header, 4)
        length_bytes = _vint_bytes(header[number_bytes:], 8)
        if not number_bytes or not length_bytes:
            return
        number = int.from_bytes(header[:number_bytes], "big")
        content = start + number_bytes + length_bytes
        value_bits = 7 * length_bytes
        length = int.from_bytes(header[number_bytes : number_bytes + length_bytes], "big")
        length &= (1 << value_bits) - 1
        is_unknown = length == (1 << value_bits) - 1
        if number == SEGMENT or (number == CLUSTER and is_unknown):
            start = content
            continue
        if is_unknown:
            return
        yield number, content, content + length
        start = content + length


def _vint_bytes(data: bytes, max_bytes: int) -> int:
    """Return how many bytes a variable-length number has; 0 if there is none here."""
    if not data or not data[0]:
        return 0
    num_bytes = 9 - data[0].bit_length()
    return num_bytes if num_bytes <= min(max_bytes, len(data)) else 0


def ogg_codecs(file: BinaryIO) -> list[bytes]:
    """Return the first bytes of each stream of an Ogg file, which name its codec."""
    file.seek(0)
    codecs = []
    for _ in range(MAX_BOXES):
        header = file.read(27)
        if len(header) < 27 or header[:4] != b"OggS" or not header[5] & 2:
            break  # every stream's first page comes before all other pages
        segment_lengths = file.read(header[26])
        page = file.read(sum(segment_lengths))
        codecs.append(page[:8])
    return codecs


def id3_bytes(head: bytes) -> int:
    """Return the length of the ID3v2 tag that ``head`` begins with, 0 if there is none."""
    if len(head) < ID3_HEADER_BYTES or head[3] not in ID3_VERSIONS or not head.startswith(b"ID3"):
        return 0
    length = 0
    for byte in head[6:10]:  # seven bits to a byte
        length = length << 7 | byte & 0x7F
    footer = ID3_HEADER_BYTES if head[5] & 0x10 else 0
    return ID3_HEADER_BYTES + length + footer


def mp3_states_length(file: BinaryIO) -> bool:
    """Tell whether an MP3's first frame says how many frames follow (Xing, Info or VBRI)."""
    position = 0
    file.seek(0)
    head = file.read(ID3_HEADER_BYTES)
    while tag_bytes := id3_bytes(head):
        position += tag_bytes
        file.seek(position)
        head = file.read(ID3_HEADER_BYTES)
    file.seek(position)
    frame = file.read(LENGTH_TAG_BYTES)
    return any(name in frame for name in (b"Xing", b"Info", b"VBRI"))
