"""An adapter on disk: a folder with the map's numbers and a record of what it belongs to.

The folder appears whole or not at all. ``adapter.json`` can be read without the numbers, so that an
adapter's encoder can be identified without loading anything.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from encoders.adapters.fitting import FittedAdapter
from encoders.adapters.recall import HeldOutRecall
from encoders.config import EncoderConfig, config_digest
from encoders.encoder import EncoderIdentity
from encoders.errors import ConfigError, ModelCorrupt, ModelMissing, SpaceMismatch

FORMAT_VERSION = 2
RECORD_NAME = "adapter.json"
NUMBERS_NAME = "adapter.npz"


class AdapterRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything about an adapter but its numbers."""

    format_version: int
    digest: str
    """16 hex digits over the numbers and the encoders they stand on, see `adapter_digest`."""

    numbers_sha256: str
    """Of the file of numbers."""

    features: EncoderConfig
    features_id: str
    """``encoder_id`` of the feature encoder; another one gives features that mean other things."""

    base: EncoderConfig | None
    base_id: str | None

    texts: EncoderConfig
    """The encoder whose vectors of titles were the aim."""

    space_id: str
    feature_dim: int
    dim: int

    base_weight: float
    mapped_weight: float
    offset: float
    strength: float

    num_pairs: int
    recall: HeldOutRecall
    """Recall@10 before and after, on pairs that were not learnt from."""


@dataclass(frozen=True, slots=True, eq=False)
class Adapter:
    """An adapter as read from disk, ready to use; its arrays are read-only."""

    record: AdapterRecord

    matrix: NDArray[np.float32]
    """``(feature_dim, dim)``."""

    bias: NDArray[np.float32]
    """``(dim,)``."""


@dataclass(frozen=True, slots=True)
class AdapterParts:
    """The encoders that an adapter stands on: their configurations and what these identify as."""

    features: EncoderConfig
    features_identity: EncoderIdentity
    base: EncoderConfig | None
    base_identity: EncoderIdentity | None
    texts: EncoderConfig
    texts_identity: EncoderIdentity

    def __post_init__(self) -> None:
        base, texts, features = self.base_identity, self.texts_identity, self.features_identity
        if (self.base is None) != (base is None):
            raise ValueError("a base needs both its configuration and its identity")
        if texts.medium != "text":
            raise ConfigError(
                f"{texts.encoder_id} takes {texts.medium}; titles need a text encoder"
            )
        if features.medium not in ("image", "audio"):
            raise ConfigError(
                f"{features.encoder_id} takes {features.medium}; adapters map features of image "
                "or audio",
                medium=features.medium,
            )
        if base is None:
            return
        if base.space_id != texts.space_id:
            raise SpaceMismatch(
                f"the base {base.encoder_id} is in {base.space_id}, the titles are in "
                f"{texts.space_id}: an adapter adds to vectors of the titles' own space",
                left=base.space_id,
                right=texts.space_id,
            )
        if (base.medium, base.sample_rate_hz) != (features.medium, features.sample_rate_hz):
            raise ConfigError(
                f"features take {features.medium} at {features.sample_rate_hz} Hz, the base takes "
                f"{base.medium} at {base.sample_rate_hz} Hz; both are given the same content"
            )


def adapter_digest(
    matrix: NDArray[np.float32],
    bias: NDArray[np.float32],
    base_weight: float,
    *,
    features_id: str,
    base_id: str | None,
    space_id: str,
) -> str:
    """Return 16 hex digits: equal ones mean interchangeable vectors."""
    return config_digest(
        {
            "format_version": FORMAT_VERSION,
            "matrix": hashlib.sha256(np.ascontiguousarray(matrix, "<f4").tobytes()).hexdigest(),
            "bias": hashlib.sha256(np.ascontiguousarray(bias, "<f4").tobytes()).hexdigest(),
            "base_weight": base_weight,
            "features": features_id,
            "base": base_id,
            "space": space_id,
        }
    )


def write_adapter(
    folder: Path,
    adapter: FittedAdapter,
    parts: AdapterParts,
    recall: HeldOutRecall,
    *,
    num_pairs: int,
) -> AdapterRecord:
    """Write an adapter into a new folder, in one step.

    Args:
        folder: must not exist; its parent is made.
        adapter: the fitted map.
        parts: what it stands on.
        recall: what was measured.
        num_pairs: what it was fitted from.

    Raises:
        ConfigError: the folder is there already. Vectors of the old adapter may be stored, so it
            is not replaced.
    """
    if folder.exists():
        raise ConfigError(
            f"{folder} is there already; choose another name, or remove it if nothing uses it",
            path=str(folder),
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        with (partial / NUMBERS_NAME).open("wb") as file:
            np.savez(file, matrix=adapter.matrix, bias=adapter.bias)
        record = _record(adapter, parts, recall, num_pairs, _sha256(partial / NUMBERS_NAME))
        text = msgspec.json.format(msgspec.json.encode(record), indent=2)
        (partial / RECORD_NAME).write_bytes(text + b"\n")
        partial.chmod(0o755)  # what mkdtemp makes is for its owner only
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return record


def read_record(folder: Path) -> AdapterRecord:
    """Return what an adapter's folder says of it, without its numbers.

    Raises:
        ModelMissing: there is no adapter.
        ModelCorrupt: the record cannot be read, or is of another format version.
    """
    path = folder / RECORD_NAME
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ModelMissing(
            f"there is no adapter in {folder}; fit one with `kindred models fit-adapter`",
            path=str(folder),
        ) from error
    try:
        version = msgspec.json.decode(content, type=dict[str, object]).get("format_version")
        if version != FORMAT_VERSION:
            raise ModelCorrupt(
                f"{path}: format_version is {version!r}, this release reads {FORMAT_VERSION}; fit "
                "the adapter again",
                file=str(path),
                expected=FORMAT_VERSION,
                got=version,
            )
        return msgspec.json.decode(content, type=AdapterRecord)
    except msgspec.MsgspecError as error:
        raise ModelCorrupt(f"{path}: {error}", file=str(path)) from error


def read_adapter(folder: Path) -> Adapter:
    """Return an adapter after checking its numbers against its record.

    Raises:
        ModelMissing: there is no adapter.
        ModelCorrupt: a file is damaged, or numbers and record do not belong together.
    """
    record = read_record(folder)
    path = folder / NUMBERS_NAME
    if not path.is_file() or (got := _sha256(path)) != record.numbers_sha256:
        found = got if path.is_file() else "no file"
        raise ModelCorrupt(
            f"{path}: expected sha256 {record.numbers_sha256}, got {found}; fit the adapter again",
            file=str(path),
            expected=record.numbers_sha256,
            got=found,
        )
    try:
        with np.load(path, allow_pickle=False) as archive:
            matrix, bias = archive["matrix"], archive["bias"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ModelCorrupt(f"{path}: {error}", file=str(path)) from error
    _check_numbers(path, record, matrix, bias)
    matrix.flags.writeable = bias.flags.writeable = False
    return Adapter(record, matrix, bias)


def _check_numbers(
    path: Path, record: AdapterRecord, matrix: NDArray[np.float32], bias: NDArray[np.float32]
) -> None:
    expected = ((record.feature_dim, record.dim), (record.dim,), "float32", "float32")
    got = (matrix.shape, bias.shape, str(matrix.dtype), str(bias.dtype))
    if got != expected:
        raise ModelCorrupt(f"{path}: expected {expected}, got {got}", file=str(path))
    if not (np.isfinite(matrix).all() and np.isfinite(bias).all()):
        raise ModelCorrupt(f"{path} holds values that are not finite numbers", file=str(path))
    digest = adapter_digest(
        matrix,
        bias,
        record.base_weight,
        features_id=record.features_id,
        base_id=record.base_id,
        space_id=record.space_id,
    )
    if digest != record.digest:
        raise ModelCorrupt(
            f"{path.parent}: the record says {record.digest}, its content gives {digest}",
            file=str(path),
            expected=record.digest,
            got=digest,
        )


def _record(
    adapter: FittedAdapter,
    parts: AdapterParts,
    recall: HeldOutRecall,
    num_pairs: int,
    numbers_sha256: str,
) -> AdapterRecord:
    features_id = parts.features_identity.encoder_id
    base_id = parts.base_identity.encoder_id if parts.base_identity else None
    space_id = parts.texts_identity.space_id
    return AdapterRecord(
        format_version=FORMAT_VERSION,
        digest=adapter_digest(
            adapter.matrix,
            adapter.bias,
            adapter.base_weight,
            features_id=features_id,
            base_id=base_id,
            space_id=space_id,
        ),
        numbers_sha256=numbers_sha256,
        features=parts.features,
        features_id=features_id,
        base=parts.base,
        base_id=base_id,
        texts=parts.texts,
        space_id=space_id,
        feature_dim=adapter.matrix.shape[0],
        dim=adapter.matrix.shape[1],
        base_weight=adapter.mixture.base_weight,
        mapped_weight=adapter.mixture.mapped_weight,
        offset=adapter.mixture.offset,
        strength=adapter.strength,
        num_pairs=num_pairs,
        recall=recall,
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
