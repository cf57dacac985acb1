"""Which models a configuration names, and where their files are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from encoders.adapters.file import read_record
from encoders.clap.settings import clap_facts
from encoders.clip.folder import open_clip_dim
from encoders.config import (
    AdapterConfig,
    ClapConfig,
    ClassifierName,
    ConceptsConfig,
    EncoderConfig,
    FeaturesConfig,
    OpenClipConfig,
    SentenceConfig,
    TextEncoderConfig,
    WhisperConfig,
    medium_of_encoder,
)
from encoders.errors import ConfigError
from encoders.models.checkpoints import Checkpoint, Family
from encoders.models.folder import ModelFolder
from encoders.models.table import MODELS
from encoders.sentences.facts import sentence_facts

ADAPTERS_FOLDER = "adapters"


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The files of one model, of the table or pulled."""

    name: str
    """Readable; the beginning of ids."""

    folder: Path
    sha256s: Mapping[str, str]


def required_models(config: EncoderConfig) -> list[str]:
    """Return the models that an encoder stands on, as ``kindred models pull`` takes them."""
    if isinstance(config, ConceptsConfig):
        return [config.classifier, _pull_name("sentence_transformers", config.text_model)]
    if isinstance(config, FeaturesConfig):
        return [config.classifier]
    if isinstance(config, AdapterConfig):
        # What it maps from is known to its record alone; it is asked for when it is loaded.
        return required_models(config.words)
    if isinstance(config, OpenClipConfig):
        return [_pull_name("open_clip", config.model)]
    if isinstance(config, ClapConfig):
        return [_pull_name("laion_clap", config.model)]
    return [_pull_name("sentence_transformers", config.model)]


def recognizer_model(config: WhisperConfig) -> str:
    """Return the model of a recogniser, as ``kindred models pull`` takes it."""
    return _pull_name("whisper", config.model)


def _table_name(family: Family, model: str) -> str:
    return f"whisper_{model}" if family == "whisper" else model


def _pull_name(family: Family, model: str) -> str:
    known = _table_name(family, model)
    return known if known in MODELS else f"{family}:{model}"


def model_files(family: Family, model: str, models: ModelFolder) -> ModelFiles:
    """Return the files of a model; those of the table need not be there.

    Raises:
        ModelMissing: it is not in the table and was never pulled.
        ConfigError: the table's model of this name is of another family.
    """
    known = MODELS.get(_table_name(family, model))
    if known is not None:
        if family == "sentence_transformers" and known.medium != "text":
            raise ConfigError(
                f"model {model!r} takes {known.medium}, a sentence model takes text", model=model
            )
        return ModelFiles(known.name, models.root / known.name, models.files(known.name))
    checkpoint = models.checkpoints.find(family, model)
    return ModelFiles(checkpoint.name, checkpoint.folder, checkpoint.sha256s)


def adapter_folder(name: str, models: ModelFolder) -> Path:
    """Return where an adapter lies, or would lie.

    Raises:
        ConfigError: the name is none that a folder may have.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise ConfigError(
            f"an adapter's name is made of letters, digits, '.', '_' and '-', got {name!r}",
            adapter=name,
        )
    return models.root / ADAPTERS_FOLDER / name


def adapter_folders(models: ModelFolder) -> dict[str, Path]:
    """Return the folders of all adapters by name."""
    folders = (models.root / ADAPTERS_FOLDER).glob("[!.]*/")
    return {folder.name: folder for folder in sorted(folders)}


def checkpoint_dim(checkpoint: Checkpoint) -> int | None:
    """Return the length of a checkpoint's vectors; ``None`` for a recogniser."""
    family = checkpoint.record.family
    if family == "open_clip":
        return open_clip_dim(checkpoint.folder)
    if family == "laion_clap":
        return clap_facts(checkpoint.folder).dim
    return None if family == "whisper" else sentence_facts(checkpoint.folder).dim


def encoders_of(name: str, models: ModelFolder) -> list[EncoderConfig]:
    """Return the encoders of a model.

    Args:
        name: ``FAMILY:SOURCE``, where a family is one that collections may name.
        models: where adapters are.

    Raises:
        ConfigError: there is no such family, or a recogniser is named, which gives no vectors.
    """
    family, _, source = name.partition(":")
    if source and family == "open_clip":
        return [OpenClipConfig(source, "image"), OpenClipConfig(source, "text")]
    if source and family == "laion_clap":
        return [ClapConfig(source, "audio"), ClapConfig(source, "text")]
    if source and family == "sentence_transformers":
        return [SentenceConfig(source)]
    if source and family == "adapter":
        record = read_record(adapter_folder(source, models))
        medium = cast(Literal["image", "audio"], medium_of_encoder(record.features))
        return [AdapterConfig(source, medium, cast(TextEncoderConfig, record.texts))]
    if family in ("concepts", "features") and source in get_args(ClassifierName):
        classifier = cast(ClassifierName, source)
        return [ConceptsConfig(classifier) if family == "concepts" else FeaturesConfig(classifier)]
    raise ConfigError(
        f"{name!r} should be FAMILY:SOURCE: open_clip, laion_clap or sentence_transformers and a "
        f"model, adapter and its name, or concepts or features and one of "
        f"{', '.join(get_args(ClassifierName))}",
        model=name,
    )
