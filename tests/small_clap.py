"""Small CLAP models with random weights, as transformers saves them and as LAION does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

TEXTS_TO_LEARN = ["the sound of a cat", "a dog barks", "rain falls on a tin roof", "Musik, été 猫"]
VOCAB_SIZE = 300
MAX_TOKENS = 77


def save_small_tokenizer(folder: Path) -> None:
    """Write a byte-level tokenizer of 300 tokens, numbered like RoBERTa's."""
    from tokenizers import ByteLevelBPETokenizer

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(
        TEXTS_TO_LEARN * 40,
        vocab_size=VOCAB_SIZE,
        min_frequency=1,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        show_progress=False,
    )
    tokenizer.save_model(str(folder))
    settings = {"tokenizer_class": "RobertaTokenizer", "model_max_length": MAX_TOKENS}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


def small_clap(*, fusion: bool, seed: int = 0) -> Any:
    """Return a ClapModel of four short stages whose vectors differ well from input to input."""
    from transformers import ClapConfig, ClapModel

    torch.manual_seed(seed)
    audio = {
        "patch_embeds_hidden_size": 16,
        "hidden_size": 128,
        "depths": [1, 2, 1, 1],
        "num_attention_heads": [2, 2, 4, 4],
        "enable_fusion": fusion,
        "fusion_type": "aff_2d" if fusion else None,
    }
    text = {
        "vocab_size": VOCAB_SIZE,
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 1,
        "intermediate_size": 96,
        "max_position_embeddings": 96,
        "layer_norm_eps": 1e-5,
    }
    model = ClapModel(ClapConfig(text_config=text, audio_config=audio, projection_dim=32)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=parameter[0].numel() ** -0.5)
            elif parameter.ndim == 1:
                parameter.add_(torch.randn_like(parameter) * 0.1)
        model.audio_model.audio_encoder.batch_norm.running_mean.fill_(-40)
        model.audio_model.audio_encoder.batch_norm.running_var.fill_(400)
    return model


def save_small_clap(folder: Path, *, fusion: bool = False, seed: int = 0) -> Path:
    """Write a small model in transformers' layout and return its folder."""
    from transformers import ClapFeatureExtractor

    small_clap(fusion=fusion, seed=seed).save_pretrained(folder)
    ClapFeatureExtractor(
        frequency_min=50, truncation="fusion" if fusion else "rand_trunc"
    ).save_pretrained(folder)
    save_small_tokenizer(folder)
    return folder


def laion_state_dict(model: Any, mel_bands: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return a ClapModel's tensors by the names and in the shapes that LAION gives them."""
    ours = model.state_dict()
    laion: dict[str, torch.Tensor] = {"audio_branch.logmel_extractor.melW": mel_bands}
    for name, tensor in ours.items():
        if name.endswith((".key.weight", ".key.bias", ".value.weight", ".value.bias")) and (
            name.startswith("audio")
        ):
            continue
        if ".attention.self.query." in name and name.startswith("audio"):
            parts = [ours[name.replace(".query.", f".{part}.")] for part in ("key", "value")]
            tensor = torch.cat([tensor, *parts])
        laion[_laion_name(name)] = tensor.clone()
    width = model.config.projection_dim
    for tower in ("audio", "text"):
        laion[f"{tower}_transform.sequential.0.weight"] = torch.randn(width, width)
        laion[f"{tower}_transform.sequential.0.bias"] = torch.randn(width)
    classes = model.config.audio_config.hidden_size
    laion["audio_branch.tscam_conv.weight"] = torch.randn(527, classes, 2, 3)
    laion["audio_branch.head.weight"] = torch.randn(527, 527)
    laion["audio_branch.spectrogram_extractor.stft.conv_real.weight"] = torch.randn(513, 1, 1024)
    laion["audio_branch.layers.1.blocks.1.attn_mask"] = torch.randn(4, 64, 64)
    return laion


def _laion_name(name: str) -> str:
    if name.startswith("text_model."):
        return name.replace("text_model.", "text_branch.", 1)
    if not name.startswith("audio_model."):
        return name.replace("linear1", "0").replace("linear2", "2")
    name = name.replace("audio_model.audio_encoder.", "audio_branch.")
    for ours, theirs in (
        ("attention.output.dense", "attn.proj"),
        ("attention.self.query", "attn.qkv"),
        ("attention.self", "attn"),
        ("intermediate.dense", "mlp.fc1"),
        ("output.dense", "mlp.fc2"),
        ("layernorm_before", "norm1"),
        ("layernorm_after", "norm2"),
        ("batch_norm", "bn0"),
    ):
        name = name.replace(ours, theirs)
    return name
