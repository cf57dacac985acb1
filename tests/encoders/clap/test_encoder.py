from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from encoders.clap.encoder import ClapNetwork, clap_parameters
from encoders.encoder import Encoder, EncoderIdentity
from encoders.errors import ModelCorrupt
from encoders.media.audio_decoder import decode_sound
from encoders.media.content import Sound
from encoders.media.decode_limits import DecodeLimits
from encoders.space import Vectors, unit_rows
from encoders.tower_encoder import TowerEncoder
from tests.generated_media import chord, noise, sine, write_sound
from tests.small_clap import MAX_TOKENS, VOCAB_SIZE, save_small_clap

ROOT = Path(__file__).resolve().parents[3]
RATE_HZ = 48000
ATOL = 1e-4  # float32, in batches of different size and with different padding
LEAST_COSINE = 0.9999

SECONDS = (0.1, 0.25, 0.5, 1.0, 1.7, 2.0, 3.0, 5.0, 9.99)
SOUNDS = [
    *(Sound(noise(seconds=s, sample_rate_hz=RATE_HZ, seed=7), RATE_HZ) for s in SECONDS),
    *(Sound(sine(300 * s + 80, seconds=s, sample_rate_hz=RATE_HZ), RATE_HZ) for s in SECONDS),
    Sound(np.zeros(RATE_HZ, dtype=np.float32), RATE_HZ),
    Sound(chord(seconds=10.0, sample_rate_hz=RATE_HZ), RATE_HZ),
]
TEXTS = [
    "",
    "cat",
    "the sound of a cat",
    "a dog barks",
    "A Dog Barks!",
    "rain falls on a tin roof",
    "rain",
    "été",
    "Musik, Überall",
    "猫の鳴き声",
    "\U0001f431",
    "e\u0301",
    "\u0645\u0648\u0633\u064a\u0642\u0649",
    "\n\t ",
    "123 456",
    "<s> not a mark </s>",
    "x" * 500,
    "rain falls " * 400,
    "a b c d e f g h",
    "the sound of a dog and a cat and the rain",
]


@pytest.fixture(scope="module", params=[False, True], ids=["unfused", "fused"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_clap(tmp_path_factory.mktemp("clap") / "small", fusion=request.param)


@pytest.fixture(scope="module")
def network(folder: Path) -> ClapNetwork:
    return ClapNetwork(folder)


@pytest.fixture(scope="module")
def unfused_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_clap(tmp_path_factory.mktemp("clap") / "unfused")


@pytest.fixture
def copy(unfused_folder: Path, tmp_path: Path) -> Path:
    return shutil.copytree(unfused_folder, tmp_path / "copy")


def long_sound() -> Sound:
    rising = np.linspace(0, 1, 25 * RATE_HZ, dtype=np.float32)
    return Sound(rising * chord(seconds=25.0, sample_rate_hz=RATE_HZ), RATE_HZ)


def reference(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoTokenizer, ClapFeatureExtractor, ClapModel, ClapProcessor

    processor = ClapProcessor(
        ClapFeatureExtractor.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    )
    return ClapModel.from_pretrained(folder).eval(), processor


def reference_sounds(folder: Path, sounds: list[Sound]) -> Vectors:
    import torch

    model, processor = reference(folder)
    # Where no sound of a batch is longer than ten seconds, the library marks one of them as longer
    # by drawing lots. One that is keeps all the others what they are.
    longer = np.zeros(11 * RATE_HZ, dtype=np.float32)
    audio = [*(sound.samples for sound in sounds), longer]
    inputs = processor(audio=audio, sampling_rate=RATE_HZ, return_tensors="pt")
    if inputs["input_features"].shape[1] == 4:
        assert inputs["is_longer"][:, 0].tolist() == [*(False for _ in sounds), True]
    with torch.inference_mode():
        vectors = model.get_audio_features(**inputs).pooler_output
    return unit_rows(vectors[:-1].numpy())


def reference_texts(folder: Path, texts: list[str]) -> Vectors:
    import torch

    model, processor = reference(folder)
    inputs = processor(text=texts, padding=True, truncation=True, return_tensors="pt")
    with torch.inference_mode():
        return unit_rows(model.get_text_features(**inputs).pooler_output.numpy())


def cosines(left: Vectors, right: Vectors) -> np.ndarray:
    return np.einsum("nd,nd->n", left, right)


def test_sounds_have_the_vectors_of_the_library(folder: Path, network: ClapNetwork) -> None:
    assert len(SOUNDS) == 20
    vectors = network.encode_sounds(SOUNDS)
    assert cosines(vectors, reference_sounds(folder, SOUNDS)).min() >= LEAST_COSINE
    # Or else any network would pass.
    assert np.median(vectors @ vectors.T) < 0.98


def test_texts_have_the_vectors_of_the_library(folder: Path, network: ClapNetwork) -> None:
    assert len(TEXTS) == 20
    vectors = network.encode_texts(TEXTS)
    assert cosines(vectors, reference_texts(folder, TEXTS)).min() >= LEAST_COSINE
    assert np.median(vectors @ vectors.T) < 0.98


@pytest.mark.parametrize("rate_hz", [8000, 44100])
def test_sound_of_another_rate_has_the_vector_of_its_resampled_samples(
    rate_hz: int, unfused_folder: Path, tmp_path: Path
) -> None:
    import soxr

    samples = chord(seconds=2.0, sample_rate_hz=rate_hz)
    file = write_sound(tmp_path / "chord.wav", samples, rate_hz, subtype="FLOAT")
    decoded = decode_sound(file, 0, 2.0, RATE_HZ, limits=DecodeLimits())
    resampled = soxr.resample(samples, rate_hz, RATE_HZ, quality="HQ")
    expected = reference_sounds(unfused_folder, [Sound(resampled, RATE_HZ)])
    vectors = ClapNetwork(unfused_folder).encode_sounds([decoded])
    assert cosines(vectors, expected).min() >= LEAST_COSINE


def test_vectors_are_float32_unit_rows(network: ClapNetwork) -> None:
    for vectors in (network.encode_sounds(SOUNDS), network.encode_texts(TEXTS)):
        assert vectors.shape == (20, network.dim) == (20, 32)
        assert vectors.dtype == np.float32
        assert vectors.flags.c_contiguous
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_empty_batches_give_no_rows(network: ClapNetwork) -> None:
    assert network.encode_sounds([]).shape == (0, 32)
    assert network.encode_texts([]).shape == (0, 32)


def test_batch_of_sounds_gives_the_same_vectors_as_single(network: ClapNetwork) -> None:
    sounds = [*SOUNDS[::3], long_sound(), *SOUNDS[1::3]]
    alone = np.concatenate([network.encode_sounds([sound]) for sound in sounds])
    np.testing.assert_allclose(network.encode_sounds(sounds), alone, atol=ATOL)


def test_batch_of_texts_gives_the_same_vectors_as_single(network: ClapNetwork) -> None:
    alone = np.concatenate([network.encode_texts([text]) for text in TEXTS])
    np.testing.assert_allclose(network.encode_texts(TEXTS * 3), np.tile(alone, (3, 1)), atol=ATOL)


def test_long_sound_has_the_same_vector_every_time(folder: Path, network: ClapNetwork) -> None:
    first = network.encode_sounds([long_sound()])
    np.testing.assert_array_equal(network.encode_sounds([long_sound()]), first)
    np.testing.assert_array_equal(ClapNetwork(folder).encode_sounds([long_sound()]), first)


def test_long_sound_has_the_mean_of_its_windows(network: ClapNetwork) -> None:
    sound = long_sound()
    windows = [
        Sound(sound.samples[start * RATE_HZ : (start + 10) * RATE_HZ], RATE_HZ)
        for start in (0, 10, 15)
    ]
    mean = network.encode_sounds(windows).mean(axis=0, keepdims=True)
    np.testing.assert_allclose(network.encode_sounds([sound]), unit_rows(mean), atol=ATOL)


def test_no_samples_are_silence(network: ClapNetwork) -> None:
    nothing, silence = (Sound(np.zeros(size, dtype=np.float32), RATE_HZ) for size in (0, RATE_HZ))
    np.testing.assert_allclose(
        network.encode_sounds([nothing]), network.encode_sounds([silence]), atol=ATOL
    )


def test_words_beyond_the_limit_have_no_influence(network: ClapNetwork) -> None:
    text = "x" * MAX_TOKENS
    longer, same = network.encode_texts([f"{text} and a dog barks", text])
    np.testing.assert_allclose(longer, same, atol=ATOL)


def test_half_a_surrogate_pair_is_encoded(network: ClapNetwork) -> None:
    assert np.isfinite(network.encode_texts(["caf\udce9 menu"])).all()


def test_several_threads_get_the_vectors_of_one(network: ClapNetwork) -> None:
    sounds, texts = SOUNDS[:4], TEXTS[:8]
    expected_sounds, expected_texts = network.encode_sounds(sounds), network.encode_texts(texts)
    with ThreadPoolExecutor(4) as pool:
        heard = [pool.submit(network.encode_sounds, sounds) for _ in range(4)]
        read = [pool.submit(network.encode_texts, texts[: 1 + at % 8]) for at in range(16)]
        for sound_job in heard:
            np.testing.assert_allclose(sound_job.result(), expected_sounds, atol=ATOL)
        for at, text_job in enumerate(read):
            np.testing.assert_allclose(text_job.result(), expected_texts[: 1 + at % 8], atol=ATOL)


def test_sound_of_another_rate_is_refused_with_both_rates(network: ClapNetwork) -> None:
    with pytest.raises(ValueError, match="44100 Hz, this CLAP takes 48000 Hz"):
        network.encode_sounds([Sound(np.zeros(100, dtype=np.float32), 44100)])


def test_samples_that_are_no_numbers_are_refused(network: ClapNetwork) -> None:
    with pytest.raises(ValueError, match="not finite"):
        network.encode_sounds([Sound(np.array([0, np.inf], dtype=np.float32), RATE_HZ)])


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_lower_precision_stays_near(precision: Any, unfused_folder: Path) -> None:
    full, low = ClapNetwork(unfused_folder), ClapNetwork(unfused_folder, precision=precision)
    sounds, texts = SOUNDS[::7], TEXTS[::3]
    assert cosines(full.encode_sounds(sounds), low.encode_sounds(sounds)).min() >= 0.999
    assert cosines(full.encode_texts(texts), low.encode_texts(texts)).min() >= 0.999


def test_both_towers_are_encoders_of_one_space(unfused_folder: Path) -> None:
    network = ClapNetwork(unfused_folder)
    hears = EncoderIdentity("clap-audio", "clap", 32, "audio", RATE_HZ)
    reads = EncoderIdentity("clap-text", "clap", 32, "text")
    sounds: Encoder[Sound] = TowerEncoder(network.encode_sounds, hears)
    texts: Encoder[str] = TowerEncoder(network.encode_texts, reads)
    assert (sounds.identity, texts.identity) == (hears, reads)
    np.testing.assert_array_equal(sounds.encode(SOUNDS[:2]), network.encode_sounds(SOUNDS[:2]))
    np.testing.assert_array_equal(texts.encode(TEXTS[:2]), network.encode_texts(TEXTS[:2]))
    assert json.loads(json.dumps(clap_parameters())) == clap_parameters()


def test_files_without_tensors_that_follow_from_the_configuration_load(
    copy: Path, unfused_folder: Path
) -> None:
    change_tensors(
        copy,
        lambda tensors: {
            name: tensor
            for name, tensor in tensors.items()
            if not name.endswith(("position_ids", "token_type_ids", "relative_position_index"))
        },
    )
    np.testing.assert_array_equal(
        ClapNetwork(copy).encode_texts(TEXTS), ClapNetwork(unfused_folder).encode_texts(TEXTS)
    )


def change_tensors(folder: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    tensors = {name: tensor.clone() for name, tensor in load_file(path).items()}
    path.unlink()
    save_file(change(tensors), path, metadata={"format": "pt"})


def change_json(path: Path, **fields: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_missing_tensor_is_named(copy: Path) -> None:
    def without(tensors: dict[str, Any]) -> dict[str, Any]:
        return {name: each for name, each in tensors.items() if "text_projection" not in name}

    change_tensors(copy, without)
    with pytest.raises(ModelCorrupt, match=r"missing: text_projection\.linear1\.bias"):
        ClapNetwork(copy)


def test_unexpected_tensor_is_named(copy: Path) -> None:
    change_tensors(copy, lambda tensors: tensors | {"head.weight": tensors["logit_scale_a"] + 1})
    with pytest.raises(ModelCorrupt, match=r"unexpected: head\.weight"):
        ClapNetwork(copy)


def test_tensor_of_another_shape_is_named_with_both_shapes(copy: Path) -> None:
    name = "audio_projection.linear2.bias"
    change_tensors(copy, lambda tensors: tensors | {name: tensors[name][:5].clone()})
    with pytest.raises(ModelCorrupt, match=r"linear2\.bias \(expected \(32,\), got \(5,\)\)"):
        ClapNetwork(copy)


def test_configuration_of_another_dimension_is_refused(copy: Path) -> None:
    change_json(copy / "config.json", projection_dim=64)
    with pytest.raises(ModelCorrupt, match=r"audio_projection\.linear1\.bias \(expected \(64,\)"):
        ClapNetwork(copy)


def test_configuration_that_makes_no_network_is_refused(copy: Path) -> None:
    change_json(copy / "config.json", audio_config={"num_attention_heads": "four"})
    with pytest.raises(ModelCorrupt, match=r"config\.json configures no CLAP"):
        ClapNetwork(copy)


def test_empty_tokenizer_is_refused(copy: Path) -> None:
    for name in ("vocab.json", "merges.txt"):
        (copy / name).unlink()
    with pytest.raises(ModelCorrupt, match=f"text tower knows {VOCAB_SIZE} tokens, the tokenizer"):
        ClapNetwork(copy)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "preprocessor_config.json"])
def test_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(ModelCorrupt, match=f"{name} is not there"):
        ClapNetwork(copy)


def test_file_cut_short_is_refused(copy: Path) -> None:
    path = copy / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ModelCorrupt, match=r"model\.safetensors is not a safetensors file"):
        ClapNetwork(copy)


def test_preprocessor_of_a_network_with_fusion_is_refused_for_one_without(copy: Path) -> None:
    change_json(copy / "preprocessor_config.json", truncation="fusion")
    with pytest.raises(ModelCorrupt, match=r"truncation 'rand_trunc'.*say 'fusion'"):
        ClapNetwork(copy)


def test_preprocessor_of_other_bands_is_refused(copy: Path) -> None:
    change_json(copy / "preprocessor_config.json", feature_size=128)
    with pytest.raises(ModelCorrupt, match=r"64 mel bands.*give 128"):
        ClapNetwork(copy)


def test_loading_is_silent_and_asks_no_hub(unfused_folder: Path) -> None:
    code = (
        "import socket, sys\n"
        "def refuse(*_, **__): raise SystemExit('the network was asked')\n"
        "socket.getaddrinfo = socket.socket.connect = refuse\n"
        "from pathlib import Path\n"
        "import numpy as np\n"
        "from encoders.clap.encoder import ClapNetwork\n"
        "from encoders.media.content import Sound\n"
        f"network = ClapNetwork(Path({str(unfused_folder)!r}))\n"
        "network.encode_texts(['a cat'] * 40)\n"
        "network.encode_sounds([Sound(np.zeros(480, dtype=np.float32), 48000)])\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "HF_HUB_OFFLINE"}
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=environment
    )
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "", "")
