"""Pictures and texts in one space: an open_clip model."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from encoders.clip.folder import CONFIG_NAME, open_clip_dim, read_config
from encoders.clip.library import load_tokenizer, load_towers
from encoders.clip.pixels import picture_transform
from encoders.clip.text import CleanTokens, text_tower
from encoders.errors import ModelCorrupt
from encoders.media.content import Picture
from encoders.run_size import RunBudget, RunSize
from encoders.space import Vectors, unit_rows

if TYPE_CHECKING:
    import torch

__all__ = [
    "OpenClipNetwork",
    "Precision",
    "open_clip_dim",
    "open_clip_parameters",
]

PREPROCESSING_VERSION = 1
"""Raised with any change here that moves vectors, so that stored ones are not mixed with new."""

Precision: TypeAlias = Literal["auto", "float32", "float16", "bfloat16"]

# Measured on one core with ViT-B-32: 3.9, 5.5, 6.8, 8.3, 8.1, 7.9 pictures per second in runs of
# 1, 2, 4, 8, 16, 32; captions 21, 28, 46, 55, 64 per second in runs of 1, 4, 8, 16, 32.
PICTURES_PER_RUN_ON_CPU = 8
TEXTS_PER_RUN_ON_CPU = 32
CONTENTS_PER_RUN_ON_CUDA = 64

MADE_TEXT = "a photo of a dog that runs along a beach at sunset"
"""A caption as long as most, for choosing run sizes."""


class OpenClipNetwork:
    """Both towers of an open_clip model, loaded from a folder and shared by its two encoders.

    Args:
        folder: the model's directory.
        device: ``cpu`` or ``cuda:N``.
        precision: of weights and arithmetic. ``auto`` is float32 on the processor, where it is
            fastest. On CUDA it is float16, whose 11-bit significand keeps unit vectors eight times
            finer than bfloat16's 8 bits; a text tower of transformers gets bfloat16, because mT5's
            activations leave the range of float16.
        run_budget: what choosing run sizes may use; ``None``: they are those measured for ViT-B-32.

    Raises:
        ModelMissing: a file is not in the folder.
        ModelCorrupt: configuration, weights and tokenizer do not fit together.
        DependencyMissing: open_clip is not installed.
    """

    def __init__(
        self,
        folder: Path,
        *,
        device: str = "cpu",
        precision: Precision = "auto",
        run_budget: RunBudget | None = None,
    ) -> None:
        config = read_config(folder)
        self.dim = config.dim
        self.device = device
        network = load_towers(folder)
        self._transform = picture_transform(network.visual.preprocess_cfg)
        tower = text_tower(network)
        self._tokens = CleanTokens(load_tokenizer(folder, tower.vocabulary_size))
        if precision == "auto":
            precision = _fitting_precision(device, config.text_tower_name is not None)
        self._network = network.to(device=device, dtype=_dtype(precision))
        self._tower = tower
        self._lock = threading.Lock()
        on_cpu = device == "cpu"
        self._picture_runs = RunSize(
            "open_clip's image tower",
            PICTURES_PER_RUN_ON_CPU if on_cpu else CONTENTS_PER_RUN_ON_CUDA,
            self._run_made_pictures,
            device=device,
            budget=run_budget,
        )
        self._text_runs = RunSize(
            "open_clip's text tower",
            TEXTS_PER_RUN_ON_CPU if on_cpu else CONTENTS_PER_RUN_ON_CUDA,
            self._run_made_texts,
            device=device,
            budget=run_budget,
        )
        self._check_dims(folder)

    def encode_pictures(self, batch: Sequence[Picture]) -> Vectors:
        """Return one unit row per picture.

        Args:
            batch: pictures of any size; may be empty.

        Returns:
            ``(len(batch), dim)`` float32, independent of how pictures are batched.
        """
        vectors = np.empty((len(batch), self.dim), dtype=np.float32)
        per_run = self._picture_runs.of(len(batch))
        for start in range(0, len(batch), per_run):
            part = batch[start : start + per_run]
            vectors[start : start + len(part)] = self._run_pictures(part).numpy()
        return unit_rows(vectors)

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """Return one unit row per text.

        Args:
            texts: may be empty, and so may each text. What is beyond the model's context (77
                tokens in most) has no influence.

        Returns:
            ``(len(texts), dim)`` float32, independent of how texts are batched.
        """
        vectors = np.empty((len(texts), self.dim), dtype=np.float32)
        if not texts:
            return vectors
        per_run = self._text_runs.of(len(texts))
        # A tokenizer keeps state (padding, a cache): one caller at a time.
        with self._lock:
            tokens = self._tokens(texts)
            # Texts of like length in one run, because a run is as long as its longest text.
            order = self._tower.lengths(tokens).argsort(stable=True)
            for start in range(0, len(texts), per_run):
                rows = order[start : start + per_run]
                vectors[rows.numpy()] = self._run_texts(tokens[rows]).numpy()
        return unit_rows(vectors)

    def _run_pictures(self, batch: Sequence[Picture]) -> torch.Tensor:
        import torch

        pixels = np.stack([self._transform.pixels(picture) for picture in batch])
        # inference_mode belongs to the thread, so it is entered in each call.
        with self._lock, torch.inference_mode():
            levels = torch.from_numpy(pixels).to(self.device).permute(0, 3, 1, 2)
            values = levels.to(torch.float32, memory_format=torch.contiguous_format).div_(255)
            values.sub_(self._per_channel(self._transform.mean))
            values.div_(self._per_channel(self._transform.std))
            rows: torch.Tensor = self._network.encode_image(values.to(self._dtype))
            return rows.float().cpu()

    def _run_texts(self, tokens: torch.Tensor) -> torch.Tensor:
        import torch

        with torch.inference_mode():
            return self._tower.features(tokens.to(self.device)).float().cpu()

    def _run_made_pictures(self, count: int) -> None:
        shape = (self._transform.height_px, self._transform.width_px, 3)
        grey = Picture(np.full(shape, 128, dtype=np.uint8))
        self._run_pictures([grey] * count)

    def _run_made_texts(self, count: int) -> None:
        with self._lock:
            self._run_texts(self._tokens([MADE_TEXT] * count))

    def _per_channel(self, values: tuple[float, float, float]) -> torch.Tensor:
        import torch

        return torch.tensor(values, dtype=torch.float32, device=self.device).view(3, 1, 1)

    @property
    def _dtype(self) -> torch.dtype:
        dtype: torch.dtype = self._network.logit_scale.dtype
        return dtype

    def _check_dims(self, folder: Path) -> None:
        white = Picture(np.full((1, 1, 3), 255, dtype=np.uint8))
        towers = {
            "image": self._run_pictures([white]),
            "text": self._run_texts(self._tokens([""])),
        }
        for name, rows in towers.items():
            if rows.shape != (1, self.dim):
                raise ModelCorrupt(
                    f"{folder}: {CONFIG_NAME} says embed_dim {self.dim}, the {name} tower gives "
                    f"vectors of shape {tuple(rows.shape[1:])}",
                    file=CONFIG_NAME,
                    expected=self.dim,
                    got=list(rows.shape[1:]),
                )


def open_clip_parameters() -> dict[str, object]:
    """Return the JSON-ready parameters that vectors depend on besides the folder's files."""
    return {"version": PREPROCESSING_VERSION}


def _fitting_precision(device: str, has_foreign_text_tower: bool) -> Precision:
    if device == "cpu":
        return "float32"
    return "bfloat16" if has_foreign_text_tower else "float16"


def _dtype(precision: Precision) -> Any:
    import torch

    return {
        "float32": torch.float32,
        "float16": torch.float16,
        "bfloat16": torch.bfloat16,
    }[precision]
