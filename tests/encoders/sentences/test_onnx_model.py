from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from encoders.encoder import EncoderIdentity
from encoders.errors import ConfigError, ModelCorrupt
from encoders.sentences.encoder import SentenceEncoder
from encoders.sentences.onnx_model import OnnxSentenceModel, int8_file
from tests.small_sentence_models import HIDDEN, NUM_ROWS, SENTENCE, bert_model, write_json

FILE = "onnx/model_int8.onnx"
TEXTS = ["", "the cat", SENTENCE, "猫 \U0001f431", "caf\udce9", "a dog " * 200, "\n\t "]
ATOL = 1e-5  # float32 sums of products that are exact integers


def write_network(path: Path, weights: NDArray[np.int8], *, inputs: tuple[str, ...] = ()) -> None:
    """Write a network that looks vectors up and multiplies them by ``weights`` in 8 bits."""
    from onnx import TensorProto, helper, numpy_helper, save

    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["looked_up"]),
        helper.make_node("DynamicQuantizeLinear", ["looked_up"], ["bytes", "scale", "zero"]),
        helper.make_node("MatMulInteger", ["bytes", "weights", "zero"], ["sums"]),
        helper.make_node("Cast", ["sums"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["numbers", "scale"], ["last_hidden_state"]),
    ]
    names = ("input_ids", "attention_mask", *inputs)
    shape = ["texts", "pieces"]
    graph = helper.make_graph(
        nodes,
        "words",
        [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in names],
        [
            helper.make_tensor_value_info(
                "last_hidden_state", TensorProto.FLOAT, [*shape, weights.shape[1]]
            )
        ],
        [numpy_helper.from_array(table(), "table"), numpy_helper.from_array(weights, "weights")],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    save(model, path)


def table() -> NDArray[np.float32]:
    return np.random.default_rng(5).uniform(-0.1, 1, (NUM_ROWS, HIDDEN)).astype(np.float32)


def signed_weights(dim: int = HIDDEN) -> NDArray[np.int8]:
    # Large and mostly of one sign: two products are more than 16 bits hold.
    return np.random.default_rng(6).integers(60, 127, (HIDDEN, dim)).astype(np.int8) * np.where(
        np.arange(dim) % 3, 1, -1
    ).astype(np.int8)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = bert_model(tmp_path_factory.mktemp("onnx") / "bert")
    write_network(folder / FILE, signed_weights())
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "bert")


def expected_vector(ids: list[int], mode: str) -> NDArray[np.float64]:
    """Compute by hand what the network gives for one text."""
    rows = table()[ids].astype(np.float64)
    scale = (max(rows.max(), 0) - min(rows.min(), 0)) / 255
    zero = np.round(-min(rows.min(), 0) / scale)
    integers = np.clip(np.round(rows / scale) + zero, 0, 255) - zero
    pieces = integers @ signed_weights().astype(np.float64)
    vector = pieces[0] if mode == "cls" else pieces.mean(axis=0)
    return np.asarray(vector / np.linalg.norm(vector))


def word_piece_ids(folder: Path, text: str) -> list[int]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(32)
    return list(tokenizer.encode(text.encode("utf-8", "replace").decode()).ids)


@pytest.mark.parametrize("mode", ["mean", "cls"])
def test_vectors_are_those_worked_out_in_whole_numbers(mode: str, folder: Path) -> None:
    fields = {"embedding_dimension": HIDDEN, "pooling_mode": mode}
    write_json(folder / "1_Pooling/config.json", fields)
    vectors = OnnxSentenceModel(folder, FILE, dim=HIDDEN).encode_texts(TEXTS)
    for vector, text in zip(vectors, TEXTS, strict=True):
        expected = expected_vector(word_piece_ids(folder, text), mode)
        np.testing.assert_allclose(vector, expected, atol=ATOL)


def test_vectors_are_float32_unit_rows(made: Path) -> None:
    vectors = OnnxSentenceModel(made, FILE, dim=HIDDEN).encode_texts(TEXTS)
    assert (vectors.shape, vectors.dtype) == ((len(TEXTS), HIDDEN), np.float32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_empty_batch_gives_no_rows(made: Path) -> None:
    assert OnnxSentenceModel(made, FILE, dim=HIDDEN).encode_texts([]).shape == (0, HIDDEN)


def test_neighbours_in_a_batch_move_no_vector(made: Path) -> None:
    model = OnnxSentenceModel(made, FILE, dim=HIDDEN)
    alone = np.concatenate([model.encode_texts([text]) for text in TEXTS])
    np.testing.assert_array_equal(model.encode_texts(TEXTS), alone)


def test_loading_again_gives_the_same_vectors(made: Path) -> None:
    first, second = (OnnxSentenceModel(made, FILE, dim=HIDDEN) for _ in range(2))
    np.testing.assert_array_equal(first.encode_texts(TEXTS), second.encode_texts(TEXTS))


def test_prompt_is_put_in_front_and_vectors_are_shortened(made: Path) -> None:
    model = OnnxSentenceModel(made, FILE, dim=HIDDEN)
    identity = EncoderIdentity("small", "small", 8, "text")
    got = SentenceEncoder(model, identity, prompt="query: ", dim=8).encode(["the cat"])
    whole = model.encode_texts(["query: the cat"])[:, :8]
    np.testing.assert_allclose(got, whole / np.linalg.norm(whole), atol=ATOL)


def test_small_letters_are_made_where_the_model_says_so(folder: Path) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["normalizer"] = None
    write_json(folder / "tokenizer.json", tokenizer)
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": 32, "do_lower_case": True})
    upper, lower = OnnxSentenceModel(folder, FILE, dim=HIDDEN).encode_texts(["THE Cat", "the cat"])
    np.testing.assert_array_equal(upper, lower)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pooling_mode": "lasttoken"}, "pooling by lasttoken"),
        ({"pooling_mode": ["cls", "mean"]}, "pooling by cls and mean"),
        ({"include_prompt": False}, "include_prompt: false"),
    ],
)
def test_pooling_that_only_torch_runs_is_refused_by_name(
    fields: dict[str, object], message: str, folder: Path
) -> None:
    write_json(folder / "1_Pooling/config.json", {"embedding_dimension": HIDDEN} | fields)
    with pytest.raises(ConfigError, match=message):
        OnnxSentenceModel(folder, FILE, dim=HIDDEN)


def test_dense_module_is_refused_by_name(tmp_path: Path) -> None:
    folder = bert_model(tmp_path / "bert", dense=16)
    with pytest.raises(ConfigError, match="module Dense"):
        OnnxSentenceModel(folder, FILE, dim=16)


def test_missing_tokenizer_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelCorrupt, match=r"tokenizer\.json: expected a tokenizer"):
        OnnxSentenceModel(folder, FILE, dim=HIDDEN)


def test_tokenizer_with_ids_beyond_the_network_is_refused(folder: Path) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"]["beyond"] = NUM_ROWS
    write_json(folder / "tokenizer.json", tokenizer)
    with pytest.raises(ModelCorrupt, match=f"ids up to {NUM_ROWS}"):
        OnnxSentenceModel(folder, FILE, dim=HIDDEN)


@pytest.mark.parametrize("content", [None, b"", b"no network"])
def test_file_that_is_no_network_is_refused(content: bytes | None, folder: Path) -> None:
    (folder / FILE).unlink()
    if content is not None:
        (folder / FILE).write_bytes(content)
    with pytest.raises(ModelCorrupt, match="expected a network for onnxruntime"):
        OnnxSentenceModel(folder, FILE, dim=HIDDEN)


def test_network_of_another_width_is_refused(folder: Path) -> None:
    write_network(folder / FILE, signed_weights(16))
    with pytest.raises(ModelCorrupt, match="expected vectors of length 32, got 16"):
        OnnxSentenceModel(folder, FILE, dim=HIDDEN)


def test_other_dim_than_the_folders_is_refused(made: Path) -> None:
    with pytest.raises(ModelCorrupt, match="expected vectors of length 64, got 32"):
        OnnxSentenceModel(made, FILE, dim=64)


def test_unknown_input_is_refused_by_name(folder: Path) -> None:
    write_network(folder / FILE, signed_weights(), inputs=("task_id",))
    with pytest.raises(ConfigError, match="wants task_id"):
        OnnxSentenceModel(folder, FILE, dim=HIDDEN)


EXPORTS = [
    "model.onnx",
    "model_O4.onnx",
    "model_qint8_arm64.onnx",
    "model_qint8_avx512.onnx",
    "model_qint8_avx512_vnni.onnx",
    "model_quint8_avx2.onnx",
]
ALL = [f"onnx/{name}" for name in EXPORTS]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (ALL, "onnx/model_quint8_avx2.onnx"),
        (["onnx/model_int8.onnx"], "onnx/model_int8.onnx"),
        (["model_quantized.onnx", "model.onnx"], "model_quantized.onnx"),
        (["model_uint8.onnx", "model_int8.onnx"], "model_uint8.onnx"),
        (["onnx/model_qint8_arm64.onnx"], "onnx/model_qint8_arm64.onnx"),
    ],
)
def test_the_same_file_is_chosen_on_every_machine(files: list[str], expected: str) -> None:
    assert int8_file(files, "e5") == expected
    assert int8_file(files[::-1], "e5") == expected


@pytest.mark.parametrize(
    ("files", "listed"), [([], "none"), (["onnx/model.onnx"], "onnx/model.onnx")]
)
def test_model_without_an_int8_file_lists_what_there_is(files: list[str], listed: str) -> None:
    with pytest.raises(ConfigError, match=f"e5 has no int8 file .* ONNX files: {listed}"):
        int8_file(files, "e5")
