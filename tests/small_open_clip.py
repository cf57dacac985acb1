"""Small open_clip models with random weights, in the layout that real ones have."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from encoders.clip.folder import CONFIG_NAME, TEXT_TOWER_CONFIG_NAME, WEIGHTS_NAME
from encoders.clip.library import open_clip_library

DIM = 16
IMAGE_PX = 32
WORDS = [f"word{number}" for number in range(200)]


def small_architecture(**changes: Any) -> dict[str, Any]:
    """Return a model JSON: two layers for each tower, 3 million parameters in the token table."""
    return {
        "embed_dim": DIM,
        "vision_cfg": {
            "image_size": IMAGE_PX,
            "patch_size": 8,
            "width": 32,
            "head_width": 16,
            "layers": 2,
        },
        "text_cfg": {"context_length": 77, "width": 32, "heads": 2, "layers": 2},
        **changes,
    }


def small_network(architecture: Mapping[str, Any], *, seed: int = 0) -> Any:
    """Return a network of random weights, the same for the same seed, as the library makes it."""
    library = open_clip_library()
    custom = "hf_model_name" in architecture["text_cfg"] or architecture.get("custom_text")
    kind = library.CustomTextCLIP if custom else library.CLIP
    arguments = {name: value for name, value in architecture.items() if name != "custom_text"}
    # A generator of its own, so that a test's other random numbers stay as they are.
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = kind(**arguments)
        # Small standard weights leave all texts nearly alike; larger ones tell them apart.
        with torch.no_grad():
            for name, tensor in network.named_parameters():
                if "embedding" in name:
                    tensor.normal_(std=0.5)
    return network.eval()


def write_small_model(
    folder: Path,
    architecture: Mapping[str, Any] | None = None,
    *,
    preprocess: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Path:
    """Write the standard folder of a small model and return it."""
    from safetensors.torch import save_file

    architecture = architecture or small_architecture()
    folder.mkdir(parents=True, exist_ok=True)
    config = {"model_cfg": architecture, "preprocess_cfg": preprocess or {}}
    (folder / CONFIG_NAME).write_text(json.dumps(config), encoding="utf-8")
    save_file(small_network(architecture, seed=seed).state_dict(), folder / WEIGHTS_NAME)
    return folder


def write_bert(folder: Path) -> Path:
    """Write what a small text tower of transformers needs besides weights: JSON and a tokenizer."""
    from transformers import BertConfig, BertTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz"]
    vocabulary += [f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz0123456789"]
    vocabulary += WORDS
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(str(folder))
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=96,
    ).to_dict()
    (folder / TEXT_TOWER_CONFIG_NAME).write_text(json.dumps(config), encoding="utf-8")
    return folder


def bert_architecture(text_tower: Path | str) -> dict[str, Any]:
    """Return a model JSON whose text tower comes from transformers."""
    return small_architecture(
        text_cfg={
            "hf_model_name": str(text_tower),
            "hf_tokenizer_name": str(text_tower),
            "hf_model_pretrained": False,
            "hf_proj_type": "linear",
            "hf_pooler_type": "mean_pooler",
        }
    )
