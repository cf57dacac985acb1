"""LAION's own CLAP checkpoints (``.pt``) as folders that `encoders.clap.encoder` loads.

Which network a file holds is read from its tensors: HTSAT-tiny, -base or another size of HTSAT,
with or without feature fusion, beside a RoBERTa text tower. Everything that is not used for vectors
(class scores, the heads of the training) is left out by name; any other tensor must find its
place, and every place its tensor.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np

from encoders.clap.encoder import ClapNetwork
from encoders.clap.laion_checkpoint import LaionCheckpoint, read_laion_checkpoint
from encoders.clap.network import WEIGHTS_NAME, check_tensors, empty_clap_network
from encoders.clap.settings import (
    CONFIG_NAME,
    PREPROCESSOR_NAME,
    ClapFacts,
    SpectrogramSettings,
    Truncation,
    clap_facts,
    json_object,
)
from encoders.clap.spectrogram import mel_bands
from encoders.errors import ConfigError, ModelCorrupt
from encoders.torch_imports import install

# LAION's package cuts texts here, and so its models were trained.
MAX_TOKENS = 77

_MEL_BANDS = "audio_branch.logmel_extractor.melW"
# Half precision rounds by less than this, and the bands' weights go up to 0.05; other edges move
# them by a large part of themselves.
_BANDS_RTOL = 2e-3
_BANDS_ATOL = 1e-6

_TOKENIZER_CONFIG_NAME = "tokenizer_config.json"
_TOKENIZER_FILES = (
    "tokenizer.json",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    "special_tokens_map.json",
)


def convert_clap_checkpoint(checkpoint: Path, target: Path, *, tokenizer: Path) -> ClapFacts:
    """Write a folder that `ClapNetwork` loads, and load it once.

    Args:
        checkpoint: a ``.pt`` file as LAION publishes them or as its training writes them. It is
            read as tensors only: a pickle that would run code is refused.
        target: the folder to make; must not exist. It appears when it is complete.
        tokenizer: folder of the tokenizer the model was trained with: ``tokenizer.json``, or
            ``vocab.json`` and ``merges.txt``, of roberta-base.

    Returns:
        What the new folder says of itself.

    Raises:
        ConfigError: ``target`` exists.
        ModelMissing: ``checkpoint`` is not there.
        ModelCorrupt: the file or the tokenizer does not fit; the message names tensors and shapes.
    """
    if target.exists():
        raise ConfigError(f"{target} exists; name a folder that does not", target=str(target))
    install()
    from safetensors.torch import save_file
    from transformers import ClapConfig

    source = read_laion_checkpoint(checkpoint)
    _check_mel_bands(source)
    fields = source.config_fields()
    tensors = source.renamed_tensors()
    check_tensors(empty_clap_network(ClapConfig.from_dict(fields)), tensors, checkpoint)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as scratch:
        folder = Path(scratch) / target.name
        folder.mkdir()
        save_file(tensors, folder / WEIGHTS_NAME, metadata={"format": "pt"})
        _write_json(folder / CONFIG_NAME, fields)
        truncation: Truncation = "fusion" if source.has_fusion else "rand_trunc"
        _write_json(folder / PREPROCESSOR_NAME, asdict(_spectrogram(truncation)))
        _copy_tokenizer(tokenizer, folder)
        ClapNetwork(folder)
        folder.rename(target)
    return clap_facts(target)


def _check_mel_bands(source: LaionCheckpoint) -> None:
    """Refuse a model that was trained on other spectrograms than LAION's usual ones."""
    # Networks with fusion carry this matrix too, though they are given another.
    expected = mel_bands(_spectrogram("rand_trunc"))
    got_shape = source.shape(_MEL_BANDS, 2)
    if got_shape != expected.shape:
        raise source.refusal(
            f"tensor {_MEL_BANDS!r}: expected shape {expected.shape}, got {got_shape}",
            tensor=_MEL_BANDS,
        )
    got = source.tensors[_MEL_BANDS].float().numpy()
    if not np.allclose(got, expected, rtol=_BANDS_RTOL, atol=_BANDS_ATOL):
        raise source.refusal(
            f"tensor {_MEL_BANDS!r} holds other bands than 64 from 50 to 14000 Hz",
            tensor=_MEL_BANDS,
        )


def _spectrogram(truncation: Truncation) -> SpectrogramSettings:
    """Return the settings of all of LAION's HTSAT models."""
    return SpectrogramSettings(
        sampling_rate=48000,
        max_length_s=10,
        feature_size=64,
        fft_window_size=1024,
        hop_length=480,
        frequency_min=50.0,
        frequency_max=14000.0,
        padding="repeatpad",
        truncation=truncation,
    )


def _copy_tokenizer(source: Path, folder: Path) -> None:
    """Copy a tokenizer's files, with the limit at which LAION cuts texts.

    Raises:
        ModelCorrupt: there is no tokenizer in ``source``.
    """
    names = [name for name in _TOKENIZER_FILES if (source / name).is_file()]
    if not {"tokenizer.json", "vocab.json"} & set(names):
        raise ModelCorrupt(
            f"{source} holds no tokenizer: expected tokenizer.json, or vocab.json and merges.txt",
            file=str(source),
        )
    for name in names:
        shutil.copyfile(source / name, folder / name)
    settings: dict[str, object] = {}
    if (source / _TOKENIZER_CONFIG_NAME).is_file():
        settings = json_object(source / _TOKENIZER_CONFIG_NAME)
    settings |= {"tokenizer_class": "RobertaTokenizer", "model_max_length": MAX_TOKENS}
    _write_json(folder / _TOKENIZER_CONFIG_NAME, settings)


def _write_json(path: Path, values: Mapping[str, object]) -> None:
    path.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf-8")
