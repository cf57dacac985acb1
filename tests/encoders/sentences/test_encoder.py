from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from encoders.config import SentenceConfig
from encoders.encoder import Encoder, EncoderIdentity
from encoders.errors import ConfigError, ModelCorrupt
from encoders.loading import EncoderLoader
from encoders.models.folder import ModelFolder
from encoders.sentences.encoder import SentenceEncoder, SentenceModel
from encoders.sentences.facts import prompt_for, sentence_facts
from encoders.space import Vectors
from tests.small_sentence_models import NUM_ROWS, PROMPTS, bert_model, roberta_model, write_json

ROOT = Path(__file__).resolve().parents[3]
ATOL = 1e-4  # float32 through six layers, with and without padding
TEXTS = [
    "",
    "cat",
    "A kitten sleeps on the warm windowsill.",
    "The stock market fell sharply after the central bank raised interest rates.",
    "word " * 400,
    "猫 e\u0301 \U0001f431",
    "\n\t ",
]


@pytest.fixture(scope="module")
def encoder(loader: EncoderLoader) -> Encoder[str]:
    return loader.open(SentenceConfig())


@pytest.mark.weights
def test_vectors_are_float32_unit_rows(encoder: Encoder[str]) -> None:
    vectors = encoder.encode(TEXTS)
    assert vectors.shape == (len(TEXTS), encoder.identity.dim)
    assert vectors.dtype == np.float32
    assert vectors.flags.c_contiguous
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


@pytest.mark.weights
def test_empty_batch_gives_no_rows(encoder: Encoder[str]) -> None:
    assert encoder.encode([]).shape == (0, encoder.identity.dim)


@pytest.mark.weights
def test_batch_gives_the_same_vectors_as_single(encoder: Encoder[str]) -> None:
    together = encoder.encode(TEXTS * 12)
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(together, np.tile(alone, (12, 1)), atol=ATOL)


@pytest.mark.weights
def test_kitten_is_nearer_to_cat_than_to_the_stock_market(encoder: Encoder[str]) -> None:
    kitten, cat, market = encoder.encode(["a kitten", "a cat", "the stock market"])
    assert kitten @ cat > kitten @ market + 0.3


@pytest.mark.weights
def test_half_a_surrogate_pair_is_encoded(encoder: Encoder[str]) -> None:
    vectors = encoder.encode(["caf\udce9 menu"])
    assert np.isfinite(vectors).all()


@pytest.mark.weights
def test_empty_tokenizer_is_refused(models: ModelFolder, tmp_path: Path) -> None:
    folder = tmp_path / "minilm"
    shutil.copytree(models.path("minilm"), folder)
    for name in ("vocab.txt", "tokenizer.json"):
        (folder / name).unlink()
    with pytest.raises(ModelCorrupt) as caught:
        SentenceModel(folder, dim=384)
    assert caught.value.detail["expected"] == 30522


@pytest.mark.weights
def test_model_of_another_dimension_is_refused(models: ModelFolder) -> None:
    with pytest.raises(ModelCorrupt, match="expected vectors of length 512, got 384"):
        SentenceModel(models.path("minilm"), dim=512)


@pytest.mark.weights
def test_loading_is_silent_and_asks_no_hub(models: ModelFolder) -> None:
    code = (
        "import socket, sys\n"
        "def refuse(*_, **__): raise SystemExit('the network was asked')\n"
        "socket.getaddrinfo = socket.socket.connect = refuse\n"
        "from pathlib import Path\n"
        "from encoders.sentences.encoder import SentenceModel\n"
        f"model = SentenceModel(Path({str(models.path('minilm'))!r}), dim=384)\n"
        "model.encode_texts(['a cat'] * 40)\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "HF_HUB_OFFLINE"}
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=environment
    )
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "", "")


# Twenty inputs: plain, long, other scripts, marks, control characters, broken surrogates.
GOLDEN_TEXTS = [
    *TEXTS,
    "the cat sleeps on the warm windowsill",
    "THE DOG",
    "na\u00efve caf\u00e9",
    "nai\u0308ve cafe\u0301",
    "\u0440\u0443\u0441\u0441\u043a\u0438\u0439 \u0442\u0435\u043a\u0441\u0442",
    "\u0645\u0631\u062d\u0628\u0627",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1eb\U0001f1f7",
    "caf\udce9 menu",
    "\ud83d",
    "\x00\x07\u200b",
    "3.14159 & <b>bold</b> [CLS] <s>",
    "a" * 3000,
    "market fell, rain fell; " * 200,
]
GOLDEN_COSINE = 0.9999
MODELS: dict[str, Callable[[Path], Path]] = {
    "bert": bert_model,
    "bert_cls_dense": lambda folder: bert_model(folder, pooling="cls", dense=24),
    "bert_two_poolings": lambda folder: bert_model(folder, pooling=("cls", "max")),
    "bert_without_prompt": lambda folder: bert_model(folder, include_prompt=False),
    "bert_default_prompt": lambda folder: bert_model(
        folder, prompts={"sts": "represent "}, default_prompt="sts"
    ),
    "roberta_cls": roberta_model,
    "roberta_last": lambda folder: roberta_model(folder, pooling="lasttoken"),
}
CASES = [(name, prompt) for name in MODELS for prompt in ("", "query: ")]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("sentence-models")
    return {name: make(root / name) for name, make in MODELS.items()}


@pytest.fixture(scope="module")
def references(folders: dict[str, Path]) -> dict[str, Any]:
    from sentence_transformers import SentenceTransformer

    return {
        name: SentenceTransformer(str(folder), device="cpu", local_files_only=True)
        for name, folder in folders.items()
    }


@pytest.fixture(scope="module")
def small_models(folders: dict[str, Path]) -> dict[str, SentenceModel]:
    return {name: small_model(folder) for name, folder in folders.items()}


def small_model(folder: Path) -> SentenceModel:
    return SentenceModel(folder, dim=sentence_facts(folder).dim)


def identity(dim: int) -> EncoderIdentity:
    return EncoderIdentity("small", "small", dim, "text")


def reference_vectors(model: Any, prompt: str, dim: int | None = None) -> Vectors:
    texts = [text.encode("utf-8", "replace").decode() for text in GOLDEN_TEXTS]
    vectors: Vectors = model.encode(
        texts, prompt=prompt, truncate_dim=dim, normalize_embeddings=True, show_progress_bar=False
    )
    return vectors


@pytest.mark.parametrize(("name", "prompt"), CASES)
def test_vectors_are_those_of_the_library(
    name: str, prompt: str, small_models: dict[str, SentenceModel], references: dict[str, Any]
) -> None:
    ours = small_models[name].encode_texts(GOLDEN_TEXTS, prompt=prompt)
    theirs = reference_vectors(references[name], prompt)
    np.testing.assert_allclose(ours, theirs, atol=ATOL)
    assert ((ours * theirs).sum(axis=1) >= GOLDEN_COSINE).all()


@pytest.mark.parametrize("dim", [1, 7, 32])
def test_shortened_vectors_are_those_of_the_library(
    dim: int, small_models: dict[str, SentenceModel], references: dict[str, Any]
) -> None:
    encoder = SentenceEncoder(small_models["bert"], identity(dim), prompt="query: ", dim=dim)
    ours = encoder.encode(GOLDEN_TEXTS)
    theirs = reference_vectors(references["bert"], "query: ", dim)
    assert ours.shape == (len(GOLDEN_TEXTS), dim)
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-5)
    assert ((ours * theirs).sum(axis=1) >= GOLDEN_COSINE).all()


@pytest.mark.parametrize("dim", [0, -1, 33])
def test_dim_that_the_model_does_not_give_is_refused(
    dim: int, small_models: dict[str, SentenceModel]
) -> None:
    with pytest.raises(ConfigError, match=f"between 1 and the 32 .* got {dim}"):
        SentenceEncoder(small_models["bert"], identity(dim), dim=dim)


@pytest.mark.parametrize("name", MODELS)
def test_texts_of_a_small_model_are_encoded_the_same_together_and_alone(
    name: str, small_models: dict[str, SentenceModel]
) -> None:
    model = small_models[name]
    together = model.encode_texts(GOLDEN_TEXTS, prompt="query: ")
    alone = [model.encode_texts([text], prompt="query: ") for text in GOLDEN_TEXTS]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=ATOL)


@pytest.mark.parametrize("name", ["bert_cls_dense", "roberta_cls"])
def test_loading_again_gives_the_same_vectors(
    name: str, folders: dict[str, Path], small_models: dict[str, SentenceModel]
) -> None:
    again = small_model(folders[name]).encode_texts(GOLDEN_TEXTS)
    np.testing.assert_array_equal(again, small_models[name].encode_texts(GOLDEN_TEXTS))


def test_a_prompt_moves_vectors(small_models: dict[str, SentenceModel]) -> None:
    plain, prompted = (
        SentenceEncoder(small_models["bert"], identity(32), prompt=prompt).encode(["the cat"])
        for prompt in ("", "query: ")
    )
    assert (plain * prompted).sum() < GOLDEN_COSINE


def test_no_prompt_means_none_also_where_the_model_has_a_default(
    small_models: dict[str, SentenceModel], folders: dict[str, Path], references: dict[str, Any]
) -> None:
    name = "bert_default_prompt"
    default = prompt_for("query", sentence_facts(folders[name]), None)
    assert default == "represent "
    plain = small_models[name].encode_texts(["the cat"])
    np.testing.assert_allclose(
        small_models[name].encode_texts(["the cat"], prompt=default),
        references[name].encode(["the cat"], show_progress_bar=False),
        atol=ATOL,
    )
    np.testing.assert_allclose(plain, small_models["bert"].encode_texts(["the cat"]), atol=ATOL)


def test_own_prompts_of_a_model_reach_its_vectors(tmp_path: Path) -> None:
    folder = bert_model(tmp_path / "e5", prompts=PROMPTS)
    model = small_model(folder)
    for role in ("query", "passage"):
        prompt = prompt_for(role, sentence_facts(folder), None)
        np.testing.assert_array_equal(
            SentenceEncoder(model, identity(32), prompt=prompt).encode(["the cat"]),
            model.encode_texts([f"{role}: the cat"]),
        )


def test_tokenizer_of_a_few_marks_is_refused(tmp_path: Path) -> None:
    folder = bert_model(tmp_path / "bert")
    (folder / "tokenizer.json").unlink()
    # What is left for transformers to build a tokenizer from in a model saved by older releases.
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "BertTokenizer"})
    with pytest.raises(ModelCorrupt, match=f"network knows {NUM_ROWS} word pieces, the tokenizer"):
        small_model(folder)


def test_tokenizer_with_ids_beyond_the_network_is_refused(tmp_path: Path) -> None:
    folder = bert_model(tmp_path / "bert")
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"]["beyond"] = NUM_ROWS
    write_json(folder / "tokenizer.json", tokenizer)
    with pytest.raises(ModelCorrupt, match=f"ids up to {NUM_ROWS}"):
        small_model(folder)


def test_missing_weights_file_is_refused(tmp_path: Path) -> None:
    folder = bert_model(tmp_path / "bert")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelCorrupt, match=r"cannot load this model: .*model\.safetensors"):
        small_model(folder)


def test_missing_weights_of_a_dense_module_are_refused(tmp_path: Path) -> None:
    folder = bert_model(tmp_path / "bert", dense=16)
    (folder / "2_Dense/model.safetensors").unlink()
    with pytest.raises(ModelCorrupt, match="cannot load this model"):
        small_model(folder)


def test_weights_that_lack_a_tensor_are_refused_by_its_name(tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    folder = bert_model(tmp_path / "bert")
    weights = load_file(folder / "model.safetensors")
    name = "encoder.layer.1.output.dense.weight"
    kept = {key: value for key, value in weights.items() if key != name and "pooler" not in key}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelCorrupt) as caught:
        small_model(folder)
    assert caught.value.detail["missing"] == [name]


def test_weights_without_the_unused_pooler_are_taken(tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    folder = bert_model(tmp_path / "bert")
    weights = load_file(folder / "model.safetensors")
    kept = {key: value for key, value in weights.items() if "pooler" not in key}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    assert small_model(folder).encode_texts(["a"]).shape == (1, 32)


def test_code_that_a_model_brings_is_not_run(tmp_path: Path) -> None:
    folder = bert_model(tmp_path / "bert")
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["type"] = "custom_st.Transformer"
    write_json(folder / "modules.json", modules)
    (folder / "custom_st.py").write_text("raise SystemExit('ran')")
    with pytest.raises(ModelCorrupt, match=r"custom_st\.Transformer"):
        SentenceModel(folder, dim=32)
