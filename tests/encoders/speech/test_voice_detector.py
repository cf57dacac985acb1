from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

import faster_whisper
import numpy as np
import pytest

from encoders.errors import DependencyMissing
from encoders.speech import voice_detector
from encoders.speech.voice_detector import (
    NETWORK_FILE,
    NETWORK_SHA256,
    VoiceDetector,
    open_network,
)
from tests.encoders.speech.voices import vowels
from tests.generated_media import noise


def test_the_network_is_the_one_that_was_measured() -> None:
    content = (Path(faster_whisper.__file__).parent / NETWORK_FILE).read_bytes()
    assert hashlib.sha256(content).hexdigest() == NETWORK_SHA256


def test_a_voice_is_heard_and_noise_is_not() -> None:
    network = open_network()
    assert np.mean(VoiceDetector(network).feed(vowels(seconds=3)) > 0.5) > 0.8
    assert VoiceDetector(network).feed(noise(seconds=3) * 0.1).max() < 0.5
    assert VoiceDetector(network).feed(np.zeros(48_000, dtype=np.float32)).max() < 0.1


@pytest.mark.parametrize("step", [100, 512, 5000])
def test_probabilities_do_not_depend_on_how_the_sound_is_handed_over(step: int) -> None:
    network = open_network()
    samples = np.concatenate([noise(seconds=0.5) * 0.1, vowels(seconds=1.5)])
    whole = VoiceDetector(network)
    expected = np.concatenate([whole.feed(samples), whole.finish()])
    cut = VoiceDetector(network)
    parts = [cut.feed(samples[start : start + step]) for start in range(0, len(samples), step)]
    np.testing.assert_allclose(np.concatenate([*parts, cut.finish()]), expected, atol=1e-5)
    assert len(expected) == -(-len(samples) // 512)


def test_the_sound_is_left_as_it_was() -> None:
    samples = vowels(seconds=0.5)
    before = samples.copy()
    VoiceDetector(open_network()).feed(samples)
    np.testing.assert_array_equal(samples, before)


def test_nothing_at_all_has_no_frames() -> None:
    detector = VoiceDetector(open_network())
    assert len(detector.feed(np.zeros(0, dtype=np.float32))) == 0
    assert len(detector.finish()) == 0


def test_a_missing_network_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voice_detector, "find_spec", lambda name: None)
    with pytest.raises(DependencyMissing, match="faster-whisper"):
        open_network()
    monkeypatch.setattr(voice_detector, "find_spec", lambda name: find_spec("json"))
    with pytest.raises(DependencyMissing, match=r"silero_vad_v6\.onnx"):
        open_network()
