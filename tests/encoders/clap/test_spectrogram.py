from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from encoders.clap.settings import Padding, SpectrogramSettings, Truncation
from encoders.clap.spectrogram import ClapSpectrogram, fill, window_starts
from tests.generated_media import noise, sine

ATOL_DB = 1e-3  # spectra in double precision on both sides, mel bands summed in single here


def settings(
    padding: Padding = "repeatpad", truncation: Truncation = "rand_trunc"
) -> SpectrogramSettings:
    return SpectrogramSettings(48000, 10, 64, 1024, 480, 50.0, 14000.0, padding, truncation)


def windows() -> list[NDArray[np.float32]]:
    return [
        noise(seconds=0.1, sample_rate_hz=48000),
        sine(440.0, seconds=3.3, sample_rate_hz=48000),
        np.zeros(48000, dtype=np.float32),
        noise(seconds=10.0, sample_rate_hz=48000),
        np.ones(1, dtype=np.float32),
    ]


@pytest.mark.parametrize("padding", get_args(Padding))
@pytest.mark.parametrize("truncation", get_args(Truncation))
def test_spectrograms_are_those_of_the_library(padding: Padding, truncation: Truncation) -> None:
    from transformers import ClapFeatureExtractor

    reference = ClapFeatureExtractor(frequency_min=50, padding=padding, truncation=truncation)
    expected = reference(windows(), sampling_rate=48000, return_tensors="np")["input_features"]
    got = ClapSpectrogram(settings(padding, truncation), "cpu")(windows()).numpy()
    assert got.dtype == np.float32
    assert got.shape == (5, 1, 1001, 64)
    for channel in range(expected.shape[1]):  # four times the same where features are fused
        np.testing.assert_allclose(got[:, 0], expected[:, channel], atol=ATOL_DB)


@pytest.mark.parametrize(
    ("num_samples", "starts"),
    [
        (0, [0]),
        (1, [0]),
        (10, [0]),
        (11, [0, 1]),
        (20, [0, 10]),
        (25, [0, 10, 15]),
        (30, [0, 10, 20]),
    ],
)
def test_windows_lie_end_to_end_and_the_last_ends_with_the_sound(
    num_samples: int, starts: list[int]
) -> None:
    assert window_starts(num_samples, 10) == starts


@pytest.mark.parametrize(
    ("padding", "filled"),
    [
        ("repeatpad", [1, 2, 3, 1, 2, 3, 0, 0]),
        ("repeat", [1, 2, 3, 1, 2, 3, 1, 2]),
        ("pad", [1, 2, 3, 0, 0, 0, 0, 0]),
    ],
)
def test_short_sound_is_filled_up_as_the_model_wants(padding: Padding, filled: list[int]) -> None:
    assert fill(np.array([1, 2, 3], dtype=np.float32), 8, padding).tolist() == filled


@pytest.mark.parametrize("padding", get_args(Padding))
def test_whole_window_stays_and_no_samples_are_silence(padding: Padding) -> None:
    whole = np.arange(8, dtype=np.float32)
    np.testing.assert_array_equal(fill(whole, 8, padding), whole)
    assert fill(np.zeros(0, dtype=np.float32), 4, padding).tolist() == [0, 0, 0, 0]
