"""What a sentence-transformers folder says of itself, read from its JSON files alone.

Whoever plans with a model (the length of its vectors, its prompts, the files it brings for int8)
asks here, so that no library of machine learning is imported for a plan.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from encoders.errors import ConfigError, ModelCorrupt

Role: TypeAlias = Literal["query", "passage"]

POOLING_MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
"""In the order in which the library joins the vectors of several modes."""

MODULES = (
    "Transformer",
    "StaticEmbedding",
    "WeightedLayerPooling",
    "Pooling",
    "Dense",
    "LayerNorm",
    "Dropout",
    "Normalize",
)
"""Kinds of module whose effect on the length of vectors is known here."""

_PROMPT_NAMES: Mapping[Role, tuple[str, ...]] = {
    "query": ("query",),
    "passage": ("document", "passage", "corpus"),
}
"""The names that the library knows, in the order in which it looks for them."""

_LEGACY_MODES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_MAX_HEADER_BYTES = 100_000_000  # the limit of the safetensors library itself


@dataclass(frozen=True, slots=True)
class PoolingFacts:
    """How the vectors of word pieces become one."""

    modes: tuple[str, ...]
    """Of `POOLING_MODES`; the vectors of several are joined end to end."""

    include_prompt: bool
    """False where the word pieces of the prompt steer the others but are not pooled."""


@dataclass(frozen=True, slots=True)
class SentenceFacts:
    """Everything about a sentence-transformers folder that its JSON files tell."""

    dim: int
    """Length of the vectors at the end of the module chain."""

    max_word_pieces: int | None
    """What follows in a text has no influence; ``None`` where the folder sets no limit."""

    prompts: Mapping[str, str]
    """The model's own prompts by name."""

    default_prompt: str
    """What the library puts in front of texts when nothing is said; mostly nothing."""

    similarity: str
    """What the model was trained for: ``cosine``, ``dot`` …"""

    modules: tuple[str, ...]
    """Kinds of the modules in the order they run: ``Transformer``, ``Pooling`` …"""

    pooling: PoolingFacts | None
    """``None`` for a model of static word vectors, whose first module pools."""

    lower_case: bool
    """Whether texts are put into small letters before the tokenizer's own normalisation."""

    vocab_size: int | None
    """Word pieces that the network knows; ``None`` where its configuration does not say."""

    onnx_files: tuple[str, ...]
    """Every ONNX file as a path inside the folder, sorted."""


def sentence_facts(folder: Path) -> SentenceFacts:
    """Return what a sentence-transformers folder says of itself.

    Only JSON is read (for a model of static word vectors also the JSON header of its weights).

    Raises:
        ModelCorrupt: a file is missing, is not JSON, or lacks a field; or the model has a module
            that is not known here, such as one that brings its own code.
    """
    entries = _modules(folder)
    kinds = tuple(kind for kind, _ in entries)
    config = _read_object(folder / entries[0][1] / "config.json", optional="Static" in kinds[0])
    settings_path = folder / "config_sentence_transformers.json"
    settings = _read_object(settings_path, optional=True)
    tokens = _read_object(folder / "sentence_bert_config.json", optional=True)
    prompts = _prompts(settings, settings_path)
    dim, pooling = _chain(folder, entries, config)
    if settings.get("truncate_dim") is not None:
        dim = min(dim, _positive(settings, ("truncate_dim",), settings_path))
    return SentenceFacts(
        dim=dim,
        max_word_pieces=_max_word_pieces(folder, tokens, config),
        prompts=MappingProxyType(prompts),
        default_prompt=prompts.get(str(settings.get("default_prompt_name")), ""),
        similarity=settings.get("similarity_fn_name") or "cosine",
        modules=kinds,
        pooling=pooling,
        lower_case=bool(tokens.get("do_lower_case", False)),
        vocab_size=None
        if config.get("vocab_size") is None
        else _positive(config, ("vocab_size",), folder / entries[0][1] / "config.json"),
        onnx_files=tuple(
            sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.onnx"))
        ),
    )


def prompt_for(role: Role, facts: SentenceFacts, configured: str | None) -> str:
    """Return what is put in front of each text of a role.

    The library gives every model it saves an empty "document" prompt and prefers that to the
    "passage" prompt the model was trained with; here a prompt that says something goes first.

    Args:
        role: ``query`` for what is searched for, ``passage`` for what is found.
        facts: of the model.
        configured: what the configuration says: ``""`` for no prompt, ``None`` for the model's own.
    """
    if configured is not None:
        return configured
    own = [facts.prompts[name] for name in _PROMPT_NAMES[role] if name in facts.prompts]
    return next(filter(None, own), "" if own else facts.default_prompt)


def shortened_dim(model_dim: int, dim: int | None) -> int:
    """Return the length of vectors of which the first ``dim`` numbers are kept (Matryoshka).

    Args:
        model_dim: what the model gives.
        dim: what is asked for; ``None`` for all.

    Raises:
        ConfigError: the model does not give that many, or fewer than one are asked for.
    """
    if dim is None:
        return model_dim
    if not 1 <= dim <= model_dim:
        raise ConfigError(
            f"dim must be between 1 and the {model_dim} numbers that the model gives, got {dim}",
            dim=dim,
            model_dim=model_dim,
        )
    return dim


def _modules(folder: Path) -> list[tuple[str, str]]:
    """Return (kind, subfolder) of each module, in the order they run."""
    path = folder / "modules.json"
    listed = _read_json(path)
    if not isinstance(listed, list) or not listed:
        raise _corrupt(path, "", "a list of modules", listed)
    entries = []
    for number, entry in enumerate(listed):
        if not isinstance(entry, dict) or not isinstance(entry.get("type"), str):
            raise _corrupt(path, f"[{number}].type", "the name of a class", entry)
        package, _, kind = entry["type"].rpartition(".")
        # A class from elsewhere would be the model's own code, which is never run.
        if not package.startswith("sentence_transformers.") or kind not in MODULES:
            known = f"one of sentence-transformers' {', '.join(MODULES)}"
            raise _corrupt(path, f"[{number}].type", known, entry["type"])
        subfolder = str(entry.get("path", ""))
        if Path(subfolder).is_absolute() or ".." in Path(subfolder).parts:
            raise _corrupt(path, f"[{number}].path", "a folder inside the model's", subfolder)
        entries.append((kind, subfolder))
    if entries[0][0] not in ("Transformer", "StaticEmbedding"):
        raise _corrupt(path, "[0].type", "Transformer or StaticEmbedding", entries[0][0])
    return entries


def _chain(
    folder: Path, entries: Sequence[tuple[str, str]], config: Mapping[str, Any]
) -> tuple[int, PoolingFacts | None]:
    """Follow the length of a vector through the modules."""
    dim: int | None = None
    pooling = None
    for kind, subfolder in entries:
        path = folder / subfolder / "config.json"
        if kind == "StaticEmbedding":
            dim = _static_dim(folder / subfolder / "model.safetensors")
        elif kind == "Pooling":
            fields = _read_object(path)
            pooling = _pooling(fields, path)
            width = _positive(fields, ("embedding_dimension", "word_embedding_dimension"), path)
            dim = width * len(pooling.modes)
        elif kind == "Dense":
            fields = _read_object(path)
            # A Dense with another input works on word pieces, before Pooling counts again.
            if fields.get("module_input_name", "sentence_embedding") == "sentence_embedding":
                width = _positive(fields, ("in_features",), path)
                if dim is not None and width != dim:
                    raise _corrupt(path, "in_features", str(dim), width)
                dim = _positive(fields, ("out_features",), path)
    if dim is None:
        raise _corrupt(folder / "modules.json", "", "a Pooling module", config.get("model_type"))
    return dim, pooling


def _pooling(fields: Mapping[str, Any], path: Path) -> PoolingFacts:
    given = fields.get("pooling_mode")
    if given is None:
        modes = tuple(mode for key, mode in _LEGACY_MODES.items() if fields.get(key)) or ("mean",)
    else:
        modes = (given,) if isinstance(given, str) else tuple(given)
    for mode in modes:
        if mode not in POOLING_MODES:
            raise _corrupt(path, "pooling_mode", f"one of {', '.join(POOLING_MODES)}", mode)
    return PoolingFacts(modes, bool(fields.get("include_prompt", True)))


def _static_dim(path: Path) -> int:
    """Return the length of word vectors from the header of a safetensors file."""
    try:
        with path.open("rb") as stream:
            (size,) = struct.unpack("<Q", stream.read(8))
            header = json.loads(stream.read(min(size, _MAX_HEADER_BYTES)))
        return int((header.get("embedding.weight") or header["embeddings"])["shape"][1])
    except (OSError, ValueError, LookupError, TypeError, struct.error) as error:
        raise _corrupt(path, "embedding.weight", "a table of word vectors", error) from error


def _max_word_pieces(
    folder: Path, tokens: Mapping[str, Any], config: Mapping[str, Any]
) -> int | None:
    if tokens.get("max_seq_length") is not None:
        return _positive(tokens, ("max_seq_length",), folder / "sentence_bert_config.json")
    tokenizer = _read_object(folder / "tokenizer_config.json", optional=True)
    limits = [tokenizer.get("model_max_length"), config.get("max_position_embeddings")]
    # "No limit" is written as 1e30 by tokenizers and as -1 by networks.
    known = [int(limit) for limit in limits if isinstance(limit, int | float) and 0 < limit < 1e9]
    return min(known, default=None)


def _prompts(settings: Mapping[str, Any], path: Path) -> dict[str, str]:
    prompts = settings.get("prompts") or {}
    if not isinstance(prompts, dict):
        raise _corrupt(path, "prompts", "prompts by name", prompts)
    for name, prompt in prompts.items():
        if prompt is not None and not isinstance(prompt, str):
            raise _corrupt(path, f"prompts.{name}", "text", prompt)
    return {name: prompt for name, prompt in prompts.items() if prompt is not None}


def _positive(fields: Mapping[str, Any], names: Sequence[str], path: Path) -> int:
    """Return the first of some fields that is there."""
    value = next((fields[name] for name in names if name in fields), None)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise _corrupt(path, " or ".join(names), "a positive number", value)
    return value


def _read_object(path: Path, *, optional: bool = False) -> Mapping[str, Any]:
    if optional and not path.exists():
        return {}
    content = _read_json(path)
    if not isinstance(content, dict):
        raise _corrupt(path, "", "fields by name", content)
    return content


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _corrupt(path, "", "a JSON file of a sentence-transformers model", error) from error


def _corrupt(path: Path, field: str, expected: str, got: object) -> ModelCorrupt:
    place = f"{path}, {field}" if field else str(path)
    return ModelCorrupt(
        f"{place}: expected {expected}, got {got}; pull or copy the model again",
        file=path.name,
        field=field,
        expected=expected,
        got=str(got),
    )
