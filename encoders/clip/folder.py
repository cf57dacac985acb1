"""The folder of an open_clip model, read without a machine-learning library.

It has the layout that such models have on the hub: ``open_clip_config.json`` (architecture and
preprocessing), ``open_clip_model.safetensors``, and where the text tower needs them a tokenizer's
files and the text tower's own ``config.json``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from encoders.errors import ModelCorrupt, ModelMissing

CONFIG_NAME = "open_clip_config.json"
WEIGHTS_NAME = "open_clip_model.safetensors"

TEXT_TOWER_CONFIG_NAME = "config.json"
"""Describes a text tower of transformers (roberta, xlm-roberta, mt5, bert, m2m_100)."""

VOCABULARY_NAMES = (
    "tokenizer.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "vocab.txt",
    "vocab.json",
)
"""Any one of them makes a tokenizer of transformers."""

TOKENIZER_NAMES = (
    *VOCABULARY_NAMES,
    "merges.txt",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)

FOLDER_NAMES = (CONFIG_NAME, WEIGHTS_NAME, TEXT_TOWER_CONFIG_NAME, *TOKENIZER_NAMES)
"""Every file of a folder that loading may read."""


@dataclass(frozen=True, slots=True)
class OpenClipDescription:
    """What a folder's configuration says."""

    model: Mapping[str, Any]
    """``embed_dim``, ``vision_cfg``, ``text_cfg`` and more, as open_clip takes them."""

    preprocess: Mapping[str, Any]
    """``mean``, ``std``, ``interpolation``, ``resize_mode``; what is absent is open_clip's
    default.
    """

    @property
    def dim(self) -> int:
        """Length of the vectors of both towers."""
        dim: int = self.model["embed_dim"]
        return dim

    @property
    def text_tower_name(self) -> str | None:
        """Which model of transformers the text tower is; ``None`` for open_clip's own tower."""
        return self.model["text_cfg"].get("hf_model_name") or None

    @property
    def tokenizer_name(self) -> str | None:
        """Whose tokenizer of transformers is used; ``None`` for the one inside open_clip."""
        return self.model["text_cfg"].get("hf_tokenizer_name") or None


def read_config(folder: Path) -> OpenClipDescription:
    """Return the configuration of a folder.

    Raises:
        ModelMissing: there is none.
        ModelCorrupt: naming what is missing in it or has the wrong kind.
    """
    path = folder / CONFIG_NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ModelMissing(
            f"{folder} is not the folder of an open_clip model: it holds no {CONFIG_NAME}",
            file=str(path),
        ) from error
    except ValueError as error:
        raise ModelCorrupt(f"{path} is not JSON: {error}", file=str(path)) from error
    model = _entry(path, content, "model_cfg", dict)
    config = OpenClipDescription(model, _entry(path, content, "preprocess_cfg", dict, default={}))
    check_model(path, model)
    return config


def check_model(path: Path, model: object) -> None:
    """Refuse an architecture that lacks what every one has.

    Raises:
        ModelCorrupt: naming the file and the entry.
    """
    for tower in ("vision_cfg", "text_cfg"):
        _entry(path, model, tower, dict)
    dim = _entry(path, model, "embed_dim", int)
    if dim < 1:
        raise ModelCorrupt(
            f"{path}: embed_dim must be 1 or more, got {dim}", file=str(path), got=dim
        )


def open_clip_dim(folder: Path) -> int:
    """Return the length of a model's vectors, read from its configuration alone.

    Raises:
        ModelMissing: the folder holds no configuration.
        ModelCorrupt: naming what is missing in it or has the wrong kind.
    """
    return read_config(folder).dim


def has_tokenizer(folder: Path) -> bool:
    """Tell whether a folder holds the files of a tokenizer of transformers."""
    return any((folder / name).is_file() for name in VOCABULARY_NAMES)


def check_files(folder: Path, config: OpenClipDescription) -> None:
    """Refuse a folder that lacks a file which loading would then look for elsewhere.

    Raises:
        ModelMissing: naming the file and saying where to get it.
        ModelCorrupt: the configuration asks for code to be run.
    """
    if not (folder / WEIGHTS_NAME).is_file():
        raise ModelMissing(
            f"{folder} holds no {WEIGHTS_NAME}; import other weights files first",
            file=WEIGHTS_NAME,
        )
    if config.text_tower_name and not (folder / TEXT_TOWER_CONFIG_NAME).is_file():
        raise ModelMissing(
            f"{folder} holds no {TEXT_TOWER_CONFIG_NAME}, which describes the text tower; "
            f"put that of {config.text_tower_name!r} there",
            file=TEXT_TOWER_CONFIG_NAME,
        )
    if config.tokenizer_name and not has_tokenizer(folder):
        raise ModelMissing(
            f"{folder} holds no tokenizer ({', '.join(VOCABULARY_NAMES)}); "
            f"put the files of {config.tokenizer_name!r} there",
            file=VOCABULARY_NAMES[0],
        )
    # The entry is handed on to transformers, which would import Python files of the folder.
    if "trust_remote_code" in (config.model["text_cfg"].get("tokenizer_kwargs") or {}):
        raise ModelCorrupt(
            f"{folder / CONFIG_NAME}: tokenizer_kwargs holds trust_remote_code; code that comes "
            "with a model is never run",
            file=CONFIG_NAME,
        )


def _entry(
    path: Path, content: object, name: str, kind: type, *, default: object | None = None
) -> Any:
    value = content.get(name, default) if isinstance(content, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        found = "nothing" if value is None else repr(value)[:80]
        raise ModelCorrupt(
            f"{path}: expected {name!r} to be of type {kind.__name__}, got {found}",
            file=str(path),
            entry=name,
        )
    return value
