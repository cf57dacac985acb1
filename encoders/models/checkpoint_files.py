"""Which files of a repository or directory a model of each family is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from pathlib import PurePosixPath

from encoders.errors import ModelCorrupt
from encoders.models.checkpoints import Family

_TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "*.model",
)
_TENSORS = ("*.safetensors", "*.safetensors.index.json", "pytorch_model*.bin")

_NEEDED: Mapping[Family, tuple[str, ...]] = {
    "open_clip": (
        "open_clip_config.json",
        "config.json",
        *_TOKENIZER,
        "open_clip_model.safetensors",
        "open_clip_pytorch_model.safetensors",
        "open_clip_pytorch_model.bin",
    ),
    "laion_clap": (
        "config.json",
        "preprocessor_config.json",
        "processor_config.json",
        *_TOKENIZER,
        *_TENSORS,
    ),
    "sentence_transformers": ("*.json", *_TOKENIZER, *_TENSORS),
    "whisper": (
        "config.json",
        "preprocessor_config.json",
        "tokenizer.json",
        "vocabulary.*",
        "model.bin",
    ),
}
"""Patterns of file names, without their folders."""

_OTHER_FORMATS = ("onnx", "openvino", "flax", "tf", "coreml", ".cache", ".git")
"""Folders that hold the same model for other programs."""

_INT8_ONNX = ("onnx/*int8*.onnx", "onnx/*quant*.onnx")
"""What sentence models bring for the processor in 8 bits."""


def needed_files(family: Family, names: Sequence[str]) -> list[str]:
    """Return those of ``names`` that a model of ``family`` is made of.

    Tensors are taken as safetensors where there are any, and as pickles only otherwise.

    Args:
        family: whose layout it is.
        names: paths in the repository or directory, ``/`` between their parts.

    Raises:
        ModelCorrupt: there are no weights among them.
    """
    chosen = [name for name in names if _is_needed(family, name)]
    folders_with_tensors = {
        PurePosixPath(name).parent for name in chosen if name.endswith(".safetensors")
    }
    chosen = [
        name
        for name in chosen
        if not (
            name.endswith(".bin")
            and family != "whisper"
            and PurePosixPath(name).parent in folders_with_tensors
        )
    ]
    if not any(name.endswith((".safetensors", ".bin")) for name in chosen):
        raise ModelCorrupt(
            f"no weights of a {family} model among its files; looked for "
            f"{', '.join(_NEEDED[family])}, found {', '.join(names) or 'nothing'}",
            family=family,
            files=list(names),
        )
    return chosen


def _is_needed(family: Family, name: str) -> bool:
    path = PurePosixPath(name)
    if family == "sentence_transformers" and any(fnmatch(name, each) for each in _INT8_ONNX):
        return True
    if any(part in _OTHER_FORMATS for part in path.parts[:-1]):
        return False
    if family != "sentence_transformers" and len(path.parts) > 1:
        return False
    return any(fnmatch(path.name, pattern) for pattern in _NEEDED[family])
