from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from encoders.classifiers.sound_classifier import (
    FEATURE_DIM,
    NUM_CLASSES,
    SoundClassifier,
)
from encoders.errors import ModelCorrupt
from encoders.media.content import Sound
from encoders.models.folder import ModelFolder

pytestmark = pytest.mark.weights

ATOL = 1e-4  # float32, patches in batches of different size


def sound(samples: np.ndarray, sample_rate_hz: int = 16000) -> Sound:
    return Sound(samples.astype(np.float32), sample_rate_hz)


def noise(num_samples: int, seed: int = 0) -> Sound:
    return sound(np.random.default_rng(seed).normal(0, 0.1, num_samples))


def tone(seconds: float) -> Sound:
    return sound(0.5 * np.sin(2 * np.pi * 440 * np.arange(int(16000 * seconds)) / 16000))


SOUNDS = [
    sound(np.zeros(1)),
    sound(np.zeros(40000)),
    noise(160000),
    tone(0.3),
    tone(3.0),
    sound(np.ones(20000)),
]


@pytest.fixture(scope="module")
def classifier(models: ModelFolder) -> SoundClassifier:
    return SoundClassifier(models.path("yamnet"))


def test_outputs_have_a_row_per_sound(classifier: SoundClassifier) -> None:
    outputs = classifier.outputs(SOUNDS)
    assert outputs.logits.shape == (len(SOUNDS), NUM_CLASSES)
    assert outputs.features.shape == (len(SOUNDS), FEATURE_DIM)
    assert outputs.logits.dtype == outputs.features.dtype == np.float32
    assert np.isfinite(outputs.logits).all()
    assert np.isfinite(outputs.features).all()


def test_empty_batch_gives_no_rows(classifier: SoundClassifier) -> None:
    outputs = classifier.outputs([])
    assert outputs.logits.shape == (0, NUM_CLASSES)
    assert outputs.features.shape == (0, FEATURE_DIM)


def test_batch_gives_the_same_rows_as_single(classifier: SoundClassifier) -> None:
    together = classifier.outputs(SOUNDS)
    for row, each in enumerate(SOUNDS):
        alone = classifier.outputs([each])
        np.testing.assert_allclose(together.features[row], alone.features[0], atol=ATOL)
        np.testing.assert_allclose(together.logits[row], alone.logits[0], atol=10 * ATOL)


def test_asking_twice_for_a_batch_runs_the_network_once(classifier: SoundClassifier) -> None:
    first = classifier.outputs(SOUNDS)
    assert classifier.outputs(list(SOUNDS)) is first
    assert classifier.outputs(SOUNDS[:1]) is not first


def test_white_noise_is_heard_as_noise(classifier: SoundClassifier) -> None:
    best = np.argsort(-classifier.outputs([noise(80000)]).logits[0])[:5]
    assert {classifier.class_names[index] for index in best} & {"White noise", "Static", "Noise"}


def test_pure_tone_is_heard_as_a_tone(classifier: SoundClassifier) -> None:
    best = np.argsort(-classifier.outputs([tone(3.0)]).logits[0])[:5]
    assert {classifier.class_names[index] for index in best} & {
        "Sine wave",
        "Beep, bleep",
        "Tuning fork",
        "Dial tone",
        "Busy signal",
    }


def test_silence_is_heard_as_silence(classifier: SoundClassifier) -> None:
    logits = classifier.outputs([sound(np.zeros(80000))]).logits[0]
    assert classifier.class_names[int(logits.argmax())] == "Silence"


def test_a_patch_is_a_sound_of_its_own(classifier: SoundClassifier) -> None:
    patches = classifier.patch_outputs(tone(0.9))
    assert patches.logits.shape == (1, NUM_CLASSES)
    whole = classifier.outputs([tone(0.9)])
    np.testing.assert_allclose(whole.logits, patches.logits, atol=10 * ATOL)
    np.testing.assert_allclose(whole.features, patches.features, atol=ATOL)


def test_pooling_lies_between_the_quietest_and_the_loudest_patch(
    classifier: SoundClassifier,
) -> None:
    mixed = sound(np.concatenate([np.zeros(40000), noise(40000).samples]))
    patches = classifier.patch_outputs(mixed).logits
    mean = classifier.outputs([mixed]).logits[0]
    assert (mean >= patches.min(axis=0) - ATOL).all()
    assert (mean <= patches.max(axis=0) + ATOL).all()


def test_mean_probability_is_exact_at_both_ends_of_the_scale(classifier: SoundClassifier) -> None:
    mixed = sound(np.concatenate([np.zeros(40000), noise(40000).samples]))
    patches = classifier.patch_outputs(mixed).logits.astype(np.float64)
    mean = (1 / (1 + np.exp(-patches))).mean(axis=0)
    expected = np.log(mean / (1 - mean))
    np.testing.assert_allclose(classifier.outputs([mixed]).logits[0], expected, atol=1e-3)


def test_sound_of_another_rate_is_refused(classifier: SoundClassifier) -> None:
    with pytest.raises(ValueError, match="44100 Hz, YAMNet takes 16000 Hz"):
        classifier.outputs([sound(np.zeros(100), 44100)])


def test_samples_that_are_no_numbers_are_refused(classifier: SoundClassifier) -> None:
    with pytest.raises(ValueError, match="not finite"):
        classifier.outputs([sound(np.array([0.0, np.nan, 0.0]))])


def test_classes_are_those_of_audioset(classifier: SoundClassifier) -> None:
    assert len(classifier.class_names) == NUM_CLASSES
    assert classifier.class_names[0] == "Speech"
    assert classifier.class_texts[1] == ("Child speech, kid speaking",)


def test_other_network_is_refused(models: ModelFolder, tmp_path: Path) -> None:
    import onnx

    folder = tmp_path / "yamnet"
    shutil.copytree(models.path("yamnet"), folder)
    network = onnx.load(folder / "model.onnx", load_external_data=False)
    del network.graph.node[-8:]
    onnx.save(network, folder / "model.onnx")
    with pytest.raises(ModelCorrupt, match="not the YAMNet"):
        SoundClassifier(folder)


def test_incomplete_list_of_classes_is_refused(models: ModelFolder, tmp_path: Path) -> None:
    folder = tmp_path / "yamnet"
    shutil.copytree(models.path("yamnet"), folder)
    lines = (folder / "class_map.csv").read_text().splitlines()
    (folder / "class_map.csv").write_text("\n".join(lines[:100]))
    with pytest.raises(ModelCorrupt, match="521 classes, got 99"):
        SoundClassifier(folder)


def test_the_runtime_reports_to_nobody(models: ModelFolder) -> None:
    """The setting has to stand before the runtime is imported: look from a fresh process."""
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from encoders.classifiers.sound_classifier import SoundClassifier\n"
        "assert 'onnxruntime' not in sys.modules\n"
        "class Watch:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'onnxruntime':\n"
        "            print(os.environ.get('ORT_DISABLE_TELEMETRY'))\n"
        "sys.meta_path.insert(0, Watch())\n"
        "SoundClassifier(Path(sys.argv[1]))\n"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code, str(models.path("yamnet"))],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert printed == ["1"]
