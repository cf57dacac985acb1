"""Every family of encoders, opened the way a collection opens them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from encoders.config import (
    ClapConfig,
    ConceptsConfig,
    EncoderConfig,
    FeaturesConfig,
    OpenClipConfig,
    SentenceConfig,
)
from encoders.encoder import Encoder
from encoders.loading import EncoderLoader
from encoders.models.checkpoint_pull import PullOptions, pull_checkpoint
from encoders.models.checkpoints import Family
from encoders.models.folder import ModelFolder
from tests.small_clap import save_small_clap
from tests.small_open_clip import write_small_model
from tests.small_sentence_models import bert_model


@dataclass(frozen=True)
class Subject:
    """An encoder under test, and how to open it again."""

    config: EncoderConfig
    models: ModelFolder

    def loader(self) -> EncoderLoader:
        """Return a loader that has loaded nothing yet."""
        return EncoderLoader(self.models, trained=False)

    def open(self) -> Encoder[Any]:
        return self.loader().open(self.config)


MAKERS: Mapping[Family, Callable[[Path], Path]] = {
    "open_clip": write_small_model,
    "laion_clap": save_small_clap,
    "sentence_transformers": bert_model,
}
STARTER: Mapping[str, EncoderConfig] = {
    "minilm": SentenceConfig(),
    "pictures": ConceptsConfig("efficientnet_lite2"),
    "looks": FeaturesConfig("efficientnet_lite2"),
    "sounds": ConceptsConfig("yamnet"),
    "timbre": FeaturesConfig("yamnet"),
}
SMALL: Mapping[str, Callable[[str], EncoderConfig]] = {
    "open_clip-image": lambda source: OpenClipConfig(source),
    "open_clip-text": lambda source: OpenClipConfig(source, tower="text"),
    "laion_clap-audio": lambda source: ClapConfig(source),
    "laion_clap-text": lambda source: ClapConfig(source, tower="text"),
    "sentence_transformers": lambda source: SentenceConfig(source),
    "sentence_transformers-cut": lambda source: SentenceConfig(source, dim=8),
    "sentence_transformers-prompt": lambda source: SentenceConfig(source, passage_prompt="a: "),
}


@pytest.fixture(scope="session")
def small_models(tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelFolder, dict[Family, str]]:
    """Small models of random weights, pulled from local folders as anybody's own are."""
    root = tmp_path_factory.mktemp("small-models")
    models = ModelFolder(root / "models")
    sources: dict[Family, str] = {}
    for family, write in MAKERS.items():
        source = str(write(root / family))
        pull_checkpoint(family, source, models, PullOptions())
        sources[family] = source
    return models, sources


@pytest.fixture(scope="session")
def subject_of(
    models: ModelFolder, small_models: tuple[ModelFolder, dict[Family, str]]
) -> Callable[[str], Subject]:
    def subject(name: str) -> Subject:
        if name in STARTER:
            return Subject(STARTER[name], models)
        small, sources = small_models
        family: Any = name.split("-")[0]
        return Subject(SMALL[name](sources[family]), small)

    return subject


@pytest.fixture(scope="session")
def opened(subject_of: Callable[[str], Subject]) -> Callable[[str], Encoder[Any]]:
    """Encoders that were opened once for the whole run."""
    encoders: dict[str, Encoder[Any]] = {}

    def encoder(name: str) -> Encoder[Any]:
        if name not in encoders:
            encoders[name] = subject_of(name).open()
        return encoders[name]

    return encoder


@pytest.fixture(params=[*STARTER, *SMALL])
def name(request: pytest.FixtureRequest) -> str:
    """Each encoder in turn."""
    return str(request.param)


@pytest.fixture
def subject(name: str, subject_of: Callable[[str], Subject]) -> Subject:
    return subject_of(name)


@pytest.fixture
def encoder(name: str, opened: Callable[[str], Encoder[Any]]) -> Encoder[Any]:
    return opened(name)
