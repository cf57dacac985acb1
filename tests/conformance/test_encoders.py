"""What holds for every encoder of every family."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from encoders.encoder import Encoder
from encoders.media.content import Picture, Sound
from tests.conformance.conftest import Subject
from tests.generated_media import sine

pytestmark = pytest.mark.weights

ROOT = Path(__file__).resolve().parents[2]

ATOL = 1e-4
"""How much a number of a vector may depend on what was encoded beside it: kernels of matrix
products differ with the size of a batch, in the last digits of float32.
"""

IDENTIFY = """
import json, sys
from pathlib import Path
import msgspec
from encoders.config import EncoderConfig
from encoders.loading import EncoderLoader
from encoders.models.folder import ModelFolder
config = msgspec.json.decode(sys.argv[2], type=EncoderConfig)
identity = EncoderLoader(ModelFolder(Path(sys.argv[1]))).identify(config)
print(json.dumps([identity.encoder_id, identity.space_id]))
"""


def noise(shape: tuple[int, ...]) -> Any:
    return np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8)


def pictures() -> list[Picture]:
    """Sizes that no camera gives beside usual ones."""
    return [
        Picture(noise((48, 64, 3))),
        Picture(noise((1, 1, 3))),
        Picture(np.full((8000, 8000, 3), 200, dtype=np.uint8)),
        Picture(noise((3, 900, 3))),
        Picture(np.zeros((224, 224, 3), dtype=np.uint8)),
    ]


def sounds(sample_rate_hz: int) -> list[Sound]:
    """Silence, a tenth of a second, and lengths around those that networks hear."""
    tone = sine(440.0, seconds=10.0, sample_rate_hz=sample_rate_hz)
    return [
        Sound(tone[: 3 * sample_rate_hz], sample_rate_hz),
        Sound(tone[: sample_rate_hz // 10], sample_rate_hz),
        Sound(np.zeros(2 * sample_rate_hz, dtype=np.float32), sample_rate_hz),
        Sound(tone, sample_rate_hz),
        Sound(tone[: sample_rate_hz + 1], sample_rate_hz),
    ]


TEXTS = [
    "a red poppy in a field",
    "",
    "Grüße aus Köln, 東京, Ελλάδα и Москва 🎧",
    "long " * 2000,
    "half a surrogate: \ud83c",
    "\x00\t\n",
]


def contents(encoder: Encoder[Any]) -> list[Any]:
    identity = encoder.identity
    if identity.medium == "text":
        return list(TEXTS)
    if identity.medium == "image":
        return pictures()
    assert identity.sample_rate_hz is not None, "encoders of sound name their rate"
    return sounds(identity.sample_rate_hz)


def test_rows_are_float32_of_length_one(encoder: Encoder[Any]) -> None:
    batch = contents(encoder)
    rows = encoder.encode(batch)
    assert rows.shape == (len(batch), encoder.identity.dim)
    assert rows.dtype == np.float32
    assert rows.flags.c_contiguous
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)


def test_an_empty_batch_has_no_rows(encoder: Encoder[Any]) -> None:
    rows = encoder.encode([])
    assert rows.shape == (0, encoder.identity.dim)
    assert rows.dtype == np.float32


def test_batch_gives_the_same_vectors_as_single(encoder: Encoder[Any]) -> None:
    batch = contents(encoder)
    together = encoder.encode(batch)
    alone = np.concatenate([encoder.encode([content]) for content in batch])
    np.testing.assert_allclose(together, alone, atol=ATOL)
    backwards = encoder.encode(batch[::-1])[::-1]
    np.testing.assert_allclose(together, backwards, atol=ATOL)


def test_vectors_repeat(encoder: Encoder[Any]) -> None:
    batch = contents(encoder)
    np.testing.assert_array_equal(encoder.encode(batch), encoder.encode(batch))


def test_unlike_contents_have_unlike_vectors(encoder: Encoder[Any]) -> None:
    rows = encoder.encode(contents(encoder)[:3])
    assert not np.allclose(rows[0], rows[1], atol=1e-3)
    assert not np.allclose(rows[0], rows[2], atol=1e-3)


def test_contents_are_not_changed(encoder: Encoder[Any]) -> None:
    batch = contents(encoder)[:2]
    if encoder.identity.medium == "text":
        return
    arrays = [
        content.pixels if isinstance(content, Picture) else content.samples for content in batch
    ]
    before = [array.copy() for array in arrays]
    encoder.encode(batch)
    for array, kept in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, kept)


def test_loading_again_gives_the_same_vectors(subject: Subject, encoder: Encoder[Any]) -> None:
    again = subject.open()
    assert again is not encoder
    assert again.identity == encoder.identity
    batch = contents(encoder)[:2]
    np.testing.assert_allclose(again.encode(batch), encoder.encode(batch), atol=1e-6)


def test_ids_are_the_same_in_another_process(subject: Subject, encoder: Encoder[Any]) -> None:
    config = msgspec.json.encode(subject.config).decode()
    finished = subprocess.run(
        [sys.executable, "-c", IDENTIFY, str(subject.models.root), config],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    identity = encoder.identity
    assert json.loads(finished.stdout) == [identity.encoder_id, identity.space_id]
