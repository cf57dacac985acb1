"""What a backup says about itself: written last, so that its presence means "finished"."""

from __future__ import annotations

from pathlib import Path

import msgspec

from encoders.errors import KindredError
from indexer.durable_files import file_sha256
from indexer.manifest import FileEntry

BACKUP_FORMAT_VERSION = 1
BACKUP_FILE = "backup.json"


class BackupUnreadable(KindredError):
    """A folder is no finished backup, or one that this version does not know how to read."""

    code = "backup_unreadable"


class BackupCorrupt(KindredError):
    """A file of a backup is missing or was changed."""

    code = "backup_corrupt"


class BackedUpCollection(msgspec.Struct, frozen=True):
    """One collection in a backup."""

    items: int

    change_seq: int
    """The last change in the copied catalog."""

    snapshot: str | None
    """The snapshot that is served; ``None`` where there was none."""

    through_seq: int
    """The last change inside that snapshot, at most ``change_seq``; 0 without one."""

    on_servers: dict[str, str] = {}
    """The url of each channel whose index is on a Qdrant server. A snapshot with such channels is
    left out: after a restore a reindex builds all of it again from the catalog.
    """


class BackupManifest(msgspec.Struct, frozen=True):
    """What a backup holds."""

    format_version: int

    created: str
    """UTC, ISO 8601; when the backup was finished."""

    catalog_revision: str
    collections: dict[str, BackedUpCollection]

    files: dict[str, FileEntry]
    """By path inside the backup, which is the path inside the data folder."""

    @property
    def num_bytes(self) -> int:
        """Size of all files together."""
        return sum(entry.size_bytes for entry in self.files.values())


class _Header(msgspec.Struct):
    format_version: int


def encode_backup_manifest(manifest: BackupManifest) -> bytes:
    """Return a manifest as JSON for people and programs."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"


def read_backup_manifest(folder: Path) -> BackupManifest:
    """Read what the backup in ``folder`` holds.

    Raises:
        BackupUnreadable: there is none, it is not finished, or it is of a format that this version
            does not know.
        BackupCorrupt: its manifest is damaged.
    """
    path = folder / BACKUP_FILE
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BackupUnreadable(
            f"{folder} is no finished backup: {BACKUP_FILE}: {error.strerror}", folder=str(folder)
        ) from error
    try:
        version = msgspec.json.decode(content, type=_Header).format_version
        if version != BACKUP_FORMAT_VERSION:
            raise BackupUnreadable(
                f"{path}: format version {version}; this version of kindred reads "
                f"{BACKUP_FORMAT_VERSION}",
                file=str(path),
                expected=BACKUP_FORMAT_VERSION,
                got=version,
            )
        manifest = msgspec.json.decode(content, type=BackupManifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BackupCorrupt(f"{path}: not the manifest of a backup: {error}") from error
    for name in manifest.files:
        if not _stays_inside(name):
            raise BackupCorrupt(f"{path}: {name!r} is no path inside a data folder", file=name)
    return manifest


def verify_backup(folder: Path, manifest: BackupManifest) -> None:
    """Compare every file of a backup with its recorded size and sha256.

    Raises:
        BackupCorrupt: naming the file, what was expected and what is there.
    """
    for name, entry in manifest.files.items():
        path = folder / name
        try:
            got = FileEntry(file_sha256(path), path.stat().st_size)
        except OSError as error:
            raise BackupCorrupt(f"{path}: {error.strerror}; nothing was restored") from error
        if got != entry:
            raise BackupCorrupt(
                f"{path}: expected {entry.size_bytes} bytes with sha256 {entry.sha256}, got "
                f"{got.size_bytes} with {got.sha256}; nothing was restored",
                file=str(path),
                expected=msgspec.to_builtins(entry),
                got=msgspec.to_builtins(got),
            )


def _stays_inside(name: str) -> bool:
    path = Path(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts
