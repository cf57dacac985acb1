from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from encoders.classifiers.feature_encoder import FeatureEncoder
from encoders.config import FeaturesConfig
from encoders.encoder import EncoderIdentity
from encoders.loading import EncoderLoader
from encoders.media.content import Picture, Sound

ATOL = 1e-4  # float32 networks, in batches of different size


@dataclass
class FixedFeatures:
    features: NDArray[np.float32]


class FixedClassifier:
    """Gives the numbers of the batch itself as features."""

    def outputs(self, batch: Sequence[list[float]]) -> FixedFeatures:
        return FixedFeatures(np.array(batch, dtype=np.float32).reshape(len(batch), 2))


@pytest.fixture
def fixed() -> FeatureEncoder[list[float]]:
    return FeatureEncoder(FixedClassifier(), EncoderIdentity("fixed", "fixed", 2, "image"))


def test_features_become_unit_rows(fixed: FeatureEncoder[list[float]]) -> None:
    np.testing.assert_allclose(fixed.encode([[3, 4], [0, 2]]), [[0.6, 0.8], [0, 1]], atol=1e-6)


def test_content_without_features_matches_nothing(fixed: FeatureEncoder[list[float]]) -> None:
    assert (fixed.encode([[0, 0]]) == 0).all()


def picture(colour: int, seed: int) -> Picture:
    rng = np.random.default_rng(seed)
    texture = rng.integers(0, 40, (80, 80, 3))
    return Picture((texture + colour).astype(np.uint8))


def sound(frequency_hz: float, seconds: float) -> Sound:
    times = np.arange(int(16000 * seconds)) / 16000
    return Sound((0.3 * np.sin(2 * np.pi * frequency_hz * times)).astype(np.float32), 16000)


def silence() -> Sound:
    return Sound(np.zeros(8000, dtype=np.float32), 16000)


CONTENTS: dict[str, list[Any]] = {
    "efficientnet_lite2": [
        Picture(np.zeros((1, 1, 3), dtype=np.uint8)),
        picture(10, 0),
        picture(200, 1),
        picture(200, 2),
    ],
    "yamnet": [silence(), sound(300, 1.2), sound(2000, 4.0), sound(2000, 2.0)],
}


@pytest.mark.weights
@pytest.mark.parametrize("classifier", list(CONTENTS))
class TestRealFeatures:
    def test_vectors_are_float32_unit_rows(self, loader: EncoderLoader, classifier: Any) -> None:
        encoder = loader.open(FeaturesConfig(classifier))
        vectors = encoder.encode(CONTENTS[classifier])
        assert vectors.shape == (len(CONTENTS[classifier]), encoder.identity.dim)
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)

    def test_empty_batch_gives_no_rows(self, loader: EncoderLoader, classifier: Any) -> None:
        encoder = loader.open(FeaturesConfig(classifier))
        assert encoder.encode([]).shape == (0, encoder.identity.dim)

    def test_batch_gives_the_same_vectors_as_single(
        self, loader: EncoderLoader, classifier: Any
    ) -> None:
        encoder = loader.open(FeaturesConfig(classifier))
        together = encoder.encode(CONTENTS[classifier])
        for row, content in enumerate(CONTENTS[classifier]):
            np.testing.assert_allclose(together[row], encoder.encode([content])[0], atol=ATOL)

    def test_what_looks_or_sounds_alike_is_near(
        self, loader: EncoderLoader, classifier: Any
    ) -> None:
        _, other, one, twin = loader.open(FeaturesConfig(classifier)).encode(CONTENTS[classifier])
        assert one @ twin > one @ other
