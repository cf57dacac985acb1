"""Whether LAION checkpoints, converted and encoded here, give the vectors of LAION's own package.

``laion-clap`` forces numpy 1.26, so its half runs in an environment of its own. From the root of
the repository::

    python3 -m venv clap-environment
    clap-environment/bin/pip install -c constraints-clap.txt torch torchvision laion-clap
    clap-environment/bin/pip install -c constraints-clap.txt --no-deps torchaudio
    clap-environment/bin/python -m benchmarks.clap_reference reference
    python -m benchmarks.clap_reference compare

The first half builds networks with random weights (HTSAT-tiny, HTSAT-base, HTSAT-tiny with feature
fusion; RoBERTa of two layers), saves each the way LAION's training does, and keeps the package's
vectors of 20 sounds of at most ten seconds and 20 texts. The second converts, encodes and prints a
table of cosines; it fails below 0.9999. Neither asks the network for anything.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import types
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import table
from encoders import torch_imports
from encoders.clap.conversion import convert_clap_checkpoint
from encoders.clap.encoder import ClapNetwork
from encoders.media.content import Sound

FOLDER = Path("benchmark-results/clap-reference")
LEAST_COSINE = 0.9999
SAMPLE_RATE_HZ = 48000
SEED = 4


@dataclass(frozen=True, slots=True)
class Case:
    """A kind of checkpoint that LAION publishes."""

    name: str
    audio_model: str
    fusion: bool


CASES = (
    Case("htsat-tiny", "HTSAT-tiny", fusion=False),
    Case("htsat-base", "HTSAT-base", fusion=False),
    Case("htsat-tiny-fused", "HTSAT-tiny", fusion=True),
)

TEXTS = (
    "",
    "cat",
    "The sound of a cat.",
    "This is a sound of dog barking",
    "rain falls on a tin roof while thunder rolls in the distance",
    "A",
    "123 456",
    "été, Übermut, señor",
    "猫の鳴き声",
    "\U0001f431 purring",
    "speech, a woman, close",
    "UPPER CASE AND lower case",
    "   spaces   everywhere   ",
    "line\nbreak\ttab",
    "a slow piano piece in a minor key",
    "glass breaking",
    "engine idling, then accelerating",
    "\u0645\u0648\u0633\u064a\u0642\u0649",
    "very long " * 60,
    "word " * 400,
)


def sounds() -> list[NDArray[np.float32]]:
    """Return 20 sounds at 48 kHz: silence, 0.1 s, exactly 10 s, tones, sweeps and noises."""
    generator = np.random.default_rng(SEED)
    made = [np.zeros(SAMPLE_RATE_HZ), np.zeros(10 * SAMPLE_RATE_HZ)]
    for seconds in (0.1, 0.5, 1.0, 2.3, 3.0, 4.99, 7.5, 9.999, 10.0):
        times = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
        low_hz, high_hz = np.sort(generator.uniform(60, 9000, 2))
        phase = low_hz * times + (high_hz - low_hz) * times**2 / (2 * seconds)
        hiss = generator.normal(0, generator.uniform(0.001, 0.2), len(times))
        made.append(0.4 * np.sin(2 * np.pi * phase))
        made.append(0.3 * np.sin(2 * np.pi * low_hz * times) * np.sin(times) + hiss)
    return [np.clip(each, -1, 1).astype(np.float32) for each in made]


def write_reference(folder: Path) -> None:
    """Write a checkpoint and the package's vectors for each case; needs ``laion-clap``."""
    folder.mkdir(parents=True, exist_ok=True)
    # Read when the hub's client is imported.
    os.environ["HF_HOME"] = str((folder / "hub-home").absolute())
    os.environ["HF_HUB_OFFLINE"] = "1"
    torchaudio = _torchaudio()
    torch_imports.install()
    _write_hub_cache(folder)
    import laion_clap
    import torch
    from laion_clap.training import data

    # transformers was told that there is no torchaudio; laion-clap needs it for fused networks.
    data.torchaudio = torchaudio
    for case in CASES:
        torch.manual_seed(SEED)
        module = laion_clap.CLAP_Module(
            enable_fusion=case.fusion, device="cpu", amodel=case.audio_model
        )
        _spread_weights(module.model)
        torch.save(_as_published(module.model, case), folder / f"{case.name}.pt")
        with torch.no_grad():
            # As tensors, because arrays would be rounded to 16 bits on the way.
            audio = module.get_audio_embedding_from_data(
                [torch.from_numpy(each) for each in sounds()], use_tensor=True
            )
            text = module.get_text_embedding(list(TEXTS), use_tensor=True)
        np.savez(folder / f"{case.name}.npz", audio=audio.numpy(), text=text.numpy())
        print(f"{case.name}: {len(audio)} sounds, {len(text)} texts", flush=True)


def compare(folder: Path) -> bool:
    """Print how near our vectors are to the package's; tell whether all are near enough."""
    rows, least = [], 1.0
    for case in CASES:
        reference = np.load(folder / f"{case.name}.npz")
        with tempfile.TemporaryDirectory() as scratch:
            target = Path(scratch) / case.name
            convert_clap_checkpoint(
                folder / f"{case.name}.pt", target, tokenizer=folder / "tokenizer"
            )
            network = ClapNetwork(target)
            ours = {
                "audio": network.encode_sounds([Sound(each, SAMPLE_RATE_HZ) for each in sounds()]),
                "text": network.encode_texts(TEXTS),
            }
        for tower, vectors in ours.items():
            cosines = vectors @ reference[tower].T
            own = np.diagonal(cosines)
            least = min(least, float(own.min()))
            others = cosines[~np.eye(len(cosines), dtype=bool)]
            rows.append(
                {
                    "checkpoint": case.name,
                    "tower": tower,
                    "least cosine": f"{own.min():.7f}",
                    "mean cosine": f"{own.mean():.7f}",
                    "median between different inputs": f"{np.median(others):.3f}",
                }
            )
    print(table(rows))
    return least >= LEAST_COSINE


def _torchaudio() -> Any:
    """Return torchaudio without its native library, which spectrograms do not use.

    The published library is built for CUDA and cannot load beside a CPU build of torch.
    """
    extension: Any = types.ModuleType("torchaudio._extension")
    extension._IS_TORCHAUDIO_EXT_AVAILABLE = False
    extension.fail_if_no_align = lambda function: function
    sys.modules[extension.__name__] = extension
    import torchaudio  # type: ignore[import-not-found,unused-ignore]

    return torchaudio


def _write_hub_cache(folder: Path) -> None:
    """Write what ``laion-clap`` asks the hub for, under the name of roberta-base."""
    from transformers import RobertaConfig, RobertaModel

    revision = "0" * 40
    repository = folder / "hub-home" / "hub" / "models--roberta-base"
    snapshot = repository / "snapshots" / revision
    snapshot.mkdir(parents=True, exist_ok=True)
    (repository / "refs").mkdir(exist_ok=True)
    (repository / "refs" / "main").write_text(revision, encoding="utf-8")
    vocab_size = _write_tokenizer(folder / "tokenizer")
    for file in (folder / "tokenizer").iterdir():
        (snapshot / file.name).write_bytes(file.read_bytes())
    config = RobertaConfig(
        vocab_size=vocab_size,
        num_hidden_layers=2,
        max_position_embeddings=514,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
    )
    RobertaModel(config).save_pretrained(snapshot)


def _write_tokenizer(folder: Path) -> int:
    """Write a byte-level tokenizer numbered like RoBERTa's and return its size."""
    from tokenizers import ByteLevelBPETokenizer

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(
        TEXTS,
        vocab_size=400,
        min_frequency=1,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        show_progress=False,
    )
    tokenizer.save_model(str(folder))
    settings = {"tokenizer_class": "RobertaTokenizer", "model_max_length": 512}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return int(tokenizer.get_vocab_size())


def _spread_weights(network: Any) -> None:
    """Give random weights in which different inputs have different vectors.

    Those that a network starts its training with send every input to nearly the same place, where
    a wrong network would not be told from a right one.
    """
    import torch

    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if not parameter.requires_grad:
                continue  # the spectrogram's own matrices
            if parameter.ndim > 1:
                parameter.normal_(std=parameter[0].numel() ** -0.5)
            elif parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
            if "relative_position_bias_table" in name:
                parameter.normal_(std=0.5)
        for name, buffer in network.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(mean=-40 if "bn0" in name else 0, std=1)
            elif name.endswith("running_var"):
                buffer.uniform_(0.8, 1.2).mul_(400 if "bn0" in name else 1)


def _as_published(network: Any, case: Case) -> dict[str, object]:
    """Return a checkpoint as LAION's training saves one: wrapped, with numbers of numpy's."""
    import torch

    state = {f"module.{name}": tensor for name, tensor in network.state_dict().items()}
    # Older releases of transformers kept it among the tensors, and so do published files.
    state["module.text_branch.embeddings.position_ids"] = torch.arange(514)[None]
    return {"epoch": 45, "name": case.name, "loss": np.float64(0.5), "state_dict": state}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one half."""
    parser = argparse.ArgumentParser(prog="benchmarks.clap_reference", description=__doc__)
    parser.add_argument("half", choices=("reference", "compare"))
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the halves meet")
    options = parser.parse_args(arguments)
    if options.half == "reference":
        write_reference(options.folder)
        return 0
    return 0 if compare(options.folder) else 1


if __name__ == "__main__":
    sys.exit(main())
