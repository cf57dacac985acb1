"""Faults planted in the starter's real models are refused by name; the models themselves pass."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from encoders.admission.examination import examine
from encoders.admission.report import AdmissionRefused, AdmissionReport, require
from encoders.classifiers.concept_encoder import ConceptEncoder
from encoders.classifiers.feature_encoder import FeatureEncoder
from encoders.classifiers.image_classifier import ImageClassifier
from encoders.classifiers.outputs import ClassifierOutputs
from encoders.classifiers.sound_classifier import NUM_CLASSES, SoundClassifier
from encoders.config import ConceptsConfig, EncoderConfig, FeaturesConfig, SentenceConfig
from encoders.encoder import Encoder
from encoders.loading import EncoderLoader
from encoders.media.content import Sound
from encoders.models.folder import ModelFolder
from encoders.sentences.encoder import SentenceEncoder, SentenceModel
from encoders.space import Vectors

pytestmark = pytest.mark.weights

STARTER: tuple[EncoderConfig, ...] = (
    SentenceConfig(),
    ConceptsConfig("efficientnet_lite2"),
    FeaturesConfig("efficientnet_lite2"),
    ConceptsConfig("yamnet"),
    FeaturesConfig("yamnet"),
)


@pytest.fixture(scope="module")
def texts(loader: EncoderLoader) -> Encoder[str]:
    return loader.open(SentenceConfig())


@pytest.fixture(scope="module")
def sounds(loader: EncoderLoader) -> Encoder[Sound]:
    return loader.open(ConceptsConfig("yamnet"))


@pytest.fixture(scope="module")
def own_texts(models: ModelFolder) -> SentenceModel:
    """A model that no other test sees."""
    return SentenceModel(models.path("minilm"), dim=384)


@pytest.fixture(scope="module")
def classifier(models: ModelFolder) -> SoundClassifier:
    return SoundClassifier(models.path("yamnet"))


def examined(encoder: Encoder[Any], texts: Encoder[str]) -> AdmissionReport:
    shared = encoder.identity.space_id == texts.identity.space_id
    return examine(encoder, text_encoder=texts if shared else None, trained=True)


def refused_for(encoder: Encoder[Any], texts: Encoder[str]) -> str:
    with pytest.raises(AdmissionRefused) as caught:
        require(examined(encoder, texts))
    return str(caught.value.detail["property"])


@pytest.mark.parametrize("config", STARTER, ids=str)
def test_starter_encoders_pass(
    loader: EncoderLoader, texts: Encoder[str], config: EncoderConfig
) -> None:
    report = examined(loader.open(config), texts)
    assert report.failures == ()
    passed = [each.name for each in report.properties if each.outcome == "passed"]
    assert ("shift_stable" in passed) == (report.medium != "text")
    assert ("pairs_ranked" in passed) == isinstance(config, ConceptsConfig)


def zero_the_projection(layer: Any) -> None:
    layer.weight.data.zero_()


def zero_the_projection_and_its_bias(layer: Any) -> None:
    layer.weight.data.zero_()
    layer.bias.data.zero_()


def collapse(layer: Any) -> None:
    """What is left of the texts beside the bias brings them to a cosine of 0.999."""
    layer.weight.data.mul_(0.003)


def spoil_one_weight(layer: Any) -> None:
    layer.weight.data[7] = float("nan")


@pytest.mark.parametrize(
    ("plant", "fault"),
    [
        (zero_the_projection, "texts_distinct"),
        (zero_the_projection_and_its_bias, "texts_distinct"),
        (collapse, "texts_distinct"),
        (spoil_one_weight, "finite"),
    ],
)
def test_fault_in_the_text_tower_is_refused(
    own_texts: SentenceModel, texts: Encoder[str], plant: Callable[[Any], None], fault: str
) -> None:
    transformer: Any = own_texts._model[0]
    layer = transformer.auto_model.encoder.layer[-1].output.LayerNorm
    good = copy.deepcopy(layer.state_dict())
    plant(layer)
    encoder = SentenceEncoder(own_texts, texts.identity)
    if plant is collapse:
        first, second = encoder.encode(["jazz standard", "heavy metal"])
        assert first @ second == pytest.approx(0.999, abs=1e-3)
    try:
        assert refused_for(encoder, texts) == fault
    finally:
        layer.load_state_dict(good)


def test_picture_network_with_a_weight_that_is_no_number_is_refused(
    models: ModelFolder, texts: Encoder[str], loader: EncoderLoader, tmp_path: Path
) -> None:
    import torch

    weights = torch.load(models.path("efficientnet_lite2") / "model.pth", weights_only=True)
    middle = [tensor for tensor in weights.values() if tensor.ndim == 4][30]
    middle[0, 0, 0, 0] = float("nan")
    torch.save(weights, tmp_path / "model.pth")
    identity = loader.identify(FeaturesConfig("efficientnet_lite2"))
    encoder = FeatureEncoder(ImageClassifier(tmp_path), identity)
    assert refused_for(encoder, texts) == "finite"


def test_sound_network_with_weights_that_are_no_numbers_is_refused(
    models: ModelFolder, texts: Encoder[str], loader: EncoderLoader, tmp_path: Path
) -> None:
    folder = tmp_path / "yamnet"
    shutil.copytree(models.path("yamnet"), folder)
    content = np.fromfile(folder / "model.data", dtype=np.float32)
    content[-2_000_000:] = np.nan
    content.tofile(folder / "model.data")
    identity = loader.identify(FeaturesConfig("yamnet"))
    encoder = FeatureEncoder(SoundClassifier(folder), identity)
    assert refused_for(encoder, texts) == "finite"


class RandomCrop:
    """Hears three seconds that begin anywhere, as audio models crop when nobody stops them."""

    def __init__(self, encoder: Encoder[Sound]) -> None:
        self.identity = encoder.identity
        self._encoder = encoder
        self._random = np.random.default_rng(0)

    def encode(self, batch: Sequence[Sound]) -> Vectors:
        return self._encoder.encode([self._crop(sound) for sound in batch])

    def _crop(self, sound: Sound) -> Sound:
        num_samples = 3 * sound.sample_rate_hz
        start = self._random.integers(max(1, len(sound.samples) - num_samples))
        return Sound(sound.samples[start : start + num_samples], sound.sample_rate_hz)


class LongCrop(RandomCrop):
    """Crops only what is longer than ten seconds."""

    def _crop(self, sound: Sound) -> Sound:
        num_samples = 10 * sound.sample_rate_hz
        start = self._random.integers(max(1, len(sound.samples) - num_samples))
        return Sound(sound.samples[start : start + num_samples], sound.sample_rate_hz)


@pytest.mark.parametrize("crop", [RandomCrop, LongCrop])
def test_random_crop_of_sound_is_refused(
    texts: Encoder[str], sounds: Encoder[Sound], crop: type[RandomCrop]
) -> None:
    assert refused_for(crop(sounds), texts) == "repeatable"


class RawFeatures:
    """YAMNet's features as they come out of the network."""

    def __init__(self, classifier: SoundClassifier, encoder: Encoder[Sound]) -> None:
        self.identity = encoder.identity
        self._classifier = classifier

    def encode(self, batch: Sequence[Sound]) -> Vectors:
        return self._classifier.outputs(batch).features


def test_output_that_is_not_normalised_is_refused(
    classifier: SoundClassifier, texts: Encoder[str], loader: EncoderLoader
) -> None:
    raw = RawFeatures(classifier, loader.open(FeaturesConfig("yamnet")))
    assert refused_for(raw, texts) == "unit_norm"


class ShuffledClasses:
    """YAMNet, with its classes in another order than their names."""

    def __init__(self, classifier: SoundClassifier) -> None:
        self.class_texts = classifier.class_texts
        self._classifier = classifier
        self._order = np.random.default_rng(0).permutation(NUM_CLASSES)

    def outputs(self, batch: Sequence[Sound]) -> ClassifierOutputs:
        outputs = self._classifier.outputs(batch)
        return ClassifierOutputs(outputs.logits[:, self._order], outputs.features)


def test_class_names_in_another_order_are_refused(
    models: ModelFolder,
    classifier: SoundClassifier,
    own_texts: SentenceModel,
    texts: Encoder[str],
    sounds: Encoder[Sound],
) -> None:
    shuffled = ConceptEncoder(
        ShuffledClasses(classifier),
        own_texts,
        sounds.identity,
        "yamnet",
        cache_folder=models.root / "class-vectors",
    )
    assert refused_for(shuffled, texts) == "pairs_ranked"
