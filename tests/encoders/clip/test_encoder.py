from __future__ import annotations

import json
import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from encoders.clip.encoder import (
    OpenClipNetwork,
    Precision,
    open_clip_dim,
    open_clip_parameters,
)
from encoders.clip.folder import CONFIG_NAME, WEIGHTS_NAME
from encoders.clip.library import open_clip_library
from encoders.encoder import Encoder, EncoderIdentity
from encoders.errors import DependencyMissing, ModelCorrupt, ModelMissing
from encoders.media.content import Picture
from encoders.run_size import CONTENTS_BEFORE_WARM_UP, RunBudget
from encoders.space import Vectors, unit_rows
from encoders.tower_encoder import TowerEncoder
from tests.generated_media import gradient, scene
from tests.small_open_clip import (
    DIM,
    bert_architecture,
    small_architecture,
    write_bert,
    write_small_model,
)

ROOT = Path(__file__).resolve().parents[3]
ATOL = 1e-4  # float32 through two layers, with and without padding
MIN_COSINE = 0.9999
HALF_MIN_COSINE = 0.999  # bfloat16 weights have an 8-bit significand

PICTURES = [
    *(Picture(scene(number)) for number in range(12)),
    Picture(gradient(1, 1)),
    Picture(gradient(1, 300)),
    Picture(gradient(300, 2)),
    Picture(gradient(31, 33)),
    Picture(gradient(32, 32, seed=3)),
    Picture(gradient(500, 333, seed=5)),
    Picture(gradient(900, 60, seed=2)),
    Picture(gradient(8000, 40, seed=1)),
]
LESS_LONG = [
    Picture(gradient(40, 30, seed=4)),
    *(
        picture
        for picture in PICTURES
        if max(picture.pixels.shape) < 32 * min(picture.pixels.shape[:2])
    ),
]
TEXTS = [
    "",
    "cat",
    "a photo of a cat",
    "A Photo of a CAT",
    "two dogs, one cat & a bird",
    "tom &amp; jerry",
    "\n\t ",
    "猫が窓辺で眠っている",
    "e\u0301te\u0301 \u00fcber stra\u00dfe",
    "\U0001f431\U0001f408\u200d\u2b1b",
    "שלום עולם",
    "word " * 4000,
    "x" * 300,
    "1234567890 " * 10,
    "<end_of_text> <start_of_text>",
    "don't won't it's",
    "sunset over the sea",
    "a diagram",
    "!!! ???",
    "caf\u00c3\u00a9",
]


def reference(folder: Path) -> tuple[Callable[[Any], Vectors], Callable[[Any], Vectors]]:
    """Return open_clip's own way from pictures and from texts to unit rows."""
    library = open_clip_library()
    network, _, preprocess = library.create_model_and_transforms(f"local-dir:{folder}")
    network.eval()
    tokenizer = library.get_tokenizer(f"local-dir:{folder}")

    def pictures(batch: list[Picture]) -> Vectors:
        pixels = torch.stack([preprocess(Image.fromarray(picture.pixels)) for picture in batch])
        with torch.inference_mode():
            return unit_rows(network.encode_image(pixels).numpy())

    def texts(batch: list[str]) -> Vectors:
        with torch.inference_mode():
            return unit_rows(network.encode_text(tokenizer(batch)).numpy())

    return pictures, texts


def cosines(left: Vectors, right: Vectors) -> Vectors:
    return (left * right).sum(axis=1)


def changed_config(folder: Path, **changes: Any) -> None:
    path = folder / CONFIG_NAME
    config = json.loads(path.read_text())
    config["model_cfg"].update(changes)
    path.write_text(json.dumps(config))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_model(tmp_path_factory.mktemp("open_clip") / "small")


@pytest.fixture(scope="module")
def network(model: Path) -> OpenClipNetwork:
    return OpenClipNetwork(model)


@pytest.fixture(scope="module")
def bert_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_bert(tmp_path_factory.mktemp("open_clip") / "bert")
    return write_small_model(folder, bert_architecture(folder))


@pytest.fixture
def copy(model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model, tmp_path / "copy"))


def test_both_encoders_give_float32_unit_rows(network: OpenClipNetwork) -> None:
    picture_side: Encoder[Picture] = TowerEncoder(
        network.encode_pictures, EncoderIdentity("p", "space", DIM, "image")
    )
    text_side: Encoder[str] = TowerEncoder(
        network.encode_texts, EncoderIdentity("t", "space", DIM, "text")
    )
    for vectors, count in (
        (picture_side.encode(PICTURES), len(PICTURES)),
        (text_side.encode(TEXTS), len(TEXTS)),
    ):
        assert vectors.shape == (count, DIM)
        assert vectors.dtype == np.float32
        assert vectors.flags.c_contiguous
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert (picture_side.identity.encoder_id, text_side.identity.encoder_id) == ("p", "t")


def test_empty_batch_gives_no_rows(network: OpenClipNetwork) -> None:
    assert network.encode_pictures([]).shape == (0, DIM)
    assert network.encode_texts([]).shape == (0, DIM)


@pytest.mark.parametrize(
    "preprocess",
    [
        {},
        {"resize_mode": "squash", "mean": [0.5] * 3, "std": [0.5] * 3},
        {"resize_mode": "longest", "interpolation": "bilinear", "fill_color": 255},
        {"interpolation": "bilinear", "mean": [0.0] * 3, "std": [1.0] * 3},
    ],
)
def test_pictures_and_texts_get_the_vectors_of_the_library(
    preprocess: dict[str, Any], tmp_path: Path
) -> None:
    folder = write_small_model(tmp_path, preprocess=preprocess)
    network = OpenClipNetwork(folder)
    pictures, texts = reference(folder)
    # The library fails where the short side of a picture shown whole would vanish.
    batch = LESS_LONG if preprocess.get("resize_mode") == "longest" else PICTURES
    assert cosines(network.encode_pictures(batch), pictures(batch)).min() >= MIN_COSINE
    assert cosines(network.encode_texts(TEXTS), texts(TEXTS)).min() >= MIN_COSINE


@pytest.mark.parametrize(
    "architecture",
    [
        small_architecture(custom_text=True),
        small_architecture(quick_gelu=True, init_logit_bias=-10),
        small_architecture(
            custom_text=True,
            text_cfg={
                "width": 32,
                "heads": 2,
                "layers": 2,
                "no_causal_mask": True,
                "pool_type": "last",
                "proj_bias": True,
            },
        ),
        small_architecture(
            vision_cfg={"image_size": [24, 40], "patch_size": 8, "width": 64, "layers": 2}
        ),
        small_architecture(
            vision_cfg={"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "head_width": 8}
        ),
    ],
    ids=["text tower apart", "quick gelu", "siglip's text tower", "oblong", "resnet"],
)
def test_other_architectures_get_the_vectors_of_the_library(
    architecture: dict[str, Any], tmp_path: Path
) -> None:
    folder = write_small_model(tmp_path, architecture)
    network = OpenClipNetwork(folder)
    pictures, texts = reference(folder)
    assert cosines(network.encode_pictures(PICTURES), pictures(PICTURES)).min() >= MIN_COSINE
    assert cosines(network.encode_texts(TEXTS), texts(TEXTS)).min() >= MIN_COSINE


def test_text_tower_of_transformers_gets_the_vectors_of_the_library(bert_model: Path) -> None:
    pictures, texts = reference(bert_model)
    network = OpenClipNetwork(bert_model)
    assert cosines(network.encode_texts(TEXTS), texts(TEXTS)).min() >= MIN_COSINE
    assert cosines(network.encode_pictures(PICTURES), pictures(PICTURES)).min() >= MIN_COSINE


def test_text_tower_of_transformers_is_read_from_the_folder_alone(
    bert_model: Path, tmp_path: Path
) -> None:
    before = OpenClipNetwork(bert_model).encode_texts(TEXTS)
    folder = Path(shutil.copytree(bert_model, tmp_path / "copy"))
    changed_config(
        folder,
        text_cfg={
            **bert_architecture("nobody/nothing")["text_cfg"],
            "hf_model_pretrained": True,
        },
    )
    np.testing.assert_array_equal(OpenClipNetwork(folder).encode_texts(TEXTS), before)


def test_batch_gives_the_same_vectors_as_single(network: OpenClipNetwork) -> None:
    together = network.encode_pictures(PICTURES * 2)
    alone = np.concatenate([network.encode_pictures([picture]) for picture in PICTURES])
    np.testing.assert_allclose(together, np.tile(alone, (2, 1)), atol=ATOL)
    together = network.encode_texts(TEXTS * 4)
    alone = np.concatenate([network.encode_texts([text]) for text in TEXTS])
    np.testing.assert_allclose(together, np.tile(alone, (4, 1)), atol=ATOL)


def test_vectors_stay_the_same_when_run_sizes_are_chosen(
    model: Path, network: OpenClipNetwork, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "kindred.encoders")
    chosen = OpenClipNetwork(model, run_budget=RunBudget())
    many = CONTENTS_BEFORE_WARM_UP // len(PICTURES) + 1
    for _ in range(many):
        chosen.encode_pictures(PICTURES)
        chosen.encode_texts(TEXTS)
    pictures, texts = chosen.encode_pictures(PICTURES), chosen.encode_texts(TEXTS)
    assert sorted(re.findall("open_clip's [a-z]+ tower", caplog.text)) == [
        "open_clip's image tower",
        "open_clip's text tower",
    ]
    np.testing.assert_allclose(pictures, network.encode_pictures(PICTURES), atol=ATOL)
    np.testing.assert_allclose(texts, network.encode_texts(TEXTS), atol=ATOL)


def test_two_loads_give_the_same_vectors(model: Path, network: OpenClipNetwork) -> None:
    again = OpenClipNetwork(model)
    np.testing.assert_array_equal(again.encode_texts(TEXTS), network.encode_texts(TEXTS))
    np.testing.assert_array_equal(
        again.encode_pictures(PICTURES), network.encode_pictures(PICTURES)
    )


def test_different_texts_and_pictures_get_different_vectors(network: OpenClipNetwork) -> None:
    texts = network.encode_texts(["a cat", "a dog"])
    pictures = network.encode_pictures(PICTURES[:2])
    assert texts[0] @ texts[1] < 0.999
    assert pictures[0] @ pictures[1] < 0.9999


def test_half_a_surrogate_pair_is_encoded(network: OpenClipNetwork) -> None:
    assert np.isfinite(network.encode_texts(["caf\udce9 menu"])).all()


def test_words_beyond_the_context_have_no_influence(network: OpenClipNetwork) -> None:
    left, right = network.encode_texts(["cat " * 200 + "dog", "cat " * 200 + "bird"])
    np.testing.assert_allclose(left, right, atol=ATOL)


def test_random_masking_of_training_is_left_out(tmp_path: Path) -> None:
    architecture = small_architecture()
    architecture["text_cfg"]["tokenizer_kwargs"] = {"reduction_mask": "random"}
    folder = write_small_model(tmp_path / "masked", small_architecture())
    changed_config(folder, **architecture)
    network = OpenClipNetwork(folder)
    long = " ".join(f"word{number}" for number in range(300))
    np.testing.assert_array_equal(network.encode_texts([long]), network.encode_texts([long]))


def test_threads_share_a_network(network: OpenClipNetwork) -> None:
    batches = [TEXTS[start : start + 5] for start in range(0, 20, 5)] * 3
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(network.encode_texts, batches))
    for batch, vectors in zip(batches, together, strict=True):
        np.testing.assert_allclose(vectors, network.encode_texts(batch), atol=ATOL)


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_half_precision_gives_nearly_the_same_vectors(
    precision: Precision, model: Path, bert_model: Path
) -> None:
    for folder in (model, bert_model):
        full, half = OpenClipNetwork(folder), OpenClipNetwork(folder, precision=precision)
        texts = cosines(full.encode_texts(TEXTS), half.encode_texts(TEXTS))
        pictures = cosines(full.encode_pictures(PICTURES), half.encode_pictures(PICTURES))
        assert min(texts.min(), pictures.min()) >= HALF_MIN_COSINE


def test_dim_is_read_from_the_configuration(model: Path) -> None:
    assert open_clip_dim(model) == DIM


def test_parameters_are_json_ready() -> None:
    assert json.loads(json.dumps(open_clip_parameters())) == open_clip_parameters()


def test_folder_without_configuration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=CONFIG_NAME):
        open_clip_dim(tmp_path)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("no json", "not JSON"),
        ("[]", "model_cfg"),
        ("{}", "model_cfg"),
        ('{"model_cfg": {"vision_cfg": {}, "text_cfg": {}}}', "embed_dim"),
        ('{"model_cfg": {"embed_dim": 16, "text_cfg": {}}}', "vision_cfg"),
        ('{"model_cfg": {"embed_dim": 16, "vision_cfg": {}}}', "text_cfg"),
        ('{"model_cfg": {"embed_dim": "16", "vision_cfg": {}, "text_cfg": {}}}', "embed_dim"),
        ('{"model_cfg": {"embed_dim": 0, "vision_cfg": {}, "text_cfg": {}}}', "embed_dim"),
    ],
)
def test_wrong_configuration_is_refused_by_entry(content: str, named: str, tmp_path: Path) -> None:
    (tmp_path / CONFIG_NAME).write_text(content)
    with pytest.raises(ModelCorrupt, match=named):
        open_clip_dim(tmp_path)


def test_missing_weights_are_refused(copy: Path) -> None:
    (copy / WEIGHTS_NAME).rename(copy / "open_clip_pytorch_model.bin")
    with pytest.raises(ModelMissing, match=WEIGHTS_NAME):
        OpenClipNetwork(copy)


def test_damaged_weights_are_refused(copy: Path) -> None:
    (copy / WEIGHTS_NAME).write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ModelCorrupt, match="not a safetensors file"):
        OpenClipNetwork(copy)


def test_missing_and_unexpected_tensors_are_named(copy: Path) -> None:
    tensors = load_file(copy / WEIGHTS_NAME)
    tensors["text_projections"] = tensors.pop("text_projection")
    save_file(tensors, copy / WEIGHTS_NAME)
    with pytest.raises(ModelCorrupt, match=r'(?s)"text_projection".*"text_projections"'):
        OpenClipNetwork(copy)


def test_dim_that_weights_do_not_have_is_refused(copy: Path) -> None:
    changed_config(copy, embed_dim=24)
    with pytest.raises(ModelCorrupt, match="24"):
        OpenClipNetwork(copy)


def test_tower_of_another_dim_is_refused(tmp_path: Path) -> None:
    architecture = small_architecture(custom_text=True)
    architecture["text_cfg"]["proj_type"] = "none"
    folder = write_small_model(tmp_path, architecture)
    with pytest.raises(ModelCorrupt, match=r"embed_dim 16, the text tower .*\(32,\)"):
        OpenClipNetwork(folder)


def test_tokenizer_of_another_vocabulary_is_refused(tmp_path: Path) -> None:
    architecture = small_architecture()
    architecture["text_cfg"]["vocab_size"] = 1000
    folder = write_small_model(tmp_path, architecture)
    with pytest.raises(ModelCorrupt, match="knows 1000 tokens, the tokenizer 49408"):
        OpenClipNetwork(folder)


def test_empty_tokenizer_is_refused(bert_model: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(bert_model, tmp_path / "copy"))
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n")
    with pytest.raises(ModelCorrupt, match="the tokenizer 5"):
        OpenClipNetwork(folder)


def test_folder_without_tokenizer_says_whose_is_needed(bert_model: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(bert_model, tmp_path / "copy"))
    changed_config(folder, text_cfg=bert_architecture("org/some-bert")["text_cfg"])
    for name in ("vocab.txt", "tokenizer.json"):
        (folder / name).unlink()
    with pytest.raises(ModelMissing, match="org/some-bert"):
        OpenClipNetwork(folder)


def test_text_tower_of_another_kind_is_refused(bert_model: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(bert_model, tmp_path / "copy"))
    (folder / "config.json").write_text('{"model_type": "clip"}')
    with pytest.raises(ModelCorrupt, match="type 'clip'"):
        OpenClipNetwork(folder)
    (folder / "config.json").unlink()
    with pytest.raises(ModelMissing, match=r"config\.json"):
        OpenClipNetwork(folder)


def test_code_that_comes_with_a_tokenizer_is_refused(bert_model: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(bert_model, tmp_path / "copy"))
    text = {
        **bert_architecture("org/some-bert")["text_cfg"],
        "tokenizer_kwargs": {"trust_remote_code": True},
    }
    changed_config(folder, text_cfg=text)
    with pytest.raises(ModelCorrupt, match="never run"):
        OpenClipNetwork(folder)


def test_missing_package_is_named(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(DependencyMissing, match="open-clip-torch"):
        OpenClipNetwork(model)


def test_loading_leaves_logging_alone(model: Path) -> None:
    root = logging.getLogger()
    before = (list(root.handlers), list(root.filters))
    OpenClipNetwork(model)
    assert (root.handlers, root.filters) == before


def test_loading_is_silent_and_asks_no_hub(bert_model: Path, model: Path) -> None:
    code = (
        "import socket, sys\n"
        "def refuse(*_, **__): raise SystemExit('the network was asked')\n"
        "socket.getaddrinfo = socket.socket.connect = refuse\n"
        "from pathlib import Path\n"
        "import encoders.clip.encoder as it\n"
        "assert not {'torch', 'open_clip', 'transformers'} & sys.modules.keys()\n"
        f"for folder in ({str(bert_model)!r}, {str(model)!r}):\n"
        "    it.OpenClipNetwork(Path(folder)).encode_texts(['a cat'] * 40)\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "HF_HUB_OFFLINE"}
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=environment
    )
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "", "")
