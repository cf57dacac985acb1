from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from encoders.clap.settings import spectrogram_settings
from encoders.clap.spectrogram import mel_bands
from encoders.clip.folder import CONFIG_NAME, WEIGHTS_NAME
from encoders.clip.hub import HubFiles
from encoders.config import ClapConfig, OpenClipConfig, SentenceConfig, WhisperConfig
from encoders.errors import ConfigError, ModelCorrupt, ModelMissing, ModelUnavailable
from encoders.loading import EncoderLoader
from encoders.media.content import Picture
from encoders.models import checkpoint_pull, open_clip_text
from encoders.models.checkpoint_pull import PullOptions, pull_checkpoint
from encoders.models.checkpoints import CheckpointOrigin
from encoders.models.folder import ModelFolder
from tests.small_clap import laion_state_dict, save_small_clap, save_small_tokenizer, small_clap
from tests.small_hub import COMMIT, hub_serving
from tests.small_open_clip import DIM, write_small_model
from tests.small_sentence_models import bert_model

ROOT = Path(__file__).resolve().parents[3]
RED = Picture(np.full((20, 30, 3), (255, 0, 0), dtype=np.uint8))


@pytest.fixture
def models(tmp_path: Path) -> ModelFolder:
    return ModelFolder(tmp_path / "models")


def loader(models: ModelFolder) -> EncoderLoader:
    return EncoderLoader(models, trained=False)


def test_a_fine_tuned_file_encodes_as_the_folder_it_was_saved_from(
    models: ModelFolder, tmp_path: Path
) -> None:
    folder = write_small_model(tmp_path / "clip")
    architecture = tmp_path / "mine.json"
    architecture.write_text(json.dumps(json.loads((folder / CONFIG_NAME).read_text())["model_cfg"]))
    weights = tmp_path / "fine-tuned.safetensors"
    shutil.copyfile(folder / WEIGHTS_NAME, weights)
    options = PullOptions(architecture=str(architecture))
    pull_checkpoint("open_clip", str(weights), models, options)
    pull_checkpoint("open_clip", str(folder), models)
    tuned, whole = (
        loader(models).open(OpenClipConfig(str(source))).encode([RED])
        for source in (weights, folder)
    )
    np.testing.assert_array_equal(tuned, whole)


def test_a_clap_file_of_laion_is_converted(models: ModelFolder, tmp_path: Path) -> None:
    import torch

    bands = mel_bands(spectrogram_settings(save_small_clap(tmp_path / "clap")))
    checkpoint = tmp_path / "music.pt"
    torch.save(laion_state_dict(small_clap(fusion=False), torch.from_numpy(bands)), checkpoint)
    save_small_tokenizer(tmp_path / "tokenizer")
    with pytest.raises(ConfigError, match="brings no tokenizer"):
        pull_checkpoint("laion_clap", str(checkpoint), models)
    options = PullOptions(tokenizer=tmp_path / "tokenizer")
    pull_checkpoint("laion_clap", str(checkpoint), models, options)
    encoder = loader(models).open(ClapConfig(str(checkpoint)))
    assert encoder.identity.sample_rate_hz == 48_000


def test_pickled_weights_are_kept_as_safetensors(models: ModelFolder, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    folder = bert_model(tmp_path / "bert")
    before = bert_vectors(models, folder)
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(tensors, folder / "pytorch_model.bin")
    checkpoint, _ = pull_checkpoint("sentence_transformers", str(folder), models)
    assert "model.safetensors" in checkpoint.record.files
    assert "pytorch_model.bin" not in checkpoint.record.files
    np.testing.assert_allclose(bert_vectors(models, folder), before, atol=1e-6)


def bert_vectors(models: ModelFolder, folder: Path) -> np.ndarray:
    pull_checkpoint("sentence_transformers", str(folder), models)
    return loader(models).open(SentenceConfig(str(folder))).encode(["a red poppy"])


def test_a_pickle_that_runs_code_is_refused(models: ModelFolder, tmp_path: Path) -> None:
    import pickle

    folder = bert_model(tmp_path / "bert")
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"weights": os.system}, protocol=2))
    with pytest.raises(ModelCorrupt, match=r"pytorch_model\.bin"):
        pull_checkpoint("sentence_transformers", str(folder), models)
    with pytest.raises(ModelMissing):
        models.checkpoints.find("sentence_transformers", str(folder))


def test_a_changed_local_model_changes_nothing_until_it_is_pulled_again(
    models: ModelFolder, tmp_path: Path
) -> None:
    folder = bert_model(tmp_path / "bert")
    pull_checkpoint("sentence_transformers", str(folder), models)
    config = SentenceConfig(str(folder))
    before = loader(models).identify(config)
    shutil.rmtree(folder)
    bert_model(folder, dense=12)
    assert loader(models).identify(config) == before
    assert pull_checkpoint("sentence_transformers", str(folder), models)[1] == "pulled"
    after = loader(models).identify(config)
    assert (after.dim, before.dim) == (12, 32)
    assert after.space_id != before.space_id


def test_whisper_comes_from_a_directory_in_any_size(models: ModelFolder, tmp_path: Path) -> None:
    folder = tmp_path / "whisper-mine"
    folder.mkdir()
    for name, content in {
        "config.json": "{}",
        "tokenizer.json": "{}",
        "vocabulary.json": '["a", "b"]',
        "model.bin": "weights",
    }.items():
        (folder / name).write_text(content)
    pull_checkpoint("whisper", str(folder), models)
    ours = loader(models)
    assert ours.identify_recognizer(WhisperConfig(str(folder), language="en"))
    with pytest.raises(ConfigError, match="does not know the language 'de'; it knows: en"):
        ours.identify_recognizer(WhisperConfig(str(folder), language="de"))
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelCorrupt, match=r"tokenizer\.json"):
        pull_checkpoint("whisper", str(folder), models)


def test_what_does_not_fit_a_source_is_refused(models: ModelFolder, tmp_path: Path) -> None:
    file = tmp_path / "weights.pt"
    file.write_bytes(b"")
    cases: list[tuple[str, str, PullOptions, str]] = [
        ("open_clip", str(file), PullOptions(), "does not say what network"),
        ("open_clip", "acme/clip", PullOptions(architecture="ViT-B-32"), "--architecture belongs"),
        ("whisper", str(file), PullOptions(), "is a file; a whisper model is a directory"),
        ("whisper", "base", PullOptions(tokenizer=tmp_path), "--tokenizer is for open_clip"),
        ("laion_clap", str(tmp_path), PullOptions(revision="main"), "--revision is of a hub's"),
    ]
    for family, source, options, message in cases:
        with pytest.raises(ConfigError, match=message):
            pull_checkpoint(family, source, models, options)  # type: ignore[arg-type]
    with pytest.raises(ModelMissing, match="there is nothing at"):
        pull_checkpoint("open_clip", "./nowhere", models)


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Repositories by name; asked for another one, there is no hub."""
    repositories: dict[str, Path] = {}

    def fetch(
        repository: str,
        target: Path,
        choose: Callable[[Sequence[str]], list[str]],
        *,
        revision: str | None = None,
    ) -> CheckpointOrigin:
        if repository not in repositories:
            raise ModelUnavailable(f"no repository {repository}")
        folder = repositories[repository]
        names = [
            path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
        ]
        for name in choose(names):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, target / name)
        return CheckpointOrigin(repository=repository, revision=revision or COMMIT, licence="mit")

    for module in (checkpoint_pull, open_clip_text):
        monkeypatch.setattr(module, "fetch_repository", fetch)
    return repositories


def test_a_pretrained_tag_is_fetched_with_the_preprocessing_it_was_trained_with(
    models: ModelFolder,
    tmp_path: Path,
    fetched: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = write_small_model(tmp_path / "clip")
    fetched["acme/clip"] = folder
    architecture = tmp_path / "small.json"
    architecture.write_text(json.dumps(json.loads((folder / CONFIG_NAME).read_text())["model_cfg"]))
    files = HubFiles(
        architecture=architecture,  # type: ignore[arg-type]
        repository="acme/clip",
        weight_names=("best.safetensors", WEIGHTS_NAME),
        preprocess={"mean": [0.1] * 3, "std": [0.2] * 3, "interpolation": "bilinear"},
        text_tower_repository=None,
        tokenizer_repository=None,
    )
    monkeypatch.setattr(checkpoint_pull, "hub_files", lambda *_: files)
    checkpoint, _ = pull_checkpoint("open_clip", "ViT-B-32/acme_s1b", models)
    written = json.loads((checkpoint.folder / CONFIG_NAME).read_text())
    assert written["preprocess_cfg"]["interpolation"] == "bilinear"
    assert checkpoint.record.origin == CheckpointOrigin(
        repository="acme/clip", revision=COMMIT, licence="mit"
    )
    assert loader(models).open(OpenClipConfig("ViT-B-32/acme_s1b")).encode([RED]).shape == (1, DIM)


def test_a_pulled_model_is_only_verified_unless_a_revision_is_named(
    models: ModelFolder, tmp_path: Path, fetched: dict[str, Path]
) -> None:
    fetched["acme/bert"] = bert_model(tmp_path / "bert")

    def pull(revision: str | None = None) -> tuple[str | None, str]:
        checkpoint, action = pull_checkpoint(
            "sentence_transformers", "acme/bert", models, PullOptions(revision=revision)
        )
        return checkpoint.record.origin.revision, action

    assert pull() == (COMMIT, "pulled")
    assert pull() == (COMMIT, "verified")
    assert pull("v2") == ("v2", "pulled")
    assert pull() == ("v2", "verified")
    weights = models.checkpoints.path("sentence_transformers", "acme/bert") / "model.safetensors"
    weights.write_bytes(b"rot" + weights.read_bytes()[3:])
    assert pull() == (COMMIT, "pulled")


def kindred(
    *arguments: str, models: ModelFolder, **variables: str
) -> tuple[int, dict[str, object]]:
    finished = subprocess.run(
        [sys.executable, "-m", "search_api.cli", *arguments, "--json"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "KINDRED_MODELS_DIR": str(models.root), **variables},
    )
    return finished.returncode, json.loads(finished.stdout)


def test_the_command_pulls_from_a_hub_and_then_needs_it_no_more(
    models: ModelFolder, tmp_path: Path
) -> None:
    folder = bert_model(tmp_path / "bert")
    name = "sentence_transformers:acme/bert"
    with hub_serving({"acme/bert": folder}) as (address, hub):
        online = {"HF_ENDPOINT": address, "HF_HUB_OFFLINE": "0"}
        code, pulled = kindred("models", "pull", name, models=models, **online)
        assert (code, pulled["models"][0]["revision"]) == (0, COMMIT)  # type: ignore[index]
        asked = [each.rsplit("/", 1)[-1] for each in hub.asked]
        assert "model.safetensors" in asked
        code, missing = kindred("models", "pull", "whisper:acme/none", models=models, **online)
        assert code == 1
        assert missing["error"]["code"] == "model_unavailable"  # type: ignore[index]
    code, listed = kindred("models", "list", models=models)
    assert [each["name"] for each in listed["checkpoints"]] == [name]  # type: ignore[attr-defined]
    assert listed["checkpoints"][0]["speed"] is None, "nobody measured it"  # type: ignore[index]
    code, checked = kindred("models", "check", name, "--untrained", models=models)
    assert code == 0
    assert checked["encoders"][0]["admitted"]  # type: ignore[index]
    code, listed = kindred("models", "list", models=models)
    (speed,) = listed["checkpoints"][0]["speed"]  # type: ignore[index]
    assert speed == checked["encoders"][0]["speed"]  # type: ignore[index]
    assert (speed["unit"], speed["device"]) == ("texts/s", "cpu")
    assert speed["per_second"] > 0
    # Random weights mean nothing, and the examination says so.
    code, checked = kindred("models", "check", name, models=models)
    assert code == 1
