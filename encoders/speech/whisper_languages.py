"""Which languages a Whisper model knows, from its vocabulary alone."""

from __future__ import annotations

import json
from pathlib import Path

from encoders.errors import ModelCorrupt

MULTILINGUAL_VOCABULARY = 51_865
"""Word pieces of the smallest vocabulary of more than English (CTranslate2 tells by the same)."""


def whisper_languages(folder: Path) -> tuple[str, ...]:
    """Return the codes of the languages that a model in CTranslate2's layout knows.

    Raises:
        ModelCorrupt: the folder has no vocabulary or no list of languages that can be read.
    """
    vocabulary = _vocabulary(folder)
    if len(vocabulary) < MULTILINGUAL_VOCABULARY:
        return ("en",)
    config = folder / "config.json"
    try:
        ids = json.loads(config.read_text(encoding="utf-8"))["lang_ids"]
        return tuple(vocabulary[number].strip("<|>") for number in ids)
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise ModelCorrupt(
            f"{config} should list lang_ids, numbers of word pieces: {error!r}", file=str(config)
        ) from error


def _vocabulary(folder: Path) -> list[str]:
    """Return the word pieces by number: a list of JSON, or lines."""
    path = folder / "vocabulary.json"
    try:
        if path.exists():
            pieces = json.loads(path.read_text(encoding="utf-8"))
        else:
            path = folder / "vocabulary.txt"
            pieces = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    except (OSError, ValueError) as error:
        raise ModelCorrupt(
            f"{path} is not the vocabulary of a Whisper model: {error}", file=str(path)
        ) from error
    if not isinstance(pieces, list) or not all(isinstance(piece, str) for piece in pieces):
        raise ModelCorrupt(f"{path} should be a list of word pieces", file=str(path))
    return pieces
