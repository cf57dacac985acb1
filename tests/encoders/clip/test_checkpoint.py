from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from encoders.clip.checkpoint import import_open_clip_checkpoint, import_open_clip_folder
from encoders.clip.encoder import OpenClipNetwork
from encoders.clip.folder import CONFIG_NAME, WEIGHTS_NAME
from encoders.errors import ConfigError, KindredError, ModelCorrupt, ModelMissing
from encoders.media.content import Picture
from tests.generated_media import scene
from tests.small_open_clip import (
    bert_architecture,
    small_architecture,
    small_network,
    write_bert,
    write_small_model,
)

SQUASH = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bilinear", "resize_mode": "squash"}
TEXTS = ["", "a cat", "a dog on the beach"]
PICTURES = [Picture(scene(number)) for number in range(3)]


class Payload:
    """Leaves a file behind when it is unpickled by somebody who lets code run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_model(tmp_path_factory.mktemp("open_clip") / "small")


@pytest.fixture
def architecture(tmp_path: Path) -> Path:
    path = tmp_path / "small.json"
    path.write_text(json.dumps(small_architecture()))
    return path


def tensors(model: Path) -> dict[str, torch.Tensor]:
    return load_file(model / WEIGHTS_NAME)


def assert_same_vectors(left: Path, right: Path) -> None:
    ours, theirs = OpenClipNetwork(left), OpenClipNetwork(right)
    np.testing.assert_array_equal(ours.encode_texts(TEXTS), theirs.encode_texts(TEXTS))
    np.testing.assert_array_equal(ours.encode_pictures(PICTURES), theirs.encode_pictures(PICTURES))


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth", ".bin"])
def test_state_dict_of_every_format_gives_the_same_vectors(
    suffix: str, model: Path, architecture: Path, tmp_path: Path
) -> None:
    weights = tmp_path / f"weights{suffix}"
    if suffix == ".safetensors":
        save_file(tensors(model), weights)
    else:
        torch.save(tensors(model), weights)
    import_open_clip_checkpoint(architecture, weights, tmp_path / "target")
    assert_same_vectors(tmp_path / "target", model)


def test_training_checkpoint_of_several_devices_is_read(
    model: Path, architecture: Path, tmp_path: Path
) -> None:
    checkpoint = {
        "epoch": 3,
        "name": "a run",
        "state_dict": {f"module.{name}": tensor for name, tensor in tensors(model).items()},
        "optimizer": {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 1e-3}]},
    }
    torch.save(checkpoint, tmp_path / "epoch_3.pt")
    import_open_clip_checkpoint(architecture, tmp_path / "epoch_3.pt", tmp_path / "target")
    assert_same_vectors(tmp_path / "target", model)
    assert "module.logit_scale" not in tensors(tmp_path / "target")


def test_importing_twice_writes_the_same_bytes(
    model: Path, architecture: Path, tmp_path: Path
) -> None:
    torch.save(tensors(model), tmp_path / "weights.pt")
    for target in ("one", "two"):
        import_open_clip_checkpoint(architecture, tmp_path / "weights.pt", tmp_path / target)
    for name in (CONFIG_NAME, WEIGHTS_NAME):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_tied_tensors_are_written_apart(model: Path, architecture: Path, tmp_path: Path) -> None:
    tied = tensors(model)
    tied["ln_final.weight"] = tied["ln_final.bias"]
    torch.save(tied, tmp_path / "weights.pt")
    import_open_clip_checkpoint(architecture, tmp_path / "weights.pt", tmp_path / "target")
    written = tensors(tmp_path / "target")
    assert torch.equal(written["ln_final.weight"], written["ln_final.bias"])


def test_half_precision_weights_stay_as_they_are(
    model: Path, architecture: Path, tmp_path: Path
) -> None:
    half = {name: tensor.half() for name, tensor in tensors(model).items()}
    save_file(half, tmp_path / "half.safetensors")
    import_open_clip_checkpoint(architecture, tmp_path / "half.safetensors", tmp_path / "target")
    assert {tensor.dtype for tensor in tensors(tmp_path / "target").values()} == {torch.float16}


def test_preprocessing_is_written_down(model: Path, architecture: Path, tmp_path: Path) -> None:
    weights = model / WEIGHTS_NAME
    import_open_clip_checkpoint(architecture, weights, tmp_path / "a", preprocess=SQUASH)
    whole = {"model_cfg": small_architecture(), "preprocess_cfg": SQUASH}
    (tmp_path / "whole.json").write_text(json.dumps(whole))
    import_open_clip_checkpoint(tmp_path / "whole.json", weights, tmp_path / "b")
    import_open_clip_checkpoint(architecture, weights, tmp_path / "c")
    said = {
        name: json.loads((tmp_path / name / CONFIG_NAME).read_text())["preprocess_cfg"]
        for name in "abc"
    }
    assert said["a"] == said["b"] == SQUASH
    assert said["c"]["resize_mode"] == "shortest"
    assert_same_vectors(tmp_path / "a", tmp_path / "b")


def test_text_tower_of_transformers_is_imported_with_its_files(tmp_path: Path) -> None:
    text_files = write_bert(tmp_path / "bert")
    network = small_network(bert_architecture(text_files))
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    path = tmp_path / "small.json"
    path.write_text(json.dumps(bert_architecture("org/some-bert")))
    import_open_clip_checkpoint(
        path, tmp_path / "weights.safetensors", tmp_path / "target", text_files=text_files
    )
    assert len(OpenClipNetwork(tmp_path / "target").encode_texts(TEXTS)) == len(TEXTS)
    with pytest.raises(ModelMissing, match="org/some-bert"):
        import_open_clip_checkpoint(path, tmp_path / "weights.safetensors", tmp_path / "without")


def test_folder_in_the_standard_layout_is_copied_byte_for_byte(model: Path, tmp_path: Path) -> None:
    import_open_clip_folder(model, tmp_path / "target")
    for name in (CONFIG_NAME, WEIGHTS_NAME):
        assert (tmp_path / "target" / name).read_bytes() == (model / name).read_bytes()


def test_folder_with_pickled_weights_gets_safetensors(model: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / CONFIG_NAME).write_bytes((model / CONFIG_NAME).read_bytes())
    torch.save(tensors(model), source / "open_clip_pytorch_model.bin")
    import_open_clip_folder(source, tmp_path / "target")
    assert {path.name for path in (tmp_path / "target").iterdir()} == {CONFIG_NAME, WEIGHTS_NAME}
    assert_same_vectors(tmp_path / "target", model)


def test_folder_without_weights_is_refused(model: Path, tmp_path: Path) -> None:
    (tmp_path / CONFIG_NAME).write_bytes((model / CONFIG_NAME).read_bytes())
    with pytest.raises(ModelMissing, match="holds no weights"):
        import_open_clip_folder(tmp_path, tmp_path / "target")


def test_pickle_that_wants_to_run_code_is_refused_and_runs_nothing(
    model: Path, architecture: Path, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    torch.save({"state_dict": tensors(model), "args": Payload(ran)}, tmp_path / "evil.pt")
    with pytest.raises(ModelCorrupt, match="could run code"):
        import_open_clip_checkpoint(architecture, tmp_path / "evil.pt", tmp_path / "target")
    assert not ran.exists()
    assert list((tmp_path / "target").glob("*")) == []


def test_torchscript_archive_is_refused_by_kind(architecture: Path, tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "jit.pt", "w") as archive:
        archive.writestr("jit/constants.pkl", b"")
        archive.writestr("jit/data.pkl", b"")
    with pytest.raises(ModelCorrupt, match="TorchScript"):
        import_open_clip_checkpoint(architecture, tmp_path / "jit.pt", tmp_path / "target")


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"model": {"a": torch.zeros(1)}}, "'model'"),
        ({"state_dict": {"a": "b"}}, "'a'"),
        ([torch.zeros(1)], "list"),
        ({}, "holds no tensors"),
    ],
)
def test_file_without_a_state_dict_is_refused(
    content: object, named: str, architecture: Path, tmp_path: Path
) -> None:
    torch.save(content, tmp_path / "weights.pt")
    with pytest.raises(ModelCorrupt, match=named):
        import_open_clip_checkpoint(architecture, tmp_path / "weights.pt", tmp_path / "target")


@pytest.mark.parametrize("name", ["weights.pt", "weights.safetensors"])
def test_damaged_file_is_refused(name: str, architecture: Path, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"\x80\x02 this is no weights file")
    with pytest.raises(ModelCorrupt, match=name):
        import_open_clip_checkpoint(architecture, tmp_path / name, tmp_path / "target")


def test_weights_of_another_architecture_are_refused_by_tensor(
    model: Path, architecture: Path, tmp_path: Path
) -> None:
    lacking = tensors(model)
    del lacking["visual.proj"]
    save_file(lacking, tmp_path / "weights.safetensors")
    with pytest.raises(ModelCorrupt, match=r'"visual\.proj"'):
        import_open_clip_checkpoint(
            architecture, tmp_path / "weights.safetensors", tmp_path / "target"
        )
    assert list((tmp_path / "target").iterdir()) == []


def test_what_is_not_there_or_not_known_is_named(
    model: Path, architecture: Path, tmp_path: Path
) -> None:
    weights = model / WEIGHTS_NAME
    other = tmp_path / "weights.npz"
    other.write_bytes(b"")
    full = tmp_path / "full"
    full.mkdir()
    (full / "photo.jpg").write_bytes(b"")
    cases: list[tuple[type[KindredError], str, tuple[Any, Any, Path]]] = [
        (ConfigError, "nearest: .*ViT-B-32", ("ViT-B-3", weights, tmp_path / "a")),
        (ModelMissing, "nothing.json", (tmp_path / "nothing.json", weights, tmp_path / "a")),
        (ModelMissing, "nothing.pt", (architecture, tmp_path / "nothing.pt", tmp_path / "a")),
        (ConfigError, r"\.npz", (architecture, other, tmp_path / "a")),
        (ConfigError, "not empty", (architecture, weights, full)),
    ]
    for kind, named, arguments in cases:
        with pytest.raises(kind, match=named):
            import_open_clip_checkpoint(*arguments)
    assert [path.name for path in full.iterdir()] == ["photo.jpg"]
