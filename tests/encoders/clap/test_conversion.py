from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from encoders.clap.conversion import MAX_TOKENS, convert_clap_checkpoint
from encoders.clap.encoder import ClapFacts, ClapNetwork
from encoders.clap.laion_checkpoint import LaionCheckpoint
from encoders.clap.network import check_tensors, empty_clap_network
from encoders.clap.settings import spectrogram_settings
from encoders.clap.spectrogram import mel_bands
from encoders.errors import ConfigError, ModelCorrupt, ModelMissing
from encoders.media.content import Sound
from tests.generated_media import chord, noise
from tests.small_clap import laion_state_dict, save_small_clap, save_small_tokenizer, small_clap

RATE_HZ = 48000
SOUNDS = [
    Sound(noise(seconds=0.4, sample_rate_hz=RATE_HZ), RATE_HZ),
    Sound(chord(seconds=10.0, sample_rate_hz=RATE_HZ), RATE_HZ),
]
TEXTS = ["", "the sound of a cat", "a dog barks", "rain " * 200]


@pytest.fixture(scope="module")
def unfused(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_clap(tmp_path_factory.mktemp("clap") / "unfused")


@pytest.fixture(scope="module")
def fused(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_clap(tmp_path_factory.mktemp("clap") / "fused", fusion=True)


@pytest.fixture(scope="module")
def bands(unfused: Path) -> torch.Tensor:
    return torch.from_numpy(mel_bands(spectrogram_settings(unfused)))


@pytest.fixture
def state(bands: torch.Tensor) -> dict[str, torch.Tensor]:
    return laion_state_dict(small_clap(fusion=False), bands)


def save(state: Mapping[str, torch.Tensor], path: Path) -> Path:
    """Write a checkpoint as LAION's training does: wrapped, beside numbers of numpy's."""
    wrapped = {f"module.{name}": tensor for name, tensor in state.items()}
    saved = {"epoch": np.int64(45), "loss": np.float64(0.5), "name": "run", "state_dict": wrapped}
    torch.save(saved, path)
    return path


def refused(state: Mapping[str, torch.Tensor], folder: Path, tokenizer: Path) -> ModelCorrupt:
    with pytest.raises(ModelCorrupt) as caught:
        convert_clap_checkpoint(
            save(state, folder / "model.pt"), folder / "made", tokenizer=tokenizer
        )
    # Nothing is left that looks like a model, nor any scratch.
    assert [path.name for path in folder.iterdir()] == ["model.pt"]
    return caught.value


@pytest.mark.parametrize("kind", ["unfused", "fused"])
def test_converted_checkpoint_gives_the_vectors_of_its_network(
    kind: str, bands: torch.Tensor, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    original: Path = request.getfixturevalue(kind)
    state = laion_state_dict(small_clap(fusion=kind == "fused"), bands)
    # The name says the contrary: what a file is, its tensors say.
    path = save(state, tmp_path / f"htsat-{'base' if kind == 'fused' else 'fused'}.pt")
    target = tmp_path / "models" / "made"
    facts = convert_clap_checkpoint(path, target, tokenizer=original)
    assert facts == ClapFacts(dim=32, sample_rate_hz=RATE_HZ, max_seconds=10)
    ours, expected = ClapNetwork(target), ClapNetwork(original)
    np.testing.assert_allclose(
        ours.encode_sounds(SOUNDS), expected.encode_sounds(SOUNDS), atol=1e-6
    )
    np.testing.assert_allclose(ours.encode_texts(TEXTS), expected.encode_texts(TEXTS), atol=1e-6)


def test_converting_twice_gives_the_same_bytes(
    state: dict[str, torch.Tensor], unfused: Path, tmp_path: Path
) -> None:
    path = save(state, tmp_path / "model.pt")
    for name in ("one", "two"):
        convert_clap_checkpoint(path, tmp_path / name, tokenizer=unfused)
    files = sorted(file.name for file in (tmp_path / "one").iterdir())
    assert "model.safetensors" in files
    assert files == sorted(file.name for file in (tmp_path / "two").iterdir())
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_bare_state_dict_is_taken(
    state: dict[str, torch.Tensor], unfused: Path, tmp_path: Path
) -> None:
    torch.save(state, tmp_path / "bare.pt")
    convert_clap_checkpoint(tmp_path / "bare.pt", tmp_path / "made", tokenizer=unfused)
    assert ClapNetwork(tmp_path / "made").dim == 32


def test_texts_are_cut_where_laion_cuts_them(
    state: dict[str, torch.Tensor], unfused: Path, tmp_path: Path
) -> None:
    tokenizer = tmp_path / "tokenizer"
    save_small_tokenizer(tokenizer)
    (tokenizer / "tokenizer_config.json").write_text('{"model_max_length": 512}')
    convert_clap_checkpoint(
        save(state, tmp_path / "model.pt"), tmp_path / "made", tokenizer=tokenizer
    )
    limited = "x" * (MAX_TOKENS - 2)  # between the marks of beginning and end
    network = ClapNetwork(tmp_path / "made")
    shorter, whole, longer = network.encode_texts([limited[1:], limited, limited + " dog"])
    np.testing.assert_allclose(longer, whole, atol=1e-5)
    assert whole @ shorter < 1 - 1e-5


@pytest.mark.parametrize(
    ("width", "depths", "fusion"),
    [(96, [2, 2, 6, 2], False), (128, [2, 2, 12, 2], False), (96, [2, 2, 6, 2], True)],
    ids=["tiny", "base", "tiny-fused"],
)
def test_published_architectures_are_told_from_shapes(
    width: int, depths: list[int], fusion: bool, bands: torch.Tensor
) -> None:
    from transformers import ClapConfig

    audio = {
        "patch_embeds_hidden_size": width,
        "hidden_size": 8 * width,
        "depths": depths,
        "enable_fusion": fusion,
        "fusion_type": "aff_2d" if fusion else None,
    }
    published = empty_clap_network(ClapConfig(audio_config=audio))
    checkpoint = LaionCheckpoint(Path("model.pt"), laion_state_dict(published, bands))
    fields: Any = checkpoint.config_fields()
    expected = json.loads(json.dumps(published.config.to_dict()))
    for tower in ("audio_config", "text_config"):
        told = {name: value for name, value in fields[tower].items() if name != "layer_norm_eps"}
        assert told == {name: expected[tower][name] for name in told}
    assert fields["projection_dim"] == 512
    network = empty_clap_network(ClapConfig.from_dict(fields))
    check_tensors(network, checkpoint.renamed_tensors(), checkpoint.path)


def test_missing_tensor_is_named(
    state: dict[str, torch.Tensor], unfused: Path, tmp_path: Path
) -> None:
    del state["audio_branch.layers.2.blocks.0.norm2.bias"]
    error = refused(state, tmp_path, unfused)
    assert "missing: audio_model.audio_encoder.layers.2.blocks.0.layernorm_after.bias" in str(error)


def test_tensor_without_a_place_is_named(
    state: dict[str, torch.Tensor], unfused: Path, tmp_path: Path
) -> None:
    state["audio_branch.mel_conv1d.0.weight"] = torch.zeros(64, 64, 5)
    error = refused(state, tmp_path, unfused)
    assert "unexpected: audio_model.audio_encoder.mel_conv1d.0.weight" in str(error)


def test_tensor_of_another_shape_is_named_with_both_shapes(
    state: dict[str, torch.Tensor], unfused: Path, tmp_path: Path
) -> None:
    state["text_projection.0.weight"] = torch.zeros(32, 65)
    error = refused(state, tmp_path, unfused)
    assert "text_projection.linear1.weight (expected (32, 64), got (32, 65))" in str(error)


def test_network_of_another_family_is_refused(unfused: Path, tmp_path: Path) -> None:
    error = refused({"audio_branch.conv_block1.conv1.weight": torch.zeros(3)}, tmp_path, unfused)
    assert "is not a LAION CLAP of HTSAT and RoBERTa" in str(error)


def test_network_trained_on_other_bands_is_refused(
    state: dict[str, torch.Tensor], unfused: Path, tmp_path: Path
) -> None:
    state["audio_branch.logmel_extractor.melW"] = state["audio_branch.logmel_extractor.melW"] * 1.01
    assert "other bands than 64 from 50 to 14000 Hz" in str(refused(state, tmp_path, unfused))
    state["audio_branch.logmel_extractor.melW"] = torch.zeros(769, 64)
    assert "expected shape (513, 64), got (769, 64)" in str(refused(state, tmp_path, unfused))


def test_tokenizer_of_another_model_is_refused(
    state: dict[str, torch.Tensor], unfused: Path, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    other = tmp_path.parent / f"{tmp_path.name}-other"
    tokenizer = AutoTokenizer.from_pretrained(unfused)
    tokenizer.add_tokens(["quack"])
    tokenizer.save_pretrained(other)
    error = refused(state, tmp_path, other)
    assert "the text tower knows 300 tokens, the tokenizer 301" in str(error)


def test_folder_without_a_tokenizer_is_refused(
    state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    empty = tmp_path.parent / f"{tmp_path.name}-empty"
    empty.mkdir()
    assert "holds no tokenizer" in str(refused(state, tmp_path, empty))


class _Opens:
    """A pickle of this opens a file for writing when it is loaded by pickle."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("legacy", [False, True])
def test_pickle_that_runs_code_is_refused_and_does_not_run(
    legacy: bool, state: dict[str, torch.Tensor], unfused: Path, tmp_path: Path
) -> None:
    trap = tmp_path / "trap"
    path = tmp_path / "model.pt"
    saved = {"epoch": _Opens(trap), "state_dict": state}
    torch.save(saved, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(ModelCorrupt, match=r"it holds \S*open.*could run code") as caught:
        convert_clap_checkpoint(path, tmp_path / "made", tokenizer=unfused)
    assert not trap.exists()
    assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", pickle.dumps([1, 2], protocol=2)])
def test_file_of_something_else_is_refused(content: bytes, unfused: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(ModelCorrupt, match=r"model\.pt"):
        convert_clap_checkpoint(path, tmp_path / "made", tokenizer=unfused)


def test_damaged_checkpoint_is_refused_as_such(
    state: dict[str, torch.Tensor], unfused: Path, tmp_path: Path
) -> None:
    whole = save(state, tmp_path / "whole.pt").read_bytes()
    path = tmp_path / "model.pt"
    for damaged in (whole[: len(whole) // 2], whole.replace(b"latin1", b"lat1n1")):
        assert damaged != whole
        path.write_bytes(damaged)
        with pytest.raises(ModelCorrupt, match=r"model\.pt is not a file of tensors"):
            convert_clap_checkpoint(path, tmp_path / "made", tokenizer=unfused)


def test_checkpoint_in_half_precision_is_taken(
    state: dict[str, torch.Tensor], unfused: Path, tmp_path: Path
) -> None:
    halved = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in state.items()
    }
    path = save(halved, tmp_path / "model.pt")
    convert_clap_checkpoint(path, tmp_path / "made", tokenizer=unfused)
    full, half = (
        ClapNetwork(folder).encode_sounds(SOUNDS) for folder in (unfused, tmp_path / "made")
    )
    np.testing.assert_allclose(half, full, atol=5e-3)


def test_checkpoint_of_no_tensors_is_refused(unfused: Path, tmp_path: Path) -> None:
    torch.save({"state_dict": {"a": 1}}, tmp_path / "model.pt")
    with pytest.raises(ModelCorrupt, match="neither a state dict nor has one"):
        convert_clap_checkpoint(tmp_path / "model.pt", tmp_path / "made", tokenizer=unfused)


def test_missing_checkpoint_is_named(unfused: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"gone\.pt is not there"):
        convert_clap_checkpoint(tmp_path / "gone.pt", tmp_path / "made", tokenizer=unfused)


def test_folder_that_exists_is_left_alone(
    state: dict[str, torch.Tensor], unfused: Path, tmp_path: Path
) -> None:
    target = tmp_path / "made"
    target.mkdir()
    with pytest.raises(ConfigError, match="exists; name a folder that does not"):
        convert_clap_checkpoint(save(state, tmp_path / "model.pt"), target, tokenizer=unfused)
    assert list(target.iterdir()) == []
