from __future__ import annotations

import numpy as np
import pytest

from encoders.classifiers.mel_spectrogram import (
    BANDS,
    PATCH_FRAMES,
    PATCH_SAMPLES,
    log_mel,
    log_mel_patches,
    patch_starts,
)


def tone(frequency_hz: float, num_samples: int = PATCH_SAMPLES) -> np.ndarray:
    times = np.arange(num_samples) / 16000
    return np.sin(2 * np.pi * frequency_hz * times).astype(np.float32)


@pytest.mark.parametrize(
    ("num_frames", "starts"),
    [(96, [0]), (97, [0, 1]), (144, [0, 48]), (192, [0, 96]), (200, [0, 96, 104])],
)
def test_patches_cover_every_frame(num_frames: int, starts: list[int]) -> None:
    assert patch_starts(num_frames) == starts


@pytest.mark.parametrize(
    ("num_samples", "num_patches"),
    [(0, 1), (1, 1), (PATCH_SAMPLES, 1), (PATCH_SAMPLES + 160, 2), (160000, 11)],
)
def test_sounds_of_any_length_become_patches(num_samples: int, num_patches: int) -> None:
    patches = log_mel_patches(np.zeros(num_samples, dtype=np.float32))
    assert patches.shape == (num_patches, 1, PATCH_FRAMES, BANDS)
    assert patches.dtype == np.float32


def test_silence_is_the_logarithm_of_the_offset() -> None:
    np.testing.assert_allclose(log_mel(np.zeros(800, np.float32)), np.log(0.001), rtol=1e-6)


@pytest.mark.parametrize("frequency_hz", [250.0, 1000.0, 4000.0])
def test_tone_is_loudest_in_the_band_of_its_frequency(frequency_hz: float) -> None:
    mel = 1127 * np.log1p(np.array([125.0, 7500.0, frequency_hz]) / 700)
    band = (mel[2] - mel[0]) / (mel[1] - mel[0]) * (BANDS + 1) - 1
    loudest = log_mel(tone(frequency_hz)).mean(axis=0).argmax()
    assert abs(loudest - band) <= 1


def test_long_sounds_are_the_same_in_blocks() -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 5000 * 160).astype(np.float32)
    np.testing.assert_allclose(
        log_mel(samples)[4200:4300], log_mel(samples[4200 * 160 : 4302 * 160])[:100], atol=1e-5
    )
