"""From a channel's configuration to an encoder, sharing whatever encoders have in common."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from encoders import identification
from encoders.adapters.encoder import AdapterEncoder
from encoders.adapters.file import read_adapter, read_record
from encoders.admission.examination import examine
from encoders.admission.hearing import examine_recognizer
from encoders.admission.ledger import AdmissionLedger
from encoders.admission.report import AdmissionReport
from encoders.clap.encoder import ClapNetwork
from encoders.classifiers.concept_encoder import ConceptEncoder
from encoders.classifiers.feature_encoder import FeatureEncoder
from encoders.classifiers.image_classifier import ImageClassifier
from encoders.classifiers.sound_classifier import SoundClassifier
from encoders.clip.encoder import OpenClipNetwork
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
    medium_of_encoder,
    words_encoder,
)
from encoders.encoder import Encoder, EncoderIdentity
from encoders.errors import ConfigError
from encoders.models.folder import ModelFolder
from encoders.models.lookup import adapter_folder, recognizer_model, required_models
from encoders.run_size import RunBudget
from encoders.sentences.encoder import SentenceEncoder, SentenceModel, TextModel
from encoders.sentences.facts import sentence_facts
from encoders.sentences.onnx_model import OnnxSentenceModel, int8_file
from encoders.space import Vectors
from encoders.speech.voice_detector import open_network
from encoders.speech.whisper_network import DeviceKind, WhisperNetwork, num_cuda_devices
from encoders.speech.whisper_recognizer import WhisperRecognizer
from encoders.tower_encoder import TowerEncoder

Classifier: TypeAlias = ImageClassifier | SoundClassifier
NetworkT = TypeVar("NetworkT")


class _LateEncoder:
    """An encoder that is loaded when it first encodes; one that was examined before never does."""

    def __init__(self, identity: EncoderIdentity, load: Callable[[], Encoder[Any]]) -> None:
        self.identity = identity
        self._load = load

    @cached_property
    def _encoder(self) -> Encoder[Any]:
        return self._load()

    def encode(self, batch: Sequence[Any]) -> Vectors:
        return self._encoder.encode(batch)


class EncoderLoader:
    """Opens encoders and recognisers; each network is loaded once, whatever stands on it.

    Args:
        models: where weights are.
        num_threads: threads of one forward pass. It is a setting of the whole process in torch.
        device: ``cpu``, ``cuda:N``, or ``auto`` for the first CUDA device if there is one. Sound
            classification and voice detection always run on the processor.
        trained: encoders are also asked whether their vectors mean something, before they are first
            used. Networks of random weights, which tests make, cannot pass that.
        run_budget: for those who encode many contents: what a warm-up of open_clip, CLAP and
            sentence networks may use to choose how many run at once. ``None``: no warm-up.
    """

    def __init__(
        self,
        models: ModelFolder,
        *,
        num_threads: int = 1,
        device: str = "cpu",
        trained: bool = True,
        run_budget: RunBudget | None = None,
    ) -> None:
        self.models = models
        self.num_threads = num_threads
        self.device = device
        self.trained = trained
        self.run_budget = run_budget
        self._ledger = AdmissionLedger(models.root / "admission")
        self._lock = threading.RLock()
        self._encoders: dict[EncoderConfig, Encoder[Any]] = {}
        self._recognizers: dict[WhisperConfig, WhisperRecognizer] = {}
        self._networks: dict[tuple[str, str], Any] = {}

    def identify(self, config: EncoderConfig) -> EncoderIdentity:
        """See `identification.identify`."""
        return identification.identify(config, self.models)

    def identify_recognizer(self, config: WhisperConfig) -> str:
        """See `identification.identify_recognizer`."""
        return identification.identify_recognizer(config, self.models)

    def open(self, config: EncoderConfig) -> Encoder[Any]:
        """Return the encoder of a configuration, the same object every time.

        Raises:
            ModelMissing: its weights are not in the model folder.
            ModelCorrupt: they are not what they should be.
            ConfigError: the device is not there, or a model is of the wrong kind.
            DependencyMissing: the library of its family is not installed.
            AdmissionRefused: its vectors are not what searches rely on.
        """
        with self._lock:
            if config not in self._encoders:
                encoder = self._load(config)
                on_processor, gpu_twin = self._by_device(config, encoder)
                self._ledger.admit(
                    on_processor,
                    text_encoder=self._words_encoder(config),
                    trained=self.trained,
                    gpu_twin=gpu_twin,
                )
                self._encoders[config] = encoder
            return self._encoders[config]

    def examine(self, config: EncoderConfig) -> AdmissionReport:
        """Return what an encoder's vectors are worth, whether or not it was admitted before.

        Raises:
            ModelMissing: see `open`, as for the others but `AdmissionRefused` of the encoder.
        """
        with self._lock:
            on_processor, gpu_twin = self._by_device(config, self._load(config))
            report = examine(
                on_processor,
                text_encoder=self._words_encoder(config),
                trained=self.trained,
                gpu_twin=gpu_twin,
            )
            self._ledger.keep(report)
            return report

    def examine_recognizer(self, config: WhisperConfig) -> AdmissionReport:
        """Return what a recogniser's words are worth.

        Raises:
            ModelMissing: see `open_recognizer`, as for the others.
        """
        languages = identification.recognizer_languages(config, self.models)
        return examine_recognizer(self.open_recognizer(config), languages, trained=self.trained)

    def device_of(self, config: EncoderConfig | WhisperConfig) -> str:
        """Return where an encoder or recogniser runs: ``cpu`` or ``cuda:N``.

        Raises:
            ConfigError: the device is not there.
        """
        if self.device == "cpu":
            return "cpu"
        if isinstance(config, WhisperConfig):
            kind, number = self._ctranslate2_device()
            return "cpu" if kind == "cpu" else f"cuda:{number}"
        if isinstance(config, AdapterConfig):
            return self.device_of(read_record(adapter_folder(config.adapter, self.models)).features)
        on_processor = (
            config.precision == "int8"
            if isinstance(config, SentenceConfig)
            else isinstance(config, ConceptsConfig | FeaturesConfig)
            and config.classifier == "yamnet"
        )
        return "cpu" if on_processor else self._torch_device()

    def _by_device(
        self, config: EncoderConfig, encoder: Encoder[Any]
    ) -> tuple[Encoder[Any], Encoder[Any] | None]:
        """Return an encoder on the processor, and its twin on the GPU if that is where it runs."""
        if self.device == "cpu" or self._torch_device() == "cpu":
            return encoder, None

        def load() -> Encoder[Any]:
            plain = EncoderLoader(self.models, num_threads=self.num_threads, trained=self.trained)
            return plain._load(config)

        return _LateEncoder(encoder.identity, load), encoder

    def _words_encoder(self, config: EncoderConfig) -> Encoder[str] | None:
        """Return what brings words into the space of an encoder of pictures or sounds."""
        words = None if medium_of_encoder(config) == "text" else words_encoder(config)
        return None if words is None else self.open(words)

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
                    self._shared(recognizer_model(config), self._whisper),
                    open_network(),
                    language=identification.spoken_language(config, self.models),
                )
            return self._recognizers[config]

    def _load(self, config: EncoderConfig) -> Encoder[Any]:
        identity = self.identify(config)
        if isinstance(config, SentenceConfig):
            return self._sentences(config, identity)
        if isinstance(config, OpenClipConfig):
            open_clip = self._shared(required_models(config)[0], self._open_clip)
            if config.tower == "text":
                return TowerEncoder(open_clip.encode_texts, identity)
            return TowerEncoder(open_clip.encode_pictures, identity)
        if isinstance(config, ClapConfig):
            clap = self._shared(required_models(config)[0], self._clap)
            if config.tower == "text":
                return TowerEncoder(clap.encode_texts, identity)
            return TowerEncoder(clap.encode_sounds, identity)
        if isinstance(config, FeaturesConfig):
            return FeatureEncoder[Any](self._classifier(config.classifier), identity)
        if isinstance(config, ConceptsConfig):
            return self._concepts(config, identity)
        return self._adapted(config)

    def _shared(self, model: str, load: Callable[[Path], NetworkT], variant: str = "") -> NetworkT:
        """Return the network of a model, loaded from its folder the first time."""
        key = (model, variant)
        if key not in self._networks:
            self._networks[key] = load(self.models.require(model))
        network: NetworkT = self._networks[key]
        return network

    def _sentences(self, config: SentenceConfig, identity: EncoderIdentity) -> SentenceEncoder:
        return SentenceEncoder(
            self._text_model(config),
            identity,
            prompt=identification.sentence_prompt(config, self.models),
            dim=config.dim,
        )

    def _text_model(self, config: SentenceConfig) -> TextModel:
        (model,) = required_models(config)
        dim = identification.sentence_model_dim(config.model, self.models)
        if config.precision == "float32":
            return self._shared(
                model,
                lambda folder: SentenceModel(
                    folder, dim=dim, device=self._torch_device(), run_budget=self.run_budget
                ),
            )
        return self._shared(
            model,
            lambda folder: OnnxSentenceModel(
                folder,
                int8_file(sentence_facts(folder).onnx_files, config.model),
                dim=dim,
                num_threads=self.num_threads,
            ),
            variant="int8",
        )

    def _concepts(self, config: ConceptsConfig, identity: EncoderIdentity) -> ConceptEncoder[Any]:
        return ConceptEncoder[Any](
            self._classifier(config.classifier),
            self.open(SentenceConfig(config.text_model)),
            identity,
            config.classifier,
            cache_folder=self.models.root / "class-vectors",
        )

    def _adapted(self, config: AdapterConfig) -> AdapterEncoder[Any]:
        adapter = read_adapter(adapter_folder(config.adapter, self.models))
        record = adapter.record
        base = self.open(record.base) if record.base else None
        return AdapterEncoder[Any](self.open(record.features), base, adapter)

    def _classifier(self, name: ClassifierName) -> Classifier:
        def load(folder: Path) -> Classifier:
            if name == "yamnet":
                return SoundClassifier(folder, num_threads=self.num_threads)
            return ImageClassifier(folder, device=self._torch_device())

        return self._shared(name, load)

    def _whisper(self, folder: Path) -> WhisperNetwork:
        kind, number = self._ctranslate2_device()
        return WhisperNetwork(
            folder, num_threads=self.num_threads, device=kind, device_number=number
        )

    def _open_clip(self, folder: Path) -> OpenClipNetwork:
        return OpenClipNetwork(folder, device=self._torch_device(), run_budget=self.run_budget)

    def _clap(self, folder: Path) -> ClapNetwork:
        return ClapNetwork(folder, device=self._torch_device(), run_budget=self.run_budget)

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
