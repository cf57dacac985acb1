from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from encoders.errors import ConfigError, ModelCorrupt
from encoders.sentences.facts import (
    PoolingFacts,
    Role,
    SentenceFacts,
    prompt_for,
    sentence_facts,
    shortened_dim,
)
from tests.small_sentence_models import PROMPTS, write_json

ROOT = Path(__file__).resolve().parents[3]
MEAN = {"word_embedding_dimension": 384, "pooling_mode_mean_tokens": True}


def folder_of(
    path: Path,
    *modules: tuple[str, dict[str, Any]],
    config: dict[str, Any] | None = None,
    settings: dict[str, Any] | None = None,
) -> Path:
    """Write the JSON files of a model whose first module is a Transformer."""
    entries = [{"type": "sentence_transformers.models.Transformer", "path": ""}]
    for number, (kind, fields) in enumerate(modules, 1):
        subfolder = f"{number}_{kind}"
        entries.append({"type": f"sentence_transformers.models.{kind}", "path": subfolder})
        write_json(path / subfolder / "config.json", fields)
    write_json(path / "modules.json", entries)
    write_json(path / "config.json", {"max_position_embeddings": 512} | (config or {}))
    if settings is not None:
        write_json(path / "config_sentence_transformers.json", settings)
    return path


def facts_of(path: Path, prompts: dict[str, Any], default: str | None = None) -> SentenceFacts:
    settings = {"prompts": prompts, "default_prompt_name": default}
    return sentence_facts(folder_of(path, ("Pooling", MEAN), settings=settings))


def test_dim_is_that_of_the_last_module(tmp_path: Path) -> None:
    dense = {"in_features": 1152, "out_features": 512}
    new = {"embedding_dimension": 384, "pooling_mode": ["cls", "mean", "max"]}
    cases: list[tuple[int, list[tuple[str, dict[str, Any]]]]] = [
        (384, [("Pooling", MEAN)]),
        (768, [("Pooling", MEAN | {"pooling_mode_max_tokens": True}), ("Normalize", {})]),
        (512, [("Pooling", new), ("Dense", dense), ("Normalize", {})]),
        (384, [("Pooling", {"word_embedding_dimension": 384})]),
    ]
    for number, (dim, modules) in enumerate(cases):
        assert sentence_facts(folder_of(tmp_path / str(number), *modules)).dim == dim


def test_saved_truncation_shortens_the_dim(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, ("Pooling", MEAN), settings={"truncate_dim": 256})
    assert sentence_facts(folder).dim == 256


def test_facts_of_a_whole_folder(tmp_path: Path) -> None:
    folder = folder_of(
        tmp_path,
        ("Pooling", MEAN | {"include_prompt": False}),
        config={"vocab_size": 30522},
        settings={"prompts": PROMPTS, "similarity_fn_name": "dot"},
    )
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": 256, "do_lower_case": True})
    (folder / "onnx").mkdir()
    (folder / "onnx/model_int8.onnx").touch()
    assert sentence_facts(folder) == SentenceFacts(
        dim=384,
        max_word_pieces=256,
        prompts=PROMPTS,
        default_prompt="",
        similarity="dot",
        modules=("Transformer", "Pooling"),
        pooling=PoolingFacts(("mean",), False),
        lower_case=True,
        vocab_size=30522,
        onnx_files=("onnx/model_int8.onnx",),
    )


@pytest.mark.parametrize(
    ("tokenizer_limit", "network_limit", "expected"),
    [(512, 514, 512), (8192, 512, 512), (10**30, 512, 512), (10**30, -1, None), (None, None, None)],
)
def test_limit_is_the_smaller_of_tokenizer_and_network(
    tokenizer_limit: int | None, network_limit: int | None, expected: int | None, tmp_path: Path
) -> None:
    config = {"max_position_embeddings": network_limit}
    folder = folder_of(tmp_path, ("Pooling", MEAN), config=config)
    write_json(folder / "tokenizer_config.json", {"model_max_length": tokenizer_limit})
    assert sentence_facts(folder).max_word_pieces == expected


def test_static_word_vectors_tell_their_dim(tmp_path: Path) -> None:
    kind = "sentence_transformers.models.StaticEmbedding"
    write_json(tmp_path / "modules.json", [{"type": kind, "path": "0_Static"}])
    header = json.dumps({"embedding.weight": {"dtype": "F32", "shape": [1000, 1024]}}).encode()
    (tmp_path / "0_Static").mkdir()
    (tmp_path / "0_Static/model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    facts = sentence_facts(tmp_path)
    assert (facts.dim, facts.pooling, facts.max_word_pieces) == (1024, None, None)


@pytest.mark.parametrize(
    ("role", "prompts", "default", "configured", "expected"),
    [
        ("query", PROMPTS, None, None, "query: "),
        ("passage", PROMPTS, None, None, "passage: "),
        ("passage", {"document": "doc: ", "passage": "passage: "}, None, None, "doc: "),
        ("passage", {"document": "", "passage": "passage: "}, None, None, "passage: "),
        ("query", PROMPTS, None, "find: ", "find: "),
        ("query", PROMPTS, None, "", ""),
        ("passage", {"query": "query: "}, None, None, ""),
        ("passage", {"query": "query: ", "document": None}, None, None, ""),
        ("query", {"sts": "same: "}, "sts", None, "same: "),
        ("query", {"sts": "same: ", "query": ""}, "sts", None, ""),
        ("query", {}, None, None, ""),
    ],
)
def test_configured_prompt_wins_then_the_models_own(
    role: Role,
    prompts: dict[str, Any],
    default: str | None,
    configured: str | None,
    expected: str,
    tmp_path: Path,
) -> None:
    assert prompt_for(role, facts_of(tmp_path, prompts, default), configured) == expected


def test_shortened_dim_is_between_one_and_the_models() -> None:
    assert [shortened_dim(384, dim) for dim in (None, 1, 384)] == [384, 1, 384]
    for dim in (0, -5, 385):
        with pytest.raises(ConfigError, match="between 1 and the 384"):
            shortened_dim(384, dim)


@pytest.mark.parametrize(
    ("name", "content", "field"),
    [
        ("modules.json", None, ""),
        ("modules.json", "{", ""),
        ("modules.json", "[]", ""),
        ("modules.json", '[{"path": ""}]', "[0].type"),
        ("modules.json", '[{"type": "custom_st.Transformer"}]', "[0].type"),
        ("modules.json", '[{"type": "sentence_transformers.models.LSTM"}]', "[0].type"),
        ("modules.json", '[{"type": "sentence_transformers.models.Pooling"}]', "[0].type"),
        (
            "modules.json",
            '[{"type": "sentence_transformers.models.Transformer", "path": "../other"}]',
            "[0].path",
        ),
        ("config.json", None, ""),
        ("1_Pooling/config.json", None, ""),
        ("1_Pooling/config.json", "{}", "embedding_dimension or word_embedding_dimension"),
        (
            "1_Pooling/config.json",
            '{"embedding_dimension": 384, "pooling_mode": "median"}',
            "pooling_mode",
        ),
        ("2_Dense/config.json", '{"in_features": 384}', "out_features"),
        ("2_Dense/config.json", '{"in_features": 768, "out_features": 8}', "in_features"),
        ("config_sentence_transformers.json", '{"prompts": {"query": 3}}', "prompts.query"),
        ("config_sentence_transformers.json", '{"truncate_dim": 0}', "truncate_dim"),
        ("config.json", '{"vocab_size": "many"}', "vocab_size"),
        ("sentence_bert_config.json", '{"max_seq_length": "long"}', "max_seq_length"),
    ],
)
def test_fault_is_refused_by_file_and_field(
    name: str, content: str | None, field: str, tmp_path: Path
) -> None:
    dense = ("Dense", {"in_features": 384, "out_features": 128})
    folder = folder_of(tmp_path, ("Pooling", MEAN), dense)
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(content)
    with pytest.raises(ModelCorrupt) as caught:
        sentence_facts(folder)
    assert caught.value.detail["file"] == Path(name).name
    assert caught.value.detail["field"] == field
    assert name in caught.value.message


def test_facts_bring_no_model_library(tmp_path: Path) -> None:
    folder_of(tmp_path, ("Pooling", MEAN))
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from encoders.sentences.facts import sentence_facts\n"
        f"sentence_facts(Path({str(tmp_path)!r}))\n"
        "print(' '.join(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout.split()
    assert {"torch", "transformers", "sentence_transformers", "onnxruntime"}.isdisjoint(loaded)
