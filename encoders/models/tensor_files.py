"""Tensors in files: read without running anything a file holds, kept as safetensors."""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from encoders.errors import ConfigError, ModelCorrupt, ModelMissing
from encoders.torch_imports import install

if TYPE_CHECKING:
    import torch

PICKLED_SUFFIXES = (".pt", ".pth", ".bin")


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a weights file under the names that its network has for them.

    Args:
        path: ``.safetensors``, or ``.pt``, ``.pth``, ``.bin`` with tensors only: a state dict, or a
            training checkpoint that has it under ``state_dict``.

    Raises:
        ModelMissing: the file is not there.
        ConfigError: it is in no format that is read.
        ModelCorrupt: it is damaged, or holds more than tensors and plain values, so that reading it
            could run code.
    """
    if not path.is_file():
        raise ModelMissing(f"{path} is not there", file=str(path))
    if path.suffix == ".safetensors":
        return _state_dict(path, _read_safetensors(path))
    if path.suffix not in PICKLED_SUFFIXES:
        raise ConfigError(
            f"{path}: weights are read from .safetensors, {', '.join(PICKLED_SUFFIXES)}; "
            f"got {path.suffix or 'no ending'}",
            file=str(path),
        )
    return _state_dict(path, _read_pickle(path))


def write_tensors(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """Write tensors as safetensors."""
    import torch
    from safetensors.torch import save_file

    # Tied weights share memory, which the format refuses; it wants rows in order as well.
    apart = {
        name: tensor.detach().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    save_file(apart, path, metadata={"format": "pt"})


def pickles_as_safetensors(folder: Path) -> None:
    """Replace every ``pytorch_model.bin`` below a folder by a ``model.safetensors``.

    Raises:
        ModelCorrupt: as `read_tensors`; also for a pickle in parts, which would have to be joined.
    """
    for path in sorted(folder.rglob("pytorch_model*.bin")):
        if path.name != "pytorch_model.bin":
            raise ModelCorrupt(
                f"{path.name}: pickled weights in several parts are not read; save them as "
                "safetensors",
                file=path.name,
            )
        write_tensors(read_tensors(path), path.with_name("model.safetensors"))
        path.unlink()


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    install()
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise ModelCorrupt(f"{path} is not a safetensors file: {error}", file=str(path)) from error


def _read_pickle(path: Path) -> object:
    install()
    import torch

    if _is_torchscript(path):
        raise ModelCorrupt(
            f"{path} is a TorchScript archive, a program; save its state dict as safetensors "
            "and take that (OpenAI's weights are on the hub as such)",
            file=str(path),
        )
    try:
        with torch.serialization.safe_globals(_numpy_scalars()):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # torch's own message advises to load the file without this protection.
        named = re.search(r"GLOBAL (\S+)", str(error))
        what = named[1] if named else "something that is neither tensor nor number"
        raise ModelCorrupt(
            f"{path} is refused: it holds {what}, and reading that could run code. Save its state "
            "dict alone, best as safetensors",
            file=str(path),
            refused=what,
        ) from error
    except OSError:
        raise
    except Exception as error:
        # Damaged files make torch's reader fail in a dozen ways, assertions among them.
        raise ModelCorrupt(
            f"{path} is not a file of tensors: {type(error).__name__}: {error}", file=str(path)
        ) from error


def _numpy_scalars() -> list[Any]:
    """Return what training writes beside tensors: epochs and losses as numpy's scalars."""
    scalar: Any = np.float64(0).__reduce__()[0]
    names = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
    kinds = (np.float64, np.float32, np.int64, np.int32, np.bool_)
    return [
        *((scalar, name) for name in names),
        np.dtype,
        *(type(np.dtype(kind)) for kind in kinds),
    ]


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _state_dict(path: Path, content: object) -> dict[str, torch.Tensor]:
    """Return the tensors of a checkpoint, whether they are all of it or a part."""
    import torch

    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not content:
        raise ModelCorrupt(f"{path} holds no tensors, but {type(content).__name__}", file=str(path))
    others = [str(name) for name, value in content.items() if not isinstance(value, torch.Tensor)]
    if others:
        raise ModelCorrupt(
            f"{path} is neither a state dict nor has one under 'state_dict': {others[0]!r} and "
            f"{len(others) - 1} more entries are no tensors",
            file=str(path),
            entries=others[:10],
        )
    # Training on several devices puts it before every name.
    if all(name.startswith("module.") for name in content):
        return {name.removeprefix("module."): tensor for name, tensor in content.items()}
    return content
