"""Ways to damage a file of a snapshot, each chosen by a random generator with a seed."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from indexer.durable_files import file_sha256
from indexer.manifest import (
    MANIFEST_FILE,
    FileEntry,
    Manifest,
    encode_manifest,
    read_manifest,
)

PAGE_BYTES = 4096
HEADER_BYTES = 256
"""Where formats keep their counts and offsets."""

Damage = Callable[[Path, random.Random], None]
"""Changes the file at a path, which holds at least one byte."""


def _rewritten(change: Callable[[bytearray, random.Random], bytes | bytearray]) -> Damage:
    def damage(path: Path, chance: random.Random) -> None:
        path.write_bytes(change(bytearray(path.read_bytes()), chance))

    return damage


def _flip_bit(content: bytearray, chance: random.Random) -> bytearray:
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    return content


def _flip_header_bit(content: bytearray, chance: random.Random) -> bytearray:
    content[chance.randrange(min(HEADER_BYTES, len(content)))] ^= 1 << chance.randrange(8)
    return content


def _flip_footer_bit(content: bytearray, chance: random.Random) -> bytearray:
    content[-1 - chance.randrange(min(HEADER_BYTES, len(content)))] ^= 1 << chance.randrange(8)
    return content


def _random_bytes(content: bytearray, chance: random.Random) -> bytearray:
    start = chance.randrange(len(content))
    length = min(chance.choice((4, 8, 64, PAGE_BYTES)), len(content) - start)
    content[start : start + length] = bytes(byte ^ 0xFF for byte in chance.randbytes(length))
    return content


def _large_number(content: bytearray, chance: random.Random) -> bytearray:
    """Put a large or negative 64-bit number where formats keep their counts."""
    value = chance.choice((2**63 - 1, 2**40, 2**32, 2**31, -1, -(2**31))) % 2**64
    start = chance.randrange(max(1, min(HEADER_BYTES, len(content) - 8)))
    content[start : start + 8] = value.to_bytes(8, "little")
    return content


def _truncated(content: bytearray, chance: random.Random) -> bytearray:
    return content[: chance.randrange(len(content))]


def _extended(content: bytearray, chance: random.Random) -> bytearray:
    return content + chance.randbytes(chance.choice((1, 8, PAGE_BYTES)))


def _zeroed_page(content: bytearray, chance: random.Random) -> bytearray:
    start = chance.randrange(-(-len(content) // PAGE_BYTES)) * PAGE_BYTES
    page = content[start : start + PAGE_BYTES]
    # A page of zeros would not be changed by that.
    content[start : start + PAGE_BYTES] = bytes(len(page)) if any(page) else b"\1" * len(page)
    return content


def _repeated_part(content: bytearray, chance: random.Random) -> bytearray:
    start, stop = sorted(chance.randrange(len(content) + 1) for _ in range(2))
    return content[:stop] + content[start:stop] + content[stop:] + b"\0"


def _emptied(_content: bytearray, _chance: random.Random) -> bytes:
    return b""


CHANGED_BYTES: Mapping[str, Damage] = {
    "flipped bit": _rewritten(_flip_bit),
    "flipped bit near the start": _rewritten(_flip_header_bit),
    "flipped bit near the end": _rewritten(_flip_footer_bit),
    "random bytes": _rewritten(_random_bytes),
    "large number": _rewritten(_large_number),
    "truncated": _rewritten(_truncated),
    "extended": _rewritten(_extended),
    "zeroed page": _rewritten(_zeroed_page),
    "repeated part": _rewritten(_repeated_part),
    "empty": _rewritten(_emptied),
}
"""Damage after which the file is still a file."""


def _missing(path: Path, _chance: random.Random) -> None:
    path.unlink()


def _folder(path: Path, _chance: random.Random) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path, _chance: random.Random) -> None:
    path.unlink()
    os.mkfifo(path)


def _link_to_a_copy(path: Path, _chance: random.Random) -> None:
    copy = Path(f"{_snapshot_of(path)}.copy-of-{path.name}")
    path.rename(copy)
    path.symlink_to(copy)


def _link_to_nothing(path: Path, _chance: random.Random) -> None:
    path.unlink()
    path.symlink_to(path.with_name("nothing"))


def _link_to_itself(path: Path, _chance: random.Random) -> None:
    path.unlink()
    path.symlink_to(path.name)


def _snapshot_of(path: Path) -> Path:
    return next(parent for parent in path.parents if (parent / MANIFEST_FILE).exists())


OTHER_KINDS: Mapping[str, Damage] = {
    "missing": _missing,
    "a folder": _folder,
    "a pipe": _pipe,
    "a link to a copy": _link_to_a_copy,
    "a link to nothing": _link_to_nothing,
    "a link to itself": _link_to_itself,
}
"""Damage after which there is no file of that name, or something else."""


def swap(one: Path, other: Path) -> None:
    """Let two files take each other's place."""
    between = one.with_name(f"{one.name}-between")
    one.rename(between)
    other.rename(one)
    between.rename(other)


def forge(folder: Path) -> None:
    """Make the manifest fit whatever the files of a snapshot hold now."""
    manifest: Manifest = read_manifest(folder)
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != MANIFEST_FILE:
            name = path.relative_to(folder).as_posix()
            files[name] = FileEntry(file_sha256(path), path.stat().st_size)
    fields = {name: getattr(manifest, name) for name in manifest.__struct_fields__}
    (folder / MANIFEST_FILE).write_bytes(encode_manifest(Manifest(**{**fields, "files": files})))


def fresh_copy(base: Path, parent: Path, number: int) -> Path:
    """Return a copy of a snapshot in a folder of its own, under its own name."""
    folder = parent / f"case-{number}" / base.name
    shutil.copytree(base, folder)
    return folder
