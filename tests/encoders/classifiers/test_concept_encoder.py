from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from encoders.classifiers.concept_encoder import (
    ConceptEncoder,
    class_vectors,
    class_weights,
    concept_parameters,
)
from encoders.config import ConceptsConfig, SentenceConfig
from encoders.encoder import EncoderIdentity
from encoders.loading import EncoderLoader
from encoders.media.content import Picture, Sound
from encoders.space import Vectors

TEXTS = {
    "cat": [1.0, 0, 0, 0],
    "small feline": [0, 1.0, 0, 0],
    "Felis": [0, 0, 0, 1.0],
    "car": [0, 0, 1.0, 0],
}
CLASS_TEXTS = (("cat", "Felis", "small feline"), ("car",))
IDENTITY = EncoderIdentity("fake-concepts", "fake-space", 4, "image")


class FakeSentences:
    identity = EncoderIdentity("fake-sentences", "fake-space", 4, "text")

    def __init__(self) -> None:
        self.num_encoded = 0

    def encode(self, batch: Sequence[str]) -> Vectors:
        self.num_encoded += len(batch)
        return np.array([TEXTS[text] for text in batch], dtype=np.float32)


@dataclass
class FakeScores:
    logits: NDArray[np.float32]


class FakeClassifier:
    """Takes the logits themselves as content."""

    class_texts = CLASS_TEXTS

    def outputs(self, batch: Sequence[list[float]]) -> FakeScores:
        return FakeScores(np.array(batch, dtype=np.float32))


def fake_encoder(
    sentences: FakeSentences | None = None, cache_folder: Path | None = None
) -> ConceptEncoder[list[float]]:
    return ConceptEncoder(
        FakeClassifier(),
        sentences or FakeSentences(),
        IDENTITY,
        "efficientnet_lite2",
        cache_folder=cache_folder,
    )


def test_class_lies_between_its_name_and_its_definition() -> None:
    vectors = class_vectors(CLASS_TEXTS, FakeSentences(), centring=0.0)
    half = 2**-0.5
    assert vectors == pytest.approx(np.array([[half, half, 0, 0], [0, 0, 1, 0]]))


def test_centring_takes_away_part_of_what_classes_have_in_common() -> None:
    half = 2**-0.5
    common = np.array([half / 2, half / 2, 0.5, 0])
    plain = class_vectors(CLASS_TEXTS, FakeSentences(), centring=0.0)
    centred = class_vectors(CLASS_TEXTS, FakeSentences(), centring=0.5)
    assert centred == pytest.approx(plain - 0.5 * common)


def test_softmax_weights_by_hand() -> None:
    weights = class_weights(np.log(np.array([[1, 3, 6]], np.float32)), "softmax")
    assert weights == pytest.approx(np.array([[1 / 6, 3 / 6, 1]]))


def test_sigmoid_weights_by_hand() -> None:
    # Logits 0 and log 3 are probabilities 1/2 and 3/4.
    weights = class_weights(np.array([[0, np.log(3)]], np.float32), "sigmoid")
    assert weights == pytest.approx(np.array([[2 / 3, 1]]))


@pytest.mark.parametrize("probabilities", ["softmax", "sigmoid"])
def test_hopeless_scores_keep_their_direction(probabilities: str) -> None:
    weights = class_weights(np.array([[-300, -200, -900]], np.float32), probabilities)  # type: ignore[arg-type]
    assert weights == pytest.approx(np.array([[0, 1, 0]]))


def test_sure_content_lies_at_its_class() -> None:
    centred = class_vectors(CLASS_TEXTS, FakeSentences(), centring=0.5)
    sure = fake_encoder().encode([[50.0, 0.0]])
    assert sure[0] == pytest.approx(centred[0] / np.linalg.norm(centred[0]), abs=1e-6)


def test_rows_are_unit_float32_and_nothing_gives_nothing() -> None:
    encoder = fake_encoder()
    rows = encoder.encode([[1.0, 2.0], [0.0, 0.0], [-400.0, -500.0]])
    assert rows.dtype == np.float32
    assert np.linalg.norm(rows, axis=1) == pytest.approx(np.ones(3))
    assert encoder.encode([]).shape == (0, 4)


def test_batch_gives_the_same_vectors_as_single() -> None:
    encoder = fake_encoder()
    contents = [[1.0, 2.0], [0.3, -1.0], [4.0, 4.0]]
    single = np.concatenate([encoder.encode([each]) for each in contents])
    assert encoder.encode(contents) == pytest.approx(single, abs=1e-6)


def test_identity_is_the_one_given() -> None:
    assert fake_encoder().identity is IDENTITY


def test_kept_class_vectors_are_not_encoded_again(tmp_path: Path) -> None:
    first = fake_encoder(cache_folder=tmp_path).encode([[1.0, 2.0]])
    sentences = FakeSentences()
    second = fake_encoder(sentences, tmp_path).encode([[1.0, 2.0]])
    assert sentences.num_encoded == 0
    assert second.tolist() == first.tolist()
    assert [path.name for path in tmp_path.iterdir()] == ["fake-concepts.npz"]


@pytest.mark.parametrize("damage", ["truncated", "changed", "other_shape", "not_an_archive"])
def test_damaged_class_vectors_are_made_again(tmp_path: Path, damage: str) -> None:
    good = fake_encoder(cache_folder=tmp_path).encode([[1.0, 2.0]])
    path = tmp_path / "fake-concepts.npz"
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "changed":
        at = content.index(b"\n", content.index(b"NUMPY")) + 5
        content[at] ^= 0xFF
        path.write_bytes(content)
    elif damage == "other_shape":
        np.savez(path, vectors=np.zeros((3, 4), np.float32))
    else:
        path.write_text("hello")
    sentences = FakeSentences()
    assert fake_encoder(sentences, tmp_path).encode([[1.0, 2.0]]).tolist() == good.tolist()
    assert sentences.num_encoded == 4


def test_folder_that_cannot_be_written_to_costs_nothing_but_time(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    assert fake_encoder(cache_folder=blocked / "derived").encode([[1.0, 2.0]]).shape == (1, 4)


def test_parameters_differ_where_classifiers_were_trained_differently() -> None:
    assert concept_parameters("efficientnet_lite2")["probabilities"] == "softmax"
    assert concept_parameters("yamnet")["probabilities"] == "sigmoid"


def tone(pitch_hz: float) -> Sound:
    seconds = np.arange(16_000) / 16_000
    return Sound((0.4 * np.sin(2 * np.pi * pitch_hz * seconds)).astype(np.float32), 16_000)


def noise(seed: int = 1) -> Sound:
    samples = np.random.default_rng(seed).normal(0, 0.2, 32_000).astype(np.float32)
    return Sound(samples, 16_000)


def plain_picture(value: int, height: int = 60, width: int = 90) -> Picture:
    return Picture(np.full((height, width, 3), value, dtype=np.uint8))


@pytest.mark.weights
def test_real_pictures_and_sounds_enter_the_sentence_model_s_space(loader: EncoderLoader) -> None:
    sentences = loader.open(SentenceConfig())
    for classifier, content in (("efficientnet_lite2", plain_picture(9)), ("yamnet", noise())):
        encoder = loader.open(ConceptsConfig(classifier))  # type: ignore[arg-type]
        assert encoder.identity.space_id == sentences.identity.space_id
        rows = encoder.encode([content])
        assert rows.shape == (1, sentences.identity.dim)
        assert rows.dtype == np.float32
        assert np.linalg.norm(rows) == pytest.approx(1, abs=1e-5)


@pytest.mark.weights
def test_real_batch_gives_the_same_vectors_as_single(loader: EncoderLoader) -> None:
    pictures = [plain_picture(value, 1 + value, 200) for value in (0, 90, 255)]
    sounds = [tone(440), noise(), Sound(np.zeros(10, np.float32), 16_000)]
    for classifier, batch in (("efficientnet_lite2", pictures), ("yamnet", sounds)):
        encoder = loader.open(ConceptsConfig(classifier))  # type: ignore[arg-type]
        single = np.concatenate([encoder.encode([each]) for each in batch])
        # The networks' sums run in another order in a batch; unit rows, float32.
        assert np.abs(encoder.encode(batch) - single).max() <= 1e-4


@pytest.mark.weights
def test_real_white_noise_is_nearer_to_noise_than_to_speech(loader: EncoderLoader) -> None:
    heard = loader.open(ConceptsConfig("yamnet")).encode([noise()])
    texts = ["white noise", "a person is speaking", "a dog barks"]
    scores = (heard @ loader.open(SentenceConfig()).encode(texts).T)[0]
    assert int(np.argmax(scores)) == 0
