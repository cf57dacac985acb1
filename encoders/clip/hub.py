"""Which files on the hub make an open_clip model: the library's own tables, read as a plan."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from encoders.clip.folder import FOLDER_NAMES, WEIGHTS_NAME
from encoders.clip.library import open_clip_library
from encoders.errors import ConfigError

PICKLED_WEIGHTS_NAME = "open_clip_pytorch_model.bin"
"""What a repository holds in which nobody said where the weights are, beside the safetensors."""

HUB_FOLDER_NAMES = (*FOLDER_NAMES, PICKLED_WEIGHTS_NAME)
"""Files to look for in a repository that is a model's standard folder; of the two weights files
the second is needed only where the first is not there.
"""

PREPROCESS_ENTRIES = ("mean", "std", "interpolation", "resize_mode")


@dataclass(frozen=True, slots=True)
class HubFiles:
    """What must be fetched for a pretrained tag."""

    architecture: str
    """The one the weights were trained in: ``ViT-B-32`` with OpenAI's weights needs
    ``ViT-B-32-quickgelu``, or every vector is wrong.
    """

    repository: str
    """``org/name`` of the weights."""

    weight_names: tuple[str, ...]
    """Names to try in order, safetensors first."""

    preprocess: Mapping[str, object]
    """How the weights expect their pictures; JSON-ready."""

    text_tower_repository: str | None
    """Where the text tower's ``config.json`` lies; ``None`` where open_clip has it inside."""

    tokenizer_repository: str | None
    """Where the tokenizer lies; ``None`` where open_clip has it inside."""


def hub_files(architecture: str, tag: str) -> HubFiles:
    """Return what a pretrained tag consists of; nothing is fetched.

    Args:
        architecture: ``ViT-B-32``.
        tag: ``laion2b_s34b_b79k``.

    Raises:
        ConfigError: open_clip knows no such architecture or tag, or the weights are not on a hub.
        DependencyMissing: open_clip is not installed.
    """
    library = open_clip_library()
    # The library writes names with "-" where a hub's name has "/".
    name = architecture.replace("/", "-")
    text = known_architecture(name)["text_cfg"]
    entry = library.get_pretrained_cfg(name, tag)
    if not entry:
        tags = library.list_pretrained_tags_by_model(name)
        raise ConfigError(
            f"open_clip has no weights {tag!r} for {name!r}; it has: {', '.join(tags) or 'none'}",
            architecture=name,
            tag=tag,
        )
    repository, _, file = entry["hf_hub"].rpartition("/")
    if not repository:
        raise ConfigError(
            f"the weights {tag!r} of {name!r} are on no hub; download {entry.get('url')} and "
            "import the file",
            architecture=name,
            tag=tag,
        )
    return HubFiles(
        architecture=_trained_architecture(name, entry),
        repository=repository,
        weight_names=_weight_names(file),
        preprocess=_preprocess(entry),
        text_tower_repository=text.get("hf_model_name") or None,
        tokenizer_repository=text.get("hf_tokenizer_name") or None,
    )


def is_architecture(name: str) -> bool:
    """Tell whether open_clip has an architecture of that name inside."""
    return name in open_clip_library().list_models()


def known_architecture(name: str) -> dict[str, Any]:
    """Return the model JSON of an architecture that open_clip has inside.

    Raises:
        ConfigError: there is none of that name; the nearest names are given.
    """
    library = open_clip_library()
    names = library.list_models()
    if name not in names:
        near = difflib.get_close_matches(name, names, n=5, cutoff=0.5)
        raise ConfigError(
            f"open_clip has no architecture {name!r}; nearest: {', '.join(near) or 'none'}",
            architecture=name,
        )
    model: dict[str, Any] = library.get_model_config(name)
    return model


def usual_preprocess(architecture: str) -> dict[str, object]:
    """Return how all pretrained weights of an architecture expect their pictures.

    A fine-tuned file does not say it. The library's default would be wrong for SigLIP, CLIPA and
    MobileCLIP, whose weights all agree on something else.

    Raises:
        ConfigError: the weights of this architecture differ, so somebody has to say it.
    """
    library = open_clip_library()
    found: list[dict[str, object]] = []
    for tag in library.list_pretrained_tags_by_model(architecture):
        preprocess = _preprocess(library.get_pretrained_cfg(architecture, tag))
        if preprocess not in found:
            found.append(preprocess)
    if len(found) > 1:
        raise ConfigError(
            f"pretrained weights of {architecture!r} expect pictures in {len(found)} ways; say "
            f"which with preprocess: {found}",
            architecture=architecture,
        )
    return found[0] if found else default_preprocess()


def default_preprocess() -> dict[str, object]:
    """Return open_clip's default, as OpenAI's CLIP was trained."""
    from dataclasses import asdict

    return _preprocess(asdict(open_clip_library().transform.PreprocessCfg()))


def _preprocess(entry: Mapping[str, Any]) -> dict[str, object]:
    values = {name: entry[name] for name in PREPROCESS_ENTRIES}
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in values.items()
    }


def _trained_architecture(name: str, entry: Mapping[str, Any]) -> str:
    """Return the variant with OpenAI's activation where the weights were trained with it."""
    if not entry.get("quick_gelu") or known_architecture(name).get("quick_gelu"):
        return name
    variant = f"{name}-quickgelu"
    known_architecture(variant)
    return variant


def _weight_names(file: str) -> tuple[str, ...]:
    if not file:
        return (WEIGHTS_NAME, PICKLED_WEIGHTS_NAME)
    stem, _, ending = file.rpartition(".")
    return (f"{stem}.safetensors", file) if ending in ("bin", "pth", "pt") else (file,)
