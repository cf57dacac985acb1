from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from encoders.config import SentenceConfig
from encoders.encoder import Encoder
from encoders.errors import ModelCorrupt
from encoders.loading import EncoderLoader
from encoders.sentence_encoder import SentenceModel
from encoders.weights import ModelFolder

pytestmark = pytest.mark.weights

ROOT = Path(__file__).resolve().parents[2]
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


def test_vectors_are_float32_unit_rows(encoder: Encoder[str]) -> None:
    vectors = encoder.encode(TEXTS)
    assert vectors.shape == (len(TEXTS), encoder.identity.dim)
    assert vectors.dtype == np.float32
    assert vectors.flags.c_contiguous
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_empty_batch_gives_no_rows(encoder: Encoder[str]) -> None:
    assert encoder.encode([]).shape == (0, encoder.identity.dim)


def test_batch_gives_the_same_vectors_as_single(encoder: Encoder[str]) -> None:
    together = encoder.encode(TEXTS * 12)
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(together, np.tile(alone, (12, 1)), atol=ATOL)


def test_kitten_is_nearer_to_cat_than_to_the_stock_market(encoder: Encoder[str]) -> None:
    kitten, cat, market = encoder.encode(["a kitten", "a cat", "the stock market"])
    assert kitten @ cat > kitten @ market + 0.3


def test_half_a_surrogate_pair_is_encoded(encoder: Encoder[str]) -> None:
    vectors = encoder.encode(["caf\udce9 menu"])
    assert np.isfinite(vectors).all()


def test_empty_tokenizer_is_refused(models: ModelFolder, tmp_path: Path) -> None:
    folder = tmp_path / "minilm"
    shutil.copytree(models.path("minilm"), folder)
    for name in ("vocab.txt", "tokenizer.json"):
        (folder / name).unlink()
    with pytest.raises(ModelCorrupt) as caught:
        SentenceModel(folder, dim=384)
    assert caught.value.detail["expected"] == 30522


def test_model_of_another_dimension_is_refused(models: ModelFolder) -> None:
    with pytest.raises(ModelCorrupt, match="expected vectors of length 512, got 384"):
        SentenceModel(models.path("minilm"), dim=512)


def test_loading_is_silent_and_asks_no_hub(models: ModelFolder) -> None:
    code = (
        "import socket, sys\n"
        "def refuse(*_, **__): raise SystemExit('the network was asked')\n"
        "socket.getaddrinfo = socket.socket.connect = refuse\n"
        "from pathlib import Path\n"
        "from encoders.sentence_encoder import SentenceModel\n"
        f"model = SentenceModel(Path({str(models.path('minilm'))!r}), dim=384)\n"
        "model.encode_texts(['a cat'] * 40)\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "HF_HUB_OFFLINE"}
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=environment
    )
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "", "")
