"""Texts as vectors: a sentence-transformers model."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from encoders.encoder import EncoderIdentity
from encoders.errors import ModelCorrupt
from encoders.space import Vectors, unit_rows
from encoders.torch_imports import install

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

PREPROCESSING_VERSION = 1
"""Raised with any change here that moves vectors, so that stored ones are not mixed with new."""

TEXTS_PER_RUN = 32


class SentenceModel:
    """A sentence-transformers model loaded from a folder, shared by all encoders of its space.

    Args:
        folder: the model's directory.
        dim: length of the vectors it must give.
        device: ``cpu`` or ``cuda:N``.

    Raises:
        ModelCorrupt: tokenizer, network and ``dim`` do not fit together.
    """

    def __init__(self, folder: Path, *, dim: int, device: str = "cpu") -> None:
        self.dim = dim
        self._model = _load_model(folder, device)
        self._lock = threading.Lock()
        _check_tokenizer(self._model, folder)
        got_dim = self.encode_texts([""]).shape[1]
        if got_dim != dim:
            raise ModelCorrupt(
                f"{folder}: expected vectors of length {dim}, got {got_dim}",
                file="config.json",
                expected=dim,
                got=got_dim,
            )

    def encode_texts(self, texts: list[str]) -> Vectors:
        """Return one unit row per text.

        Args:
            texts: may be empty, and so may each text. Words beyond the model's limit (256 word
                pieces) have no influence.

        Returns:
            ``(len(texts), dim)`` float32, independent of how texts are batched.
        """
        if not texts:
            return np.empty((0, self.dim), dtype=np.float32)
        # Half a surrogate pair, as undecodable file names hold, is an error for the tokenizer.
        clean = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        # The tokenizer keeps padding and truncation as its own state: one caller at a time. The
        # library sorts a call's texts by length, so a run holds little padding.
        with self._lock:
            vectors = self._model.encode(
                clean,
                batch_size=TEXTS_PER_RUN,
                show_progress_bar=False,
                convert_to_numpy=True,
                normalize_embeddings=False,
            )
        return unit_rows(vectors)


class SentenceEncoder:
    """Encodes texts with a sentence model.

    Args:
        model: the shared model.
        identity: as `EncoderLoader.identify` gives it.
    """

    def __init__(self, model: SentenceModel, identity: EncoderIdentity) -> None:
        self._model = model
        self._identity = identity

    @property
    def identity(self) -> EncoderIdentity:
        """Which encoder this is and which space it feeds."""
        return self._identity

    def encode(self, batch: Sequence[str]) -> Vectors:
        """Return the ``(len(batch), dim)`` float32 unit rows of a batch."""
        return self._model.encode_texts(list(batch))


def sentence_parameters() -> dict[str, object]:
    """Return the JSON-ready parameters that vectors depend on besides the weights."""
    return {"version": PREPROCESSING_VERSION}


def _load_model(folder: Path, device: str) -> SentenceTransformer:
    # Read by the hub's client when it is imported; everything needed lies in the folder.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    install()
    from sentence_transformers import SentenceTransformer

    with _no_progress_bars():
        return SentenceTransformer(str(folder), device=device, local_files_only=True).eval()


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    """Keep transformers from drawing a bar on stderr while it reads a local file."""
    from transformers.utils import logging

    were_shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if were_shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _check_tokenizer(model: SentenceTransformer, folder: Path) -> None:
    # Without its files transformers builds a tokenizer of a few special tokens and says nothing;
    # every text then has the same vector.
    transformer: Any = model[0]
    expected = transformer.auto_model.config.vocab_size
    got = len(model.tokenizer)
    if got != expected:
        raise ModelCorrupt(
            f"{folder}: the network knows {expected} word pieces, the tokenizer {got}",
            file="tokenizer.json",
            expected=expected,
            got=got,
        )
