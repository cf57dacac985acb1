import pytest

from encoders.errors import ModelCorrupt
from encoders.models.checkpoint_files import needed_files
from encoders.models.checkpoints import Family

SENTENCE = [
    ".gitattributes",
    "1_Pooling/config.json",
    "2_Dense/config.json",
    "2_Dense/model.safetensors",
    "2_Dense/pytorch_model.bin",
    "README.md",
    "config.json",
    "config_sentence_transformers.json",
    "model.safetensors",
    "modules.json",
    "onnx/model.onnx",
    "onnx/model_quint8_avx2.onnx",
    "openvino/openvino_model.bin",
    "pytorch_model.bin",
    "rust_model.ot",
    "sentencepiece.bpe.model",
    "tf_model.h5",
    "tokenizer.json",
    "vocab.txt",
]


def test_a_sentence_model_is_taken_as_safetensors_without_copies_for_other_programs() -> None:
    left_out = set(SENTENCE) - set(needed_files("sentence_transformers", SENTENCE))
    assert left_out == {
        ".gitattributes",
        "2_Dense/pytorch_model.bin",
        "README.md",
        "onnx/model.onnx",
        "openvino/openvino_model.bin",
        "pytorch_model.bin",
        "rust_model.ot",
        "tf_model.h5",
    }


def test_pickles_are_taken_where_there_is_nothing_else() -> None:
    names = ["config.json", "preprocessor_config.json", "pytorch_model.bin", "vocab.json"]
    assert needed_files("laion_clap", names) == names


def test_a_large_model_in_parts_is_taken_whole() -> None:
    names = [
        "config.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
    ]
    assert needed_files("sentence_transformers", names) == names


def test_a_whisper_model_has_its_own_binary() -> None:
    names = ["README.md", "config.json", "model.bin", "tokenizer.json", "vocabulary.json"]
    assert needed_files("whisper", names) == names[1:]


@pytest.mark.parametrize("family", ["sentence_transformers", "laion_clap", "whisper"])
def test_files_without_weights_are_refused(family: Family) -> None:
    with pytest.raises(ModelCorrupt, match=f"no weights of a {family} model"):
        needed_files(family, ["config.json", "tf_model.h5"])
