"""CLAP's view of sound: windows of at most ten seconds as logarithmic mel spectrograms.

The numbers are those of transformers' ClapFeatureExtractor, which takes the spectra of one frame
after the other; here all frames of all windows are transformed at once, on the network's device.
Spectra are taken in double precision, as there: in single precision the rounding of a loud tone
lies above the floor of -100 dB in the bands that hold nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from encoders.clap.settings import Padding, SpectrogramSettings

if TYPE_CHECKING:
    from torch import Tensor

_POWER_FLOOR = 1e-10


class ClapSpectrogram:
    """Makes the network's input from samples.

    Args:
        settings: as the model's folder gives them.
        device: where the spectra are taken.
    """

    def __init__(self, settings: SpectrogramSettings, device: str) -> None:
        import torch

        self._settings = settings
        self._bands = torch.from_numpy(mel_bands(settings)).to(device)
        self._hann = torch.hann_window(
            settings.fft_window_size, periodic=True, dtype=torch.float64, device=device
        )

    def __call__(self, windows: Sequence[NDArray[np.float32]]) -> Tensor:
        """Return the spectrograms of windows.

        Args:
            windows: one or more, each ``(num_samples,)``, of any length up to a whole window.

        Returns:
            ``(len(windows), 1, num_frames, bands)`` float32 in dB on the device.
        """
        import torch

        whole = self._settings.window_samples
        filled = np.stack([fill(each, whole, self._settings.padding) for each in windows])
        spectra = torch.stft(
            torch.from_numpy(filled).to(self._hann.device).double(),
            n_fft=self._settings.fft_window_size,
            hop_length=self._settings.hop_length,
            window=self._hann,
            center=True,
            pad_mode="reflect",
            return_complex=True,
        )
        power = (spectra.real.square() + spectra.imag.square()).float()
        mel = power.transpose(1, 2) @ self._bands
        return (10 * torch.log10(mel.clamp(min=_POWER_FLOOR))).unsqueeze(1)


def mel_bands(settings: SpectrogramSettings) -> NDArray[np.float32]:
    """Return the ``(spectrum_lines, feature_size)`` weights of each spectrum line in each band."""
    from transformers.audio_utils import mel_filter_bank

    slaney = settings.truncation == "rand_trunc"
    bands = mel_filter_bank(
        num_frequency_bins=settings.fft_window_size // 2 + 1,
        num_mel_filters=settings.feature_size,
        min_frequency=settings.frequency_min,
        max_frequency=settings.frequency_max,
        sampling_rate=settings.sampling_rate,
        norm="slaney" if slaney else None,
        mel_scale="slaney" if slaney else "htk",
    )
    return bands.astype(np.float32)


def window_starts(num_samples: int, window_samples: int) -> list[int]:
    """Return where each window of a sound begins: end to end, the last aligned to the sound's end.

    ::

        sound    0 s ......... 10 s ......... 20 s ... 25 s
        windows  [------------)[-------------)
                                      [--------------)

    A sound no longer than a window is one window.
    """
    last = max(0, num_samples - window_samples)
    starts = list(range(0, last + 1, window_samples))
    if starts[-1] != last:
        starts.append(last)
    return starts


def fill(
    samples: NDArray[np.float32], window_samples: int, padding: Padding
) -> NDArray[np.float32]:
    """Return ``(window_samples,)``: a sound of at most that length, filled up as the model wants.

    No samples at all are silence.
    """
    copies = 1
    if padding != "pad" and 0 < len(samples) < window_samples:
        copies = window_samples // len(samples) + (padding == "repeat")
    filled = np.tile(samples, copies)[:window_samples]
    return np.pad(filled, (0, window_samples - len(filled)))
