"""Tiny sentence-transformers folders with random weights, the same ones every time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from encoders.torch_imports import install

HIDDEN = 32
ALPHABET = [chr(code) for code in range(33, 127)]
SENTENCE = "the cat and a dog sleep on one warm windowsill"
WORDS = [*SENTENCE.split(), "query", "passage", "represent", "market", "fell", "rain"]
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *ALPHABET, *WORDS]
PIECES += [f"##{letter}" for letter in ALPHABET]
NUM_ROWS = 256
"""Rows of the table of word vectors: more than word pieces, as if padded to a multiple of 64."""

PROMPTS = {"query": "query: ", "passage": "passage: "}


def bert_model(
    folder: Path,
    *,
    pooling: str | tuple[str, ...] = "mean",
    include_prompt: bool = True,
    dense: int | None = None,
    prompts: dict[str, str] | None = None,
    default_prompt: str | None = None,
) -> Path:
    """Save a model with a word-piece tokenizer, and return its folder."""
    install()
    import torch
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    torch.manual_seed(7)
    tokens: Any = BertWordPieceTokenizer({piece: row for row, piece in enumerate(PIECES)})
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=tokens._tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=48,
    )
    network = BertModel(BertConfig(vocab_size=NUM_ROWS, **_sizes(), max_position_embeddings=64))
    return _save(
        folder, network, tokenizer, pooling, include_prompt, dense, prompts, default_prompt
    )


def roberta_model(folder: Path, *, pooling: str = "cls") -> Path:
    """Save a model with a byte-level BPE tokenizer and XLM-RoBERTa's network."""
    install()
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast, XLMRobertaConfig, XLMRobertaModel

    torch.manual_seed(8)
    tokens = Tokenizer(models.BPE())
    tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokens.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=special,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokens.train_from_iterator([" ".join(WORDS)], trainer)
    tokens.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=tokens,
        bos_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        cls_token="<s>",
        sep_token="</s>",
        mask_token="<mask>",
        model_max_length=40,
    )
    config = XLMRobertaConfig(
        vocab_size=320, **_sizes(), max_position_embeddings=66, type_vocab_size=1, pad_token_id=1
    )
    return _save(folder, XLMRobertaModel(config), tokenizer, pooling)


def _sizes() -> dict[str, int]:
    return {
        "hidden_size": HIDDEN,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
    }


def _save(
    folder: Path,
    network: Any,
    tokenizer: Any,
    pooling: str | tuple[str, ...],
    include_prompt: bool = True,
    dense: int | None = None,
    prompts: dict[str, str] | None = None,
    default_prompt: str | None = None,
) -> Path:
    folder.mkdir(parents=True)
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    modules = [("", "Transformer"), ("1_Pooling", "Pooling")]
    modes = [pooling] if isinstance(pooling, str) else list(pooling)
    write_json(
        folder / "1_Pooling/config.json",
        {"word_embedding_dimension": HIDDEN, "include_prompt": include_prompt}
        | {f"pooling_mode_{_legacy(mode)}": True for mode in modes},
    )
    if dense is not None:
        modules.append(("2_Dense", "Dense"))
        _save_dense(folder / "2_Dense", HIDDEN * len(modes), dense)
    modules.append((f"{len(modules)}_Normalize", "Normalize"))
    write_json(
        folder / "modules.json",
        [
            {
                "idx": index,
                "name": str(index),
                "path": path,
                "type": f"sentence_transformers.models.{kind}",
            }
            for index, (path, kind) in enumerate(modules)
        ],
    )
    write_json(
        folder / "config_sentence_transformers.json",
        {"prompts": prompts or {}, "default_prompt_name": default_prompt},
    )
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": 32})
    return folder


def _save_dense(folder: Path, in_features: int, out_features: int) -> None:
    import torch
    from safetensors.torch import save_file

    fields = {"in_features": in_features, "out_features": out_features, "bias": True}
    write_json(folder / "config.json", fields | {"activation_function": "torch.nn.Tanh"})
    save_file(
        {
            "linear.weight": torch.randn(out_features, in_features) / in_features**0.5,
            "linear.bias": torch.randn(out_features) / 10,
        },
        folder / "model.safetensors",
    )


def _legacy(mode: str) -> str:
    """Return the field under which most published models say how they pool."""
    return f"{mode}_token" if mode == "cls" else mode if mode == "lasttoken" else f"{mode}_tokens"


def write_json(path: Path, content: object) -> None:
    """Write a file of a model, and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
