from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from encoders.classifiers.image_classifier import (
    FEATURE_DIM,
    NUM_CLASSES,
    ImageClassifier,
    normalized,
    square_pixels,
)
from encoders.errors import ModelCorrupt
from encoders.media.content import Picture
from encoders.models.folder import ModelFolder

ATOL = 1e-4  # float32 through a hundred layers, in batches of different size


def noise(height: int, width: int, seed: int = 0) -> Picture:
    rng = np.random.default_rng(seed)
    return Picture(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def plain(height: int, width: int, colour: tuple[int, int, int]) -> Picture:
    return Picture(np.full((height, width, 3), colour, dtype=np.uint8))


PICTURES = [
    plain(1, 1, (0, 0, 0)),
    noise(37, 300, seed=1),
    noise(300, 37, seed=2),
    plain(260, 260, (255, 255, 255)),
    plain(2, 9000, (200, 30, 30)),
    noise(512, 512, seed=3),
]


@pytest.mark.parametrize("shape", [(1, 1), (1, 20000), (20000, 1), (13, 7), (600, 400)])
def test_any_shape_becomes_a_square(shape: tuple[int, int]) -> None:
    square = square_pixels(plain(*shape, (10, 120, 240)), 64)
    assert square.shape == (64, 64, 3)
    assert square.dtype == np.uint8
    assert (square == (10, 120, 240)).all(axis=2).any()


def test_all_of_a_picture_is_shown_on_white() -> None:
    square = square_pixels(plain(20, 40, (0, 0, 0)), 40)
    assert (square[10:30] == 0).all()
    assert (square[:10] == 255).all()
    assert (square[30:] == 255).all()


def test_pixels_are_normalised_as_in_training() -> None:
    values = normalized(np.array([0, 127, 255], dtype=np.uint8))
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, [-127 / 128, 0, 1])


@pytest.fixture(scope="module")
def classifier(models: ModelFolder) -> ImageClassifier:
    return ImageClassifier(models.path("efficientnet_lite2"))


@pytest.mark.weights
class TestNetwork:
    def test_outputs_have_a_row_per_picture(self, classifier: ImageClassifier) -> None:
        outputs = classifier.outputs(PICTURES)
        assert outputs.logits.shape == (len(PICTURES), NUM_CLASSES)
        assert outputs.features.shape == (len(PICTURES), FEATURE_DIM)
        assert outputs.logits.dtype == outputs.features.dtype == np.float32
        assert np.isfinite(outputs.logits).all()
        assert np.isfinite(outputs.features).all()

    def test_empty_batch_gives_no_rows(self, classifier: ImageClassifier) -> None:
        outputs = classifier.outputs([])
        assert outputs.logits.shape == (0, NUM_CLASSES)
        assert outputs.features.shape == (0, FEATURE_DIM)

    def test_batch_gives_the_same_rows_as_single(self, classifier: ImageClassifier) -> None:
        together = classifier.outputs(PICTURES * 3)
        for row, picture in enumerate(PICTURES * 3):
            alone = classifier.outputs([picture])
            np.testing.assert_allclose(together.features[row], alone.features[0], atol=ATOL)
            np.testing.assert_allclose(together.logits[row], alone.logits[0], atol=10 * ATOL)

    def test_asking_twice_for_a_batch_runs_the_network_once(
        self, classifier: ImageClassifier
    ) -> None:
        first = classifier.outputs(PICTURES)
        assert classifier.outputs(list(PICTURES)) is first
        assert classifier.outputs(PICTURES[:2]) is not first

    def test_equal_memory_is_no_proof_of_the_same_picture(
        self, classifier: ImageClassifier
    ) -> None:
        before = classifier.outputs([plain(8, 8, (0, 0, 0))]).logits
        after = classifier.outputs([plain(8, 8, (255, 255, 255))]).logits
        assert not np.allclose(before, after)

    def test_each_class_has_names_and_a_definition(self, classifier: ImageClassifier) -> None:
        assert len(classifier.class_texts) == len(classifier.class_names) == NUM_CLASSES
        assert all(len(texts) >= 2 and all(texts) for texts in classifier.class_texts)
        assert classifier.class_names[0] == "tench"
        assert "tabby cat" in classifier.class_texts[281]

    def test_simple_shapes_look_like_what_they_are(self, classifier: ImageClassifier) -> None:
        # Black and white bars cross a square; any ImageNet network calls that a grid of some kind.
        pixels = np.full((256, 256, 3), 255, dtype=np.uint8)
        for start in range(0, 256, 32):
            pixels[start : start + 6] = 0
            pixels[:, start : start + 6] = 0
        best = np.argsort(-classifier.outputs([Picture(pixels)]).logits[0])[:10]
        names = {classifier.class_names[index] for index in best}
        assert names & {
            "window screen",
            "crossword puzzle",
            "shoji",
            "window shade",
            "chainlink fence",
        }

    def test_file_of_other_tensors_is_refused(self, tmp_path: Path) -> None:
        import torch

        torch.save({"layer.weight": torch.zeros(3, 3)}, tmp_path / "model.pth")
        with pytest.raises(ModelCorrupt, match="expected 386 tensors") as caught:
            ImageClassifier(tmp_path)
        assert caught.value.detail["got"] == 1

    def test_file_that_holds_no_tensors_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "model.pth").write_bytes(b"\x00" * 100)
        with pytest.raises(ModelCorrupt, match="not a file of tensors"):
            ImageClassifier(tmp_path)
