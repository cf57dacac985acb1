"""From a channel's configuration to an encoder, sharing whatever encoders have in common."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, TypeAlias

from encoders.concept_encoder import ConceptEncoder, concept_parameters
from encoders.config import (
    ClassifierName,
    EncoderConfig,
    FeaturesConfig,
    SentenceConfig,
    WhisperConfig,
    config_digest,
)
from encoders.encoder import Encoder, EncoderIdentity
from encoders.errors import ConfigError
from encoders.feature_encoder import FeatureEncoder
from encoders.image_classifier import ImageClassifier, picture_parameters
from encoders.mel_spectrogram import SAMPLE_RATE_HZ
from encoders.sentence_encoder import SentenceEncoder, SentenceModel, sentence_parameters
from encoders.sound_classifier import SoundClassifier, sound_parameters
from encoders.speech.voice_detector import open_network
from encoders.speech.whisper_network import DeviceKind, WhisperNetwork, num_cuda_devices
from encoders.speech.whisper_recognizer import WhisperRecognizer, recognizer_parameters
from encoders.weights import ModelDescription, ModelFolder, describe

Classifier: TypeAlias = ImageClassifier | SoundClassifier


class EncoderLoader:
    """Opens encoders and recognisers; each network is loaded once, whatever stands on it.

    Args:
        models: where weights are.
        num_threads: threads of one forward pass. It is a setting of the whole process in torch.
        device: ``cpu``, ``cuda:N``, or ``auto`` for the first CUDA device if there is one. Sound
            classification and voice detection always run on the processor.
    """

    def __init__(self, models: ModelFolder, *, num_threads: int = 1, device: str = "cpu") -> None:
        self.models = models
        self.num_threads = num_threads
        self.device = device
        self._lock = threading.RLock()
        self._encoders: dict[EncoderConfig, Encoder[Any]] = {}
        self._classifiers: dict[ClassifierName, Classifier] = {}
        self._sentence_models: dict[str, SentenceModel] = {}
        self._recognizers: dict[WhisperConfig, WhisperRecognizer] = {}
        self._whispers: dict[str, WhisperNetwork] = {}

    def identify(self, config: EncoderConfig) -> EncoderIdentity:
        """Return what is known of an encoder without loading it.

        No library of machine learning is imported and no weights need to be there: the ids follow
        from the sha256s of the model table, the preprocessing and the parameters.

        Raises:
            ModelMissing: the configuration names a model that does not exist.
            ConfigError: it names a model of the wrong kind.
        """
        if isinstance(config, SentenceConfig):
            model = _sentence_description(config.model)
            space_id = _sentence_space_id(model)
            return EncoderIdentity(space_id, space_id, _vector_dim(model), "text")
        classifier = describe(config.classifier)
        parts: dict[str, object] = {"classifier": _classifier_digest(config.classifier)}
        sample_rate_hz = SAMPLE_RATE_HZ if classifier.medium == "audio" else None
        if isinstance(config, FeaturesConfig):
            feature_id = _readable_id(f"{config.classifier}-features", parts)
            return EncoderIdentity(
                feature_id, feature_id, _vector_dim(classifier), classifier.medium, sample_rate_hz
            )
        text_model = _sentence_description(config.text_model)
        space_id = _sentence_space_id(text_model)
        parts["space"] = space_id
        parts["concepts"] = concept_parameters(config.classifier)
        return EncoderIdentity(
            _readable_id(f"{config.classifier}-concepts", parts),
            space_id,
            _vector_dim(text_model),
            classifier.medium,
            sample_rate_hz,
        )

    def identify_recognizer(self, config: WhisperConfig) -> str:
        """Return the id of a recogniser without loading it: equal ids hear the same words.

        No library of machine learning is imported and no weights need to be there.

        Raises:
            ModelMissing: the configuration names a model that does not exist.
            ConfigError: the model does not know the language.
        """
        model = _whisper_description(config)
        parts = {
            "files": _sha256s(model),
            "parameters": recognizer_parameters(),
            "language": config.language,
        }
        return _readable_id(model.name, parts)

    def open(self, config: EncoderConfig) -> Encoder[Any]:
        """Return the encoder of a configuration, the same object every time.

        Raises:
            ModelMissing: its weights are not in the model folder.
            ModelCorrupt: they are not what they should be.
            ConfigError: the device is not there, or a model is of the wrong kind.
        """
        with self._lock:
            if config not in self._encoders:
                self._encoders[config] = self._load(config)
            return self._encoders[config]

    def _load(self, config: EncoderConfig) -> Encoder[Any]:
        identity = self.identify(config)
        if isinstance(config, SentenceConfig):
            return SentenceEncoder(self._sentence_model(config.model), identity)
        if isinstance(config, FeaturesConfig):
            return FeatureEncoder[Any](self._classifier(config.classifier), identity)
        return ConceptEncoder[Any](
            self._classifier(config.classifier),
            self._sentence_model(config.text_model),
            identity,
            config.classifier,
            cache_folder=self.models.root / "class-vectors",
        )

    def open_recognizer(self, config: WhisperConfig) -> WhisperRecognizer:
        """Return the speech recogniser of a configuration, the same object every time.

        Raises:
            ModelMissing: its weights are not in the model folder.
            ModelCorrupt: they are not what they should be.
            ConfigError: the device is not there, or the model does not know the language.
            DependencyMissing: the network that finds speech is not installed.
        """
        with self._lock:
            if config not in self._recognizers:
                self._recognizers[config] = WhisperRecognizer(
                    self.identify_recognizer(config),
                    self._whisper(_whisper_description(config).name),
                    open_network(),
                    language=config.language,
                )
            return self._recognizers[config]

    def _whisper(self, name: str) -> WhisperNetwork:
        if name not in self._whispers:
            folder = self.models.path(name)
            kind, number = self._ctranslate2_device()
            self._whispers[name] = WhisperNetwork(
                folder, num_threads=self.num_threads, device=kind, device_number=number
            )
        return self._whispers[name]

    def _classifier(self, name: ClassifierName) -> Classifier:
        if name not in self._classifiers:
            folder = self.models.path(name)
            if name == "yamnet":
                self._classifiers[name] = SoundClassifier(folder, num_threads=self.num_threads)
            else:
                self._classifiers[name] = ImageClassifier(folder, device=self._torch_device())
        return self._classifiers[name]

    def _sentence_model(self, name: str) -> SentenceModel:
        if name not in self._sentence_models:
            model = _sentence_description(name)
            folder = self.models.path(name)
            self._sentence_models[name] = SentenceModel(
                folder, dim=_vector_dim(model), device=self._torch_device()
            )
        return self._sentence_models[name]

    def _torch_device(self) -> str:
        """Return the device to use, after telling torch the number of threads."""
        import torch

        torch.set_num_threads(self.num_threads)
        return self._chosen_device(f"torch ({torch.__version__})", torch.cuda.device_count())

    def _ctranslate2_device(self) -> tuple[DeviceKind, int]:
        """Return the device to use: its kind and number."""
        if self.device == "cpu":
            return "cpu", 0
        kind, _, number = self._chosen_device("CTranslate2", num_cuda_devices()).partition(":")
        return ("cuda", int(number)) if kind == "cuda" else ("cpu", 0)

    def _chosen_device(self, library: str, num_devices: int) -> str:
        """Return `device`, or what ``auto`` means to a library that sees ``num_devices``."""
        names = [f"cuda:{number}" for number in range(num_devices)]
        if self.device == "auto":
            return names[0] if names else "cpu"
        if self.device not in ["cpu", *names]:
            raise ConfigError(
                f"device {self.device!r} is not there; this {library} sees: "
                f"{', '.join(['cpu', *names])}",
                device=self.device,
                available=["cpu", *names],
            )
        return self.device


def _vector_dim(model: ModelDescription) -> int:
    assert model.dim is not None, "encoders stand on models that give vectors"
    return model.dim


def _whisper_description(config: WhisperConfig) -> ModelDescription:
    model = describe(config.weights)
    if config.language is not None and config.language not in model.languages:
        raise ConfigError(
            f"model {model.name!r} does not know the language {config.language!r}; "
            f"it knows: {', '.join(model.languages)}",
            model=model.name,
            language=config.language,
        )
    return model


def _sentence_description(name: str) -> ModelDescription:
    model = describe(name)
    if model.medium != "text":
        raise ConfigError(
            f"model {name!r} takes {model.medium}, a sentence model takes text", model=name
        )
    return model


def _sentence_space_id(model: ModelDescription) -> str:
    return _readable_id(model.name, {"files": _sha256s(model), "parameters": sentence_parameters()})


def _classifier_digest(name: ClassifierName) -> str:
    parameters = sound_parameters() if name == "yamnet" else picture_parameters()
    return config_digest({"files": _sha256s(describe(name)), "parameters": parameters})


def _sha256s(model: ModelDescription) -> dict[str, str]:
    return {file.name: file.sha256 for file in model.files}


def _readable_id(name: str, parts: Mapping[str, object]) -> str:
    return f"{name}-{config_digest(parts)}"
