"""Bringing an open_clip checkpoint into a model's standard folder.

Tensors are carried over as they are, into safetensors, which holds nothing else: from then on no
pickle is read. The folder is written only when it loads.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from encoders.clip.encoder import OpenClipNetwork
from encoders.clip.folder import (
    CONFIG_NAME,
    FOLDER_NAMES,
    TEXT_TOWER_CONFIG_NAME,
    TOKENIZER_NAMES,
    WEIGHTS_NAME,
    check_model,
    has_tokenizer,
    read_config,
)
from encoders.clip.hub import (
    PICKLED_WEIGHTS_NAME,
    default_preprocess,
    known_architecture,
    usual_preprocess,
)
from encoders.errors import ConfigError, ModelCorrupt, ModelMissing
from encoders.models.tensor_files import read_tensors, write_tensors

if TYPE_CHECKING:
    pass

FOLDER_WEIGHTS_NAMES = (
    WEIGHTS_NAME,
    "open_clip_pytorch_model.safetensors",
    "model.safetensors",
    PICKLED_WEIGHTS_NAME,
    "open_clip_pytorch_model.pth",
    "pytorch_model.bin",
)
"""What weights are called in a folder of the hub's layout, best first."""


def import_open_clip_checkpoint(
    architecture: str | Path,
    weights: Path,
    target: Path,
    *,
    preprocess: Mapping[str, object] | None = None,
    text_files: Path | None = None,
) -> None:
    """Write the standard folder of a weights file.

    Args:
        architecture: a name that open_clip knows, or the path of a model JSON.
        weights: ``.safetensors``, or ``.pt``, ``.pth``, ``.bin`` with tensors only: a state dict,
            or a training checkpoint that has it under ``state_dict``.
        target: an empty directory, or none yet; on errors it is left empty.
        preprocess: ``mean``, ``std``, ``interpolation`` and ``resize_mode`` that the weights were
            trained with. ``None``: what the model JSON says, else what all pretrained weights of
            the architecture agree on.
        text_files: folder with the files of a tokenizer of transformers, and with the
            ``config.json`` of a text tower of transformers, for architectures that use them.

    Raises:
        ConfigError: the architecture is not known, ``target`` is not empty, or the weights are in
            no format that is read.
        ModelMissing: a file is not there.
        ModelCorrupt: the weights hold more than tensors, or do not fit the architecture.
        DependencyMissing: open_clip is not installed.
    """
    model, said = _architecture(architecture)
    if preprocess is None:
        preprocess = said or _usual_preprocess(architecture)
    tensors = read_tensors(weights)
    with _emptied_on_error(target):
        write_tensors(tensors, target / WEIGHTS_NAME)
        del tensors
        if text_files is not None:
            _copy(text_files, target, (TEXT_TOWER_CONFIG_NAME, *TOKENIZER_NAMES))
        _write_config(model, preprocess, target)
        OpenClipNetwork(target)


def import_open_clip_folder(source: Path, target: Path, *, text_files: Path | None = None) -> None:
    """Write the standard folder of a folder in the hub's layout.

    Weights that are in the standard place are copied byte for byte; others are read as
    `import_open_clip_checkpoint` does.

    Args:
        source: holds ``open_clip_config.json`` and weights.
        target: an empty directory, or none yet; on errors it is left empty.
        text_files: as there; a tokenizer or a ``config.json`` in it takes the place of those in
            ``source``.

    Raises:
        ConfigError: ``target`` is not empty.
        ModelMissing: a file is not there.
        ModelCorrupt: the weights hold more than tensors, or do not fit the architecture.
        DependencyMissing: open_clip is not installed.
    """
    read_config(source)
    weights = next(
        (source / name for name in FOLDER_WEIGHTS_NAMES if (source / name).is_file()), None
    )
    if weights is None:
        raise ModelMissing(
            f"{source} holds no weights ({', '.join(FOLDER_WEIGHTS_NAMES)})", file=WEIGHTS_NAME
        )
    with _emptied_on_error(target):
        if weights.name != WEIGHTS_NAME:
            write_tensors(read_tensors(weights), target / WEIGHTS_NAME)
        # Whole or not at all: files of two tokenizers make none.
        replaced = TOKENIZER_NAMES if text_files and has_tokenizer(text_files) else ()
        _copy(source, target, tuple(name for name in FOLDER_NAMES if name not in replaced))
        if text_files is not None:
            _copy(text_files, target, (TEXT_TOWER_CONFIG_NAME, *TOKENIZER_NAMES))
        OpenClipNetwork(target)


def _architecture(architecture: str | Path) -> tuple[Mapping[str, Any], Mapping[str, object]]:
    """Return a model JSON and what is said beside it about pictures, which may be nothing."""
    if isinstance(architecture, str):
        return known_architecture(architecture), {}
    try:
        content = json.loads(architecture.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelMissing(f"{architecture} is not there", file=str(architecture)) from error
    except ValueError as error:
        raise ModelCorrupt(
            f"{architecture} is not JSON: {error}", file=str(architecture)
        ) from error
    # A model JSON is the inner part of a folder's configuration; both are handed around.
    whole = isinstance(content, dict) and "model_cfg" in content
    model = content["model_cfg"] if whole else content
    check_model(architecture, model)
    return model, (content.get("preprocess_cfg") or {}) if whole else {}


def _usual_preprocess(architecture: str | Path) -> Mapping[str, object]:
    if isinstance(architecture, str):
        return usual_preprocess(architecture)
    return default_preprocess()


def _write_config(model: Mapping[str, Any], preprocess: Mapping[str, object], target: Path) -> None:
    content = {"model_cfg": model, "preprocess_cfg": preprocess}
    (target / CONFIG_NAME).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _copy(source: Path, target: Path, names: tuple[str, ...]) -> None:
    for name in names:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)


@contextmanager
def _emptied_on_error(target: Path) -> Iterator[None]:
    """Make the directory, and leave nothing in it that looks like a model unless all went well."""
    target.mkdir(parents=True, exist_ok=True)
    if any(target.iterdir()):
        raise ConfigError(f"{target} is not empty; name a new directory", target=str(target))
    try:
        yield
    except BaseException:
        for path in target.iterdir():
            path.unlink()
        raise
