"""Sounds and texts in one space: LAION's CLAP through transformers' ClapModel.

Wu et al., "Large-Scale Contrastive Language-Audio Pretraining with Feature Fusion and
Keyword-to-Caption Augmentation" (2023). The library crops a sound longer than ten seconds at a
random place, so that its vector never repeats; here a long sound is cut into windows, always the
same, and no window is longer than the network hears at once.

A network with feature fusion was trained to look at a long sound both whole and in crops. Sounds of
at most ten seconds have no crops, and LAION's own package then fuses nothing. transformers'
extractor instead marks one sound of such a batch, chosen at random, as long; its vector depends on
the draw and its neighbours' do not. Here nothing is fused, ever: what LAION's package does, and
what the library does with every sound that was not drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from encoders.clap.network import load_clap_network
from encoders.clap.settings import (
    CONFIG_NAME,
    ClapFacts,
    SpectrogramSettings,
    clap_facts,
    spectrogram_settings,
)
from encoders.clap.spectrogram import ClapSpectrogram, window_starts
from encoders.clap.tokenizer import ClapTokenizer
from encoders.errors import ModelCorrupt
from encoders.media.content import Sound
from encoders.run_size import RunBudget, RunSize
from encoders.space import Vectors, unit_rows
from encoders.torch_imports import install

if TYPE_CHECKING:
    from torch import Tensor, dtype
    from transformers import ClapModel

__all__ = [
    "ClapFacts",
    "ClapNetwork",
    "Precision",
    "clap_facts",
    "clap_parameters",
]

Precision: TypeAlias = Literal["auto", "float32", "float16", "bfloat16"]
"""Of the forward pass; ``auto`` is float32 on a processor and float16 on a GPU. Spectrograms are
always taken in full precision.
"""

PREPROCESSING_VERSION = 1
"""Raised with any change here that moves vectors, so that stored ones are not mixed with new."""

WINDOWS_PER_RUN_ON_CPU = 4
WINDOWS_PER_RUN_ON_CUDA = 32
TEXTS_PER_RUN = 32

MADE_TEXT = "a dog barks while rain falls on a tin roof"
"""A caption as long as most, for choosing run sizes."""


class ClapNetwork:
    """Both towers of a CLAP model, loaded from a folder in transformers' layout.

    The folder holds ``config.json``, ``model.safetensors``, ``preprocessor_config.json`` and the
    tokenizer's files; `encoders.clap.conversion` makes one from a LAION checkpoint. Encoding is
    safe from several threads.

    Args:
        folder: the model's directory.
        device: ``cpu`` or ``cuda:N``.
        precision: of the forward pass.
        run_budget: what choosing run sizes may use; ``None``: they are those measured for
            HTSAT-tiny.

    Raises:
        ModelCorrupt: files are missing or do not fit together; the message names them.
    """

    def __init__(
        self,
        folder: Path,
        *,
        device: str = "cpu",
        precision: Precision = "auto",
        run_budget: RunBudget | None = None,
    ) -> None:
        facts = clap_facts(folder)
        self.dim = facts.dim
        self.sample_rate_hz = facts.sample_rate_hz
        self.max_seconds = facts.max_seconds
        settings = spectrogram_settings(folder)
        self._window_samples = settings.window_samples
        self._device = device
        self._dtype = _dtype(precision, device)
        # Typed loosely, because transformers annotates `to` and configurations for itself alone.
        network: Any = load_clap_network(folder)
        _check_settings(network, settings, folder)
        self._tokenizer = ClapTokenizer(folder, network.config.text_config)
        self._network: ClapModel = network.to(device=device, dtype=self._dtype)
        self._spectrogram = ClapSpectrogram(settings, device)
        self._window_runs = RunSize(
            "CLAP's audio tower",
            WINDOWS_PER_RUN_ON_CPU if device == "cpu" else WINDOWS_PER_RUN_ON_CUDA,
            self._run_made_windows,
            device=device,
            budget=run_budget,
        )
        self._text_runs = RunSize(
            "CLAP's text tower",
            TEXTS_PER_RUN,
            self._run_made_texts,
            device=device,
            budget=run_budget,
        )

    def encode_sounds(self, sounds: Sequence[Sound]) -> Vectors:
        """Return one unit row per sound.

        A sound longer than ``max_seconds`` is cut into consecutive windows of that length, the last
        aligned to its end, and has the mean of their unit vectors.

        Args:
            sounds: at ``sample_rate_hz``, of any length; may be empty. A short one is filled up
                the way the model was trained; one without samples is silence.

        Returns:
            ``(len(sounds), dim)`` float32, independent of how sounds are batched.

        Raises:
            ValueError: a sound has another sample rate, or holds samples that are not numbers.
        """
        for sound in sounds:
            self._check_sound(sound)
        starts = [window_starts(len(sound.samples), self._window_samples) for sound in sounds]
        windows = [
            sound.samples[start : start + self._window_samples]
            for sound, first in zip(sounds, starts, strict=True)
            for start in first
        ]
        vectors = self._encode_windows(windows)
        means = np.empty((len(sounds), self.dim), dtype=np.float32)
        done = 0
        for row, first in enumerate(starts):
            means[row] = vectors[done : done + len(first)].mean(axis=0)
            done += len(first)
        return unit_rows(means)

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """Return one unit row per text.

        Args:
            texts: may be empty, and so may each text. Words beyond the limit of tokenizer and
                network (77 tokens in LAION's own package) have no influence.

        Returns:
            ``(len(texts), dim)`` float32, independent of how texts are batched.
        """
        vectors = np.empty((len(texts), self.dim), dtype=np.float32)
        tokens = self._tokenizer.tokens(texts)
        # Texts of about one length together: a run holds little padding.
        order = np.argsort([len(each) for each in tokens], kind="stable")
        per_run = self._text_runs.of(len(texts))
        for start in range(0, len(order), per_run):
            rows = order[start : start + per_run]
            vectors[rows] = self._encode_tokens([tokens[row] for row in rows])
        return unit_rows(vectors)

    def _check_sound(self, sound: Sound) -> None:
        if sound.sample_rate_hz != self.sample_rate_hz:
            raise ValueError(
                f"sound is at {sound.sample_rate_hz} Hz, this CLAP takes {self.sample_rate_hz} Hz"
            )
        if not np.isfinite(sound.samples).all():
            raise ValueError(f"{sound} holds samples that are not finite numbers")

    def _encode_windows(self, windows: Sequence[NDArray[np.float32]]) -> Vectors:
        per_run = self._window_runs.of(len(windows))
        vectors = np.empty((len(windows), self.dim), dtype=np.float32)
        for start in range(0, len(windows), per_run):
            part = windows[start : start + per_run]
            vectors[start : start + len(part)] = self._run_windows(part)
        return unit_rows(vectors)

    def _run_windows(self, windows: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        import torch

        with torch.inference_mode():
            # One channel is enough: the other three of a network with fusion are only looked at in
            # sounds that are marked as longer.
            outputs = self._network.get_audio_features(
                input_features=self._spectrogram(windows).to(self._dtype),
                is_longer=torch.zeros((len(windows), 1), dtype=torch.bool, device=self._device),
            )
            return _rows(outputs.pooler_output)

    def _run_made_windows(self, count: int) -> None:
        self._run_windows([np.zeros(self._window_samples, dtype=np.float32)] * count)

    def _run_made_texts(self, count: int) -> None:
        self._encode_tokens(self._tokenizer.tokens([MADE_TEXT] * count))

    def _encode_tokens(self, tokens: list[list[int]]) -> NDArray[np.float32]:
        import torch

        longest = max(map(len, tokens))
        padding = self._tokenizer.padding_token
        ids = torch.full((len(tokens), longest), padding, dtype=torch.long)
        mask = torch.zeros((len(tokens), longest), dtype=torch.long)
        for row, each in enumerate(tokens):
            ids[row, : len(each)] = torch.tensor(each)
            mask[row, : len(each)] = 1
        with torch.inference_mode():
            outputs = self._network.get_text_features(
                input_ids=ids.to(self._device), attention_mask=mask.to(self._device)
            )
            return _rows(outputs.pooler_output)


def clap_parameters() -> dict[str, object]:
    """Return the JSON-ready parameters that vectors depend on besides the folder's files."""
    return {"version": PREPROCESSING_VERSION, "long_sounds": "windows", "fusion": "never"}


def _check_settings(network: Any, settings: SpectrogramSettings, folder: Path) -> None:
    audio = network.config.audio_config
    truncation = "fusion" if audio.enable_fusion else "rand_trunc"
    if settings.truncation != truncation:
        raise ModelCorrupt(
            f"{folder / CONFIG_NAME} asks for a network "
            f"{'with' if audio.enable_fusion else 'without'} feature fusion, which takes "
            f"truncation {truncation!r}; the preprocessor's settings say {settings.truncation!r}",
            file=str(folder / CONFIG_NAME),
            field="truncation",
            expected=truncation,
            got=settings.truncation,
        )
    if settings.feature_size != audio.num_mel_bins:
        raise ModelCorrupt(
            f"{folder / CONFIG_NAME} asks for {audio.num_mel_bins} mel bands, "
            f"the preprocessor's settings give {settings.feature_size}",
            file=str(folder / CONFIG_NAME),
            field="feature_size",
            expected=audio.num_mel_bins,
            got=settings.feature_size,
        )


def _dtype(precision: Precision, device: str) -> dtype:
    install()
    import torch

    if precision == "auto":
        precision = "float32" if device == "cpu" else "float16"
    return {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}[
        precision
    ]


def _rows(tensor: Tensor) -> NDArray[np.float32]:
    return tensor.float().cpu().numpy()
