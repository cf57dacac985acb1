"""Who an encoder is, from its configuration alone: no weights are loaded, no ML library imported.

Ids are digests of what vectors depend on: the sha256 of every file of the weights, the version of
the preprocessing, and the parameters. So the same model has the same ids on every machine, and a
model that was changed has others.
"""

from __future__ import annotations

from collections.abc import Mapping

from encoders.adapters.encoder import adapter_identity
from encoders.adapters.file import read_record
from encoders.clap.encoder import clap_facts, clap_parameters
from encoders.classifiers.concept_encoder import concept_parameters
from encoders.classifiers.image_classifier import picture_parameters
from encoders.classifiers.mel_spectrogram import SAMPLE_RATE_HZ
from encoders.classifiers.sound_classifier import sound_parameters
from encoders.clip.encoder import open_clip_dim, open_clip_parameters
from encoders.config import (
    AdapterConfig,
    ClapConfig,
    ClassifierName,
    ConceptsConfig,
    EncoderConfig,
    FeaturesConfig,
    OpenClipConfig,
    SentenceConfig,
    WhisperConfig,
    config_digest,
)
from encoders.encoder import EncoderIdentity
from encoders.errors import ConfigError
from encoders.models.folder import ModelFolder, describe
from encoders.models.lookup import adapter_folder, model_files
from encoders.models.table import MODELS
from encoders.sentences.encoder import sentence_parameters
from encoders.sentences.facts import prompt_for, sentence_facts, shortened_dim
from encoders.space import require_same_space
from encoders.speech.whisper_languages import whisper_languages
from encoders.speech.whisper_recognizer import recognizer_parameters


def identify(config: EncoderConfig, models: ModelFolder) -> EncoderIdentity:
    """Return what is known of an encoder without loading it.

    Raises:
        ModelMissing: the configuration names a model that is neither in the table nor pulled.
        ModelCorrupt: the configuration files of a pulled model cannot be read.
        ConfigError: a model is of the wrong kind, or cannot give what is asked of it.
    """
    if isinstance(config, SentenceConfig):
        return _identify_sentences(config, models)
    if isinstance(config, OpenClipConfig):
        return _identify_open_clip(config, models)
    if isinstance(config, ClapConfig):
        return _identify_clap(config, models)
    if isinstance(config, AdapterConfig):
        return _identify_adapter(config, models)
    return _identify_classifier(config, models)


def identify_recognizer(config: WhisperConfig, models: ModelFolder) -> str:
    """Return the id of a recogniser without loading it: equal ids hear the same words.

    Raises:
        ModelMissing: the configuration names a model that is neither in the table nor pulled.
        ConfigError: the model does not know the language.
    """
    files = model_files("whisper", config.model, models)
    languages = recognizer_languages(config, models)
    if config.language is not None and config.language not in languages:
        raise ConfigError(
            f"model {config.model!r} does not know the language {config.language!r}; "
            f"it knows: {', '.join(languages)}",
            model=config.model,
            language=config.language,
        )
    parts = {
        "files": files.sha256s,
        "parameters": recognizer_parameters(),
        "language": config.language,
    }
    return _readable_id(files.name, parts)


def sentence_model_dim(model: str, models: ModelFolder) -> int:
    """Return the length of a sentence model's vectors before any is cut."""
    known = MODELS.get(model)
    if known is None:
        return sentence_facts(model_files("sentence_transformers", model, models).folder).dim
    assert known.dim is not None, "sentence models give vectors"
    return known.dim


def sentence_prompt(config: SentenceConfig, models: ModelFolder) -> str:
    """Return what is put in front of texts in the role of an encoder."""
    configured = config.query_prompt if config.role == "query" else config.passage_prompt
    if config.model in MODELS:  # those of the table have no prompts of their own
        return configured or ""
    folder = model_files("sentence_transformers", config.model, models).folder
    return prompt_for(config.role, sentence_facts(folder), configured)


def spoken_language(config: WhisperConfig, models: ModelFolder) -> str | None:
    """Return what is spoken if that is known: it was said, or the model knows no other."""
    known = recognizer_languages(config, models)
    return config.language or (known[0] if len(known) == 1 else None)


def recognizer_languages(config: WhisperConfig, models: ModelFolder) -> tuple[str, ...]:
    """Return the codes of the languages that a recogniser's model knows.

    Raises:
        ModelMissing: the configuration names a model that is neither in the table nor pulled.
        ModelCorrupt: the model does not say it.
    """
    files = model_files("whisper", config.model, models)
    known = MODELS.get(files.name)
    return known.languages if known else whisper_languages(files.folder)


def _identify_sentences(config: SentenceConfig, models: ModelFolder) -> EncoderIdentity:
    files = model_files("sentence_transformers", config.model, models)
    dim = shortened_dim(sentence_model_dim(config.model, models), config.dim)
    # Vectors of questions and passages are compared, whatever is put in front of each; those of
    # another precision lie a little beside, and are not.
    space = {
        "files": files.sha256s,
        "parameters": sentence_parameters(),
        "dim": dim,
        "precision": config.precision,
    }
    space_id = _readable_id(files.name, space)
    encoder = {"space": space_id, "prompt": sentence_prompt(config, models)}
    return EncoderIdentity(_readable_id(files.name, encoder), space_id, dim, "text")


def _identify_open_clip(config: OpenClipConfig, models: ModelFolder) -> EncoderIdentity:
    files = model_files("open_clip", config.model, models)
    parts = {"files": files.sha256s, "parameters": open_clip_parameters()}
    space_id = _readable_id(files.name, parts)
    return EncoderIdentity(
        _readable_id(f"{files.name}-{config.tower}", {"space": space_id, "tower": config.tower}),
        space_id,
        open_clip_dim(files.folder),
        config.tower,
    )


def _identify_clap(config: ClapConfig, models: ModelFolder) -> EncoderIdentity:
    files = model_files("laion_clap", config.model, models)
    facts = clap_facts(files.folder)
    parts = {"files": files.sha256s, "parameters": clap_parameters()}
    space_id = _readable_id(files.name, parts)
    return EncoderIdentity(
        _readable_id(f"{files.name}-{config.tower}", {"space": space_id, "tower": config.tower}),
        space_id,
        facts.dim,
        config.tower,
        facts.sample_rate_hz if config.tower == "audio" else None,
    )


def _identify_classifier(
    config: ConceptsConfig | FeaturesConfig, models: ModelFolder
) -> EncoderIdentity:
    classifier = describe(config.classifier)
    parts: dict[str, object] = {"classifier": _classifier_digest(config.classifier, models)}
    sample_rate_hz = SAMPLE_RATE_HZ if classifier.medium == "audio" else None
    if isinstance(config, FeaturesConfig):
        feature_id = _readable_id(f"{config.classifier}-features", parts)
        assert classifier.dim is not None, "classifiers have features"
        return EncoderIdentity(
            feature_id, feature_id, classifier.dim, classifier.medium, sample_rate_hz
        )
    text = identify(SentenceConfig(config.text_model), models)
    parts["space"] = text.space_id
    parts["concepts"] = concept_parameters(config.classifier)
    return EncoderIdentity(
        _readable_id(f"{config.classifier}-concepts", parts),
        text.space_id,
        text.dim,
        classifier.medium,
        sample_rate_hz,
    )


def _identify_adapter(config: AdapterConfig, models: ModelFolder) -> EncoderIdentity:
    record = read_record(adapter_folder(config.adapter, models))
    identity = adapter_identity(
        record,
        identify(record.features, models),
        identify(record.base, models) if record.base else None,
    )
    if identity.medium != config.medium:
        raise ConfigError(
            f"adapter {config.adapter!r} takes {identity.medium}, the configuration says "
            f"{config.medium}",
            adapter=config.adapter,
        )
    words = identify(config.words, models)
    require_same_space(
        f"adapter {config.adapter!r}",
        identity.space_id,
        identity.dim,
        "the encoder of its words",
        words.space_id,
        words.dim,
    )
    return identity


def _classifier_digest(name: ClassifierName, models: ModelFolder) -> str:
    parameters = sound_parameters() if name == "yamnet" else picture_parameters()
    return config_digest({"files": models.files(name), "parameters": parameters})


def _readable_id(name: str, parts: Mapping[str, object]) -> str:
    return f"{name}-{config_digest(parts)}"
