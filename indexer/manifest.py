"""The manifest of a snapshot: what it holds, and the sha256 of every file it consists of.

It also holds a sha256 of itself, so that no changed byte of a snapshot goes unnoticed. All of this
is against damage: by disks, by copying, by programs that wrote where they should not. Somebody who
may write into the data folder can make digests that fit, and the catalog beside them.
"""

from __future__ import annotations

import hashlib
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from encoders.encoder import EncoderIdentity
from encoders.errors import KindredError
from encoders.space import require_same_space
from indexer.ann.index_entry import Count, IndexEntry, Length
from indexer.durable_files import file_sha256, read_file, sync_file, sync_folder

FORMAT_VERSION = 2
"""2: the manifest holds a sha256 of itself."""

READ_FORMATS = (1, FORMAT_VERSION)
MANIFEST_FILE = "manifest.json"
MAX_MANIFEST_BYTES = 64 << 20

_DIGEST = re.compile(rb'"manifest_sha256": "([0-9a-f]{64})"')
"""What it says of itself: the sha256 of its bytes with zeros in this place."""

_NO_DIGEST = "0" * 64


class SnapshotCorrupt(KindredError):
    """A snapshot's file is missing or differs from what its manifest says."""

    code = "snapshot_corrupt"


class SnapshotUnreadable(KindredError):
    """A snapshot was written in a format this version does not know."""

    code = "snapshot_unreadable"


class FileEntry(msgspec.Struct, frozen=True):
    """One file of a snapshot."""

    sha256: str
    size_bytes: Count


class ChannelEntry(msgspec.Struct, frozen=True):
    """One channel of a snapshot."""

    space_id: str
    encoder_id: str
    dim: Length

    num_segments: Count
    """Rows of its index."""

    num_items: Count
    """Items that have at least been through the encoder; some, silence for one, have no segment."""

    num_uncovered_items: Count
    """Items whose vectors come from another encoder than `encoder_id` and are not in here."""

    recall_at_10: float | None
    """Against exact search, on a sample of its own rows; ``None`` below two rows."""

    index: IndexEntry


class Manifest(msgspec.Struct, frozen=True):
    """What a snapshot holds."""

    snapshot_id: str
    collection: str

    created: str
    """UTC, ISO 8601."""

    format_version: int

    through_seq: Count
    """Every change of the collection up to this number is in here, none after it."""

    config_digest: str
    num_items: Count
    channels: dict[str, ChannelEntry]

    files: dict[str, FileEntry]
    """By path inside the snapshot; every file but the manifest."""

    @property
    def num_segments(self) -> int:
        """Rows over all channels."""
        return sum(channel.num_segments for channel in self.channels.values())

    @property
    def recall(self) -> dict[str, float]:
        """Recall@10 of every channel for which it was measured."""
        return {
            name: channel.recall_at_10
            for name, channel in self.channels.items()
            if channel.recall_at_10 is not None
        }


class _Header(msgspec.Struct):
    format_version: int


def encode_manifest(manifest: Manifest) -> bytes:
    """Return a manifest as JSON for people and programs."""
    fields = {**msgspec.to_builtins(manifest), "manifest_sha256": _NO_DIGEST}
    content = msgspec.json.format(msgspec.json.encode(fields), indent=1) + b"\n"
    before, _, after = content.rpartition(_NO_DIGEST.encode())
    return before + hashlib.sha256(content).hexdigest().encode() + after


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of the snapshot in ``folder``.

    Raises:
        SnapshotCorrupt: there is none, or it is damaged.
        SnapshotUnreadable: it is of a format this version does not know.
    """
    path = folder / MANIFEST_FILE
    try:
        content = read_file(path, MAX_MANIFEST_BYTES)
    except OSError as error:
        raise SnapshotCorrupt(f"{path}: {error.strerror}", file=str(path)) from error
    try:
        version = msgspec.json.decode(content, type=_Header).format_version
        if version not in READ_FORMATS:
            raise SnapshotUnreadable(
                f"{path}: format version {version}; this version of kindred reads up to "
                f"{FORMAT_VERSION}",
                file=str(path),
                expected=FORMAT_VERSION,
                got=version,
            )
        if version > 1 or _DIGEST.search(content):
            _require_own_digest(path, content)
        manifest = msgspec.json.decode(content, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SnapshotCorrupt(f"{path}: not a manifest: {error}", file=str(path)) from error
    for name in manifest.files:
        if not _is_below(name):
            raise SnapshotCorrupt(f"{path}: {name!r} is not a file below it", file=str(path))
    for name, entry in manifest.channels.items():
        if (entry.dim, entry.num_segments) != (entry.index.dim, entry.index.num_rows):
            raise SnapshotCorrupt(
                f"{path}: channel {name!r} has {entry.num_segments} segments of {entry.dim} "
                f"dimensions, its index {entry.index.num_rows} of {entry.index.dim}",
                file=str(path),
            )
        if not _is_below(name) or "/" in name:
            raise SnapshotCorrupt(f"{path}: {name!r} is not the name of a channel", file=str(path))
    return manifest


def _require_own_digest(path: Path, content: bytes) -> None:
    found = _DIGEST.findall(content)
    if len(found) != 1:
        raise SnapshotCorrupt(f"{path}: it has {len(found)} sha256s of itself", file=str(path))
    start, stop = next(_DIGEST.finditer(content)).span(1)
    got = hashlib.sha256(content[:start] + _NO_DIGEST.encode() + content[stop:]).hexdigest()
    if got.encode() != found[0]:
        raise SnapshotCorrupt(
            f"{path}: it says its sha256 is {found[0].decode()}, got {got}",
            file=str(path),
            expected=found[0].decode(),
            got=got,
        )


def _is_below(name: str) -> bool:
    """Tell whether a name leads to a place inside the folder, by the way it is written."""
    parts = name.split("/")
    return "\0" not in name and all(part not in ("", ".", "..") for part in parts)


def durable_entries(folder: Path) -> dict[str, FileEntry]:
    """Bring every file and folder below ``folder`` to the disk and return what the files are."""
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_dir():
            sync_folder(path)
            continue
        sync_file(path)
        name = path.relative_to(folder).as_posix()
        files[name] = FileEntry(file_sha256(path), path.stat().st_size)
    return files


def verify_files(folder: Path, manifest: Manifest) -> None:
    """Compare every file of a snapshot with its manifest.

    Raises:
        SnapshotCorrupt: naming the file, what was expected and what is there; or a file that the
            manifest does not know, which nobody could trust, or a link, which leads out of the
            snapshot.
    """
    listed = {*manifest.files, MANIFEST_FILE}
    for path in _files_below(folder):
        if path.relative_to(folder).as_posix() not in listed:
            raise SnapshotCorrupt(f"{path}: not in the manifest", file=str(path))
    for name, entry in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise SnapshotCorrupt(
                f"{path}: missing; expected {entry.size_bytes} bytes", file=str(path)
            )
        size_bytes = path.stat().st_size
        if size_bytes != entry.size_bytes:
            raise SnapshotCorrupt(
                f"{path}: expected {entry.size_bytes} bytes, got {size_bytes}",
                file=str(path),
                expected=entry.size_bytes,
                got=size_bytes,
            )
        try:
            sha256 = file_sha256(path)
        except OSError as error:
            raise SnapshotCorrupt(f"{path}: {error.strerror}", file=str(path)) from error
        if sha256 != entry.sha256:
            raise SnapshotCorrupt(
                f"{path}: expected sha256 {entry.sha256}, got {sha256}",
                file=str(path),
                expected=entry.sha256,
                got=sha256,
            )


def _files_below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode):
            yield path
        elif not stat.S_ISDIR(mode):
            raise SnapshotCorrupt(f"{path}: neither a file nor a folder", file=str(path))


def require_spaces(manifest: Manifest, identities: Mapping[str, EncoderIdentity]) -> None:
    """Refuse a snapshot whose vectors the collection's encoders cannot be compared with.

    Raises:
        SpaceMismatch: naming the channel and both spaces.
    """
    for name, identity in identities.items():
        entry = manifest.channels.get(name)
        if entry is not None:
            require_same_space(
                f"channel {name!r} of snapshot {manifest.snapshot_id}",
                entry.space_id,
                entry.dim,
                f"its encoder in collection {manifest.collection!r}",
                identity.space_id,
                identity.dim,
            )
