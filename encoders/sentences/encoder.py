"""Texts as vectors: a sentence-transformers model."""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from encoders.encoder import EncoderIdentity
from encoders.errors import ModelCorrupt
from encoders.run_size import RunBudget, RunSize
from encoders.sentences.facts import sentence_facts, shortened_dim
from encoders.space import Vectors, unit_rows
from encoders.torch_imports import install

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

PREPROCESSING_VERSION = 1
"""Raised with any change here that moves vectors, so that stored ones are not mixed with new."""

TEXTS_PER_RUN = 16
"""On a processor. MiniLM, one thread, texts per second of processor time: titles of 2-12 words 209
at 8, 255 at 16, 265 at 32; passages of 60-120 words 29.1, 27.6, 25.2 (4, 8 and 13 % padding).
"""

TEXTS_PER_RUN_ON_CUDA = 32
"""Not measured; a graphics card has room for more than a processor's caches."""

MADE_TEXT = "people walk along the river in the evening and talk about the day " * 6
"""A passage as long as most, for choosing a run size."""

_MISSING_WEIGHTS = re.compile(r"^(\S+)\s*\|.*\bMISSING\b", re.MULTILINE)


class TextModel(Protocol):
    """A network that makes vectors of texts, whatever runs it."""

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        ...

    def encode_texts(self, texts: list[str], *, prompt: str = "") -> Vectors:
        """Return one unit row per text, with ``prompt`` in front of each."""
        ...


class SentenceModel:
    """A sentence-transformers model loaded from a folder, shared by all encoders of its space.

    Any tokenizer, pooling and chain of modules that `sentence_facts` knows; code that a model
    brings along is never run.

    Args:
        folder: the model's directory.
        dim: length of the vectors it must give.
        device: ``cpu`` or ``cuda:N``.
        run_budget: what choosing a run size may use; ``None``: it is the one measured for MiniLM.

    Raises:
        ModelCorrupt: a file or weights are missing, or tokenizer, network and ``dim`` do not fit
            together.
    """

    def __init__(
        self,
        folder: Path,
        *,
        dim: int,
        device: str = "cpu",
        run_budget: RunBudget | None = None,
    ) -> None:
        self.dim = dim
        _check_dim(folder, dim, sentence_facts(folder).dim)
        self._runs = RunSize(
            f"sentence model {folder.name}",
            TEXTS_PER_RUN if device == "cpu" else TEXTS_PER_RUN_ON_CUDA,
            lambda count: self._run([MADE_TEXT] * count, "", count),
            device=device,
            budget=run_budget,
        )
        self._model = _load_model(folder, device)
        self._lock = threading.Lock()
        check_vocabulary(folder, self._model.tokenizer.get_vocab(), _num_word_vectors(self._model))
        _check_dim(folder, dim, self.encode_texts([""]).shape[1])

    def encode_texts(self, texts: list[str], *, prompt: str = "") -> Vectors:
        """Return one unit row per text.

        Args:
            texts: may be empty, and so may each text. What lies beyond the model's limit of word
                pieces has no influence.
            prompt: put in front of each text. A model whose pooling leaves the prompt out does so.

        Returns:
            ``(len(texts), dim)`` float32, independent of how texts are batched.
        """
        if not texts:
            return np.empty((0, self.dim), dtype=np.float32)
        return unit_rows(self._run(texts, prompt, self._runs.of(len(texts))))

    def _run(self, texts: list[str], prompt: str, per_run: int) -> NDArray[np.floating]:
        # The tokenizer keeps padding and truncation as its own state: one caller at a time. The
        # library sorts a call's texts by length, so a run holds little padding. An empty prompt
        # is given too: without one the library takes the model's default.
        with self._lock:
            return self._model.encode(
                well_formed(texts),
                prompt=well_formed([prompt])[0],
                batch_size=per_run,
                show_progress_bar=False,
                convert_to_numpy=True,
                normalize_embeddings=False,
            )


class SentenceEncoder:
    """Encodes texts with a sentence model.

    Args:
        model: the shared model.
        identity: as `EncoderLoader.identify` gives it.
        prompt: put in front of each text, as `prompt_for` chooses it.
        dim: how many numbers of each vector are kept, for models whose first numbers say most
            (Matryoshka); ``None`` for all.

    Raises:
        ConfigError: the model does not give ``dim`` numbers.
    """

    def __init__(
        self,
        model: TextModel,
        identity: EncoderIdentity,
        *,
        prompt: str = "",
        dim: int | None = None,
    ) -> None:
        self._model = model
        self._identity = identity
        self._prompt = prompt
        self._dim = shortened_dim(model.dim, dim)

    @property
    def identity(self) -> EncoderIdentity:
        """Which encoder this is and which space it feeds."""
        return self._identity

    def encode(self, batch: Sequence[str]) -> Vectors:
        """Return the ``(len(batch), dim)`` float32 unit rows of a batch."""
        vectors = self._model.encode_texts(list(batch), prompt=self._prompt)
        return vectors if self._dim == self._model.dim else unit_rows(vectors[:, : self._dim])


def sentence_parameters() -> dict[str, object]:
    """Return the JSON-ready parameters that vectors depend on besides weights and prompts."""
    return {"version": PREPROCESSING_VERSION}


def well_formed(texts: Sequence[str]) -> list[str]:
    """Return texts in which every half of a surrogate pair has become a question mark.

    Undecodable file names hold such halves, and they are an error for tokenizers.
    """
    return [text.encode("utf-8", "replace").decode("utf-8") for text in texts]


def check_vocabulary(folder: Path, vocabulary: Mapping[str, int], vocab_size: int) -> None:
    """Refuse a tokenizer that cannot be the one a network was trained with.

    Without its files transformers builds a tokenizer of a few special tokens and says nothing;
    every text then has the same vector. A network that knows somewhat more word pieces than its
    tokenizer is common: its table was padded to a multiple of 64.

    Args:
        folder: the model's directory, for the message.
        vocabulary: the tokenizer's ids by word piece.
        vocab_size: rows of the network's table of word vectors.

    Raises:
        ModelCorrupt: the tokenizer knows less than half of them, or ids beyond them.
    """
    last_id = max(vocabulary.values(), default=-1)
    if len(vocabulary) < vocab_size / 2 or last_id >= vocab_size:
        raise ModelCorrupt(
            f"{folder}: the network knows {vocab_size} word pieces, the tokenizer "
            f"{len(vocabulary)}, with ids up to {last_id}; pull or copy the model again",
            file="tokenizer.json",
            expected=vocab_size,
            got=len(vocabulary),
        )


def _load_model(folder: Path, device: str) -> SentenceTransformer:
    # Read by the hub's client when it is imported; everything needed lies in the folder.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    install()
    from sentence_transformers import SentenceTransformer

    missing: list[str] = []
    try:
        with _no_progress_bars(), _missing_weights_noted(missing):
            model = SentenceTransformer(
                str(folder), device=device, local_files_only=True, trust_remote_code=False
            ).eval()
    # The library lets through whatever tokenizers, weights and configurations raise.
    except Exception as error:
        raise ModelCorrupt(
            f"{folder}: sentence-transformers cannot load this model: {error}",
            folder=str(folder),
            got=f"{type(error).__name__}: {error}",
        ) from error
    if missing:
        raise ModelCorrupt(
            f"{folder}: the weights lack {len(missing)} of the network's tensors, first of all "
            f"{missing[0]}; pull or copy the model again",
            file="model.safetensors",
            missing=missing,
        )
    return model


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


@contextmanager
def _missing_weights_noted(missing: list[str]) -> Iterator[None]:
    """Collect the names of weights that transformers draws at random for want of a value.

    It says so in a report in its log and goes on, with other vectors after every start. The report
    is kept out of the log: what matters in it becomes an error.
    """

    def note(record: logging.LogRecord) -> bool:
        report = record.getMessage()
        # No module reads the pooler's output; many published models come without its weights.
        names = [name for name in _MISSING_WEIGHTS.findall(report) if "pooler" not in name]
        missing.extend(sorted(names))
        return "LOAD REPORT" not in report

    log = logging.getLogger("transformers.modeling_utils")
    level = log.level
    log.addFilter(note)
    if not log.isEnabledFor(logging.WARNING):
        log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        log.setLevel(level)
        log.removeFilter(note)


def _check_dim(folder: Path, expected: int, got: int) -> None:
    if got != expected:
        raise ModelCorrupt(
            f"{folder}: expected vectors of length {expected}, got {got}",
            file="config.json",
            expected=expected,
            got=got,
        )


def _num_word_vectors(model: SentenceTransformer) -> int:
    first: Any = model[0]
    if hasattr(first, "auto_model"):
        return int(first.auto_model.get_input_embeddings().num_embeddings)
    return int(first.embedding.num_embeddings)  # static word vectors
