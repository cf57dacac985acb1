"""CLAP's view of text: a RoBERTa tokenizer's tokens."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from encoders.errors import ModelCorrupt
from encoders.torch_imports import install


class ClapTokenizer:
    """Tokens of texts, cut to what tokenizer and network take. Safe from several threads.

    Args:
        folder: holds the tokenizer's files, and ``config.json``, which says of which kind it is.
        config: transformers' ClapTextConfig of the network that will take the tokens.

    Raises:
        ModelCorrupt: the tokenizer cannot be read, or knows another number of tokens than the
            network.
    """

    def __init__(self, folder: Path, config: Any) -> None:
        self.padding_token: int = config.pad_token_id
        self._tokenizer = _load_tokenizer(folder)
        self._lock = threading.Lock()
        _check_size(len(self._tokenizer), config.vocab_size, folder)
        # RoBERTa numbers positions from the one after the padding's.
        positions = config.max_position_embeddings - config.pad_token_id - 1
        self.max_tokens = int(min(self._tokenizer.model_max_length, positions))

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the tokens of each text, with those that mark its beginning and its end."""
        if not texts:
            return []
        # Half a surrogate pair, as undecodable file names hold, is an error for the tokenizer.
        clean = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        # The tokenizer keeps truncation as its own state: one caller at a time.
        with self._lock:
            encoded = self._tokenizer(clean, truncation=True, max_length=self.max_tokens)
        tokens: list[list[int]] = encoded["input_ids"]
        return tokens


def _load_tokenizer(folder: Path) -> Any:
    # Read by the hub's client when it is imported; everything needed lies in the folder.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    install()
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelCorrupt(
            f"{folder}: the tokenizer cannot be read: {error}", file="tokenizer.json"
        ) from error


def _check_size(got: int, expected: int, folder: Path) -> None:
    # Without its files transformers builds a tokenizer of a few special tokens and says nothing;
    # every text then has the same vector.
    if got != expected:
        raise ModelCorrupt(
            f"{folder}: the text tower knows {expected} tokens, the tokenizer {got}",
            file="tokenizer.json",
            expected=expected,
            got=got,
        )
