"""Tokenizers and text towers that lie in other repositories than the weights, from a hub here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from encoders.clip.folder import (
    CONFIG_NAME,
    TEXT_TOWER_CONFIG_NAME,
    TOKENIZER_NAMES,
    WEIGHTS_NAME,
    read_config,
)
from encoders.config import OpenClipConfig
from encoders.errors import ModelUnavailable
from encoders.loading import EncoderLoader
from encoders.models import checkpoint_pull, open_clip_text
from encoders.models.checkpoint_pull import PullOptions, pull_checkpoint
from encoders.models.checkpoints import Checkpoint, CheckpointOrigin, RepositoryCommit
from encoders.models.folder import ModelFolder
from encoders.models.hub import Choose
from tests.small_hub import COMMIT, hub_serving
from tests.small_open_clip import (
    bert_architecture,
    small_architecture,
    write_bert,
    write_small_model,
)

ROOT = Path(__file__).resolve().parents[3]
TEXTS = ["word1 word2", "abc"]
TOWER = "acme/small-bert"


class Hub:
    """Repositories by name, without a network; asked for anything, it writes down what."""

    def __init__(self) -> None:
        self.repositories: dict[str, Path] = {}
        self.fetched: list[tuple[str, list[str]]] = []

    def fetch(
        self, repository: str, target: Path, choose: Choose, *, revision: str | None = None
    ) -> CheckpointOrigin:
        if repository not in self.repositories:
            raise ModelUnavailable(f"no repository {repository}")
        folder = self.repositories[repository]
        names = choose(sorted(path.name for path in folder.iterdir()))
        target.mkdir(parents=True, exist_ok=True)
        for name in names:
            shutil.copyfile(folder / name, target / name)
        self.fetched.append((repository, names))
        return CheckpointOrigin(repository=repository, revision=revision or COMMIT, licence="mit")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    hub = Hub()
    for module in (checkpoint_pull, open_clip_text):
        monkeypatch.setattr(module, "fetch_repository", hub.fetch)
    return hub


@pytest.fixture
def models(tmp_path: Path) -> ModelFolder:
    return ModelFolder(tmp_path / "models")


def write_model(folder: Path, bert: Path, **text_changes: Any) -> Path:
    """Write a model with BERT for a text tower which says that BERT is `TOWER`."""
    write_small_model(folder, bert_architecture(bert))
    config = json.loads((folder / CONFIG_NAME).read_text())
    names = {"hf_model_name": TOWER, "hf_tokenizer_name": TOWER}
    config["model_cfg"]["text_cfg"].update({**names, **text_changes})
    (folder / CONFIG_NAME).write_text(json.dumps(config))
    return folder


def text_rows(models: ModelFolder, source: str) -> np.ndarray:
    loader = EncoderLoader(models, trained=False)
    return loader.open(OpenClipConfig(source, tower="text")).encode(TEXTS)


def whole(tmp_path: Path, model: Path, bert: Path) -> np.ndarray:
    """Return the vectors of the model with its text files put beside the weights by hand."""
    folder = tmp_path / "whole"
    shutil.copytree(model, folder)
    for name in (TEXT_TOWER_CONFIG_NAME, *TOKENIZER_NAMES):
        if (bert / name).is_file():
            shutil.copyfile(bert / name, folder / name)
    models = ModelFolder(tmp_path / "models-of-whole")
    pull_checkpoint("open_clip", str(folder), models)
    return text_rows(models, str(folder))


def test_a_text_tower_of_another_repository_comes_along(
    tmp_path: Path, models: ModelFolder, hub: Hub
) -> None:
    bert = write_bert(tmp_path / "bert")
    model = write_model(tmp_path / "clip", bert)
    hub.repositories = {"acme/clip": model, TOWER: bert}
    checkpoint, _ = pull_checkpoint("open_clip", "acme/clip", models)
    assert checkpoint.record.origin == CheckpointOrigin(
        repository="acme/clip",
        revision=COMMIT,
        licence="mit",
        text_from=(RepositoryCommit(TOWER, COMMIT),),
    )
    assert {"vocab.txt", TEXT_TOWER_CONFIG_NAME, WEIGHTS_NAME} <= set(checkpoint.record.files)
    checkpoint.verify()
    np.testing.assert_array_equal(text_rows(models, "acme/clip"), whole(tmp_path, model, bert))


def test_the_config_of_another_kind_of_model_is_no_text_tower(
    tmp_path: Path, models: ModelFolder, hub: Hub
) -> None:
    """Repositories for several libraries hold a config.json of CLIP as a whole."""
    bert = write_bert(tmp_path / "bert")
    model = write_model(tmp_path / "clip", bert)
    (model / TEXT_TOWER_CONFIG_NAME).write_text('{"model_type": "clip"}')
    hub.repositories = {"acme/clip": model, TOWER: bert}
    pull_checkpoint("open_clip", "acme/clip", models)
    (model / TEXT_TOWER_CONFIG_NAME).unlink()
    np.testing.assert_array_equal(text_rows(models, "acme/clip"), whole(tmp_path, model, bert))


def test_tower_and_tokenizer_may_lie_in_two_repositories(
    tmp_path: Path, models: ModelFolder, hub: Hub
) -> None:
    bert = write_bert(tmp_path / "bert")
    model = write_model(tmp_path / "clip", bert, hf_tokenizer_name="acme/words")
    words = tmp_path / "words"
    shutil.copytree(bert, words)
    (words / TEXT_TOWER_CONFIG_NAME).write_text('{"model_type": "t5"}')
    hub.repositories = {"acme/clip": model, TOWER: bert, "acme/words": words}
    checkpoint, _ = pull_checkpoint("open_clip", "acme/clip", models)
    assert {each.repository for each in checkpoint.record.origin.text_from} == {
        TOWER, "acme/words",
    }  # fmt: skip
    kind = json.loads((checkpoint.folder / TEXT_TOWER_CONFIG_NAME).read_text())["model_type"]
    assert kind == "bert"


def test_a_tokenizer_that_says_its_kind_in_its_config_alone_is_read(
    tmp_path: Path, models: ModelFolder, hub: Hub
) -> None:
    """CLIPA's is bert-base-uncased, before a text tower of open_clip's own."""
    bert = write_bert(tmp_path / "bert")
    (bert / "tokenizer_config.json").write_text('{"do_lower_case": true}')
    (bert / "tokenizer.json").unlink()
    num_words = len((bert / "vocab.txt").read_text().splitlines())
    text = {"context_length": 16, "vocab_size": num_words, "width": 32, "heads": 2, "layers": 2}
    architecture = small_architecture(
        text_cfg={**text, "hf_tokenizer_name": TOWER, "pool_type": "last"}
    )
    hub.repositories = {
        "acme/clip": write_small_model(tmp_path / "clip", architecture), TOWER: bert,
    }  # fmt: skip
    checkpoint, _ = pull_checkpoint("open_clip", "acme/clip", models)
    assert read_config(checkpoint.folder).text_tower_name is None
    rows = text_rows(models, "acme/clip")
    assert not np.allclose(rows[0], rows[1])


def test_what_a_repository_brings_and_what_open_clip_has_is_not_fetched(
    tmp_path: Path, models: ModelFolder, hub: Hub
) -> None:
    bert = write_bert(tmp_path / "bert")
    model = write_model(tmp_path / "clip", bert)
    for path in bert.iterdir():
        shutil.copyfile(path, model / path.name)
    hub.repositories = {
        "acme/clip": model, "acme/plain": write_small_model(tmp_path / "plain"),
    }  # fmt: skip
    for source in ("acme/clip", "acme/plain"):
        checkpoint, _ = pull_checkpoint("open_clip", source, models)
        assert checkpoint.record.origin.text_from == ()
    assert [repository for repository, _ in hub.fetched] == ["acme/clip", "acme/plain"]


def test_a_given_tokenizer_takes_the_place_of_what_is_named_and_brought(
    tmp_path: Path, models: ModelFolder, hub: Hub
) -> None:
    bert = write_bert(tmp_path / "bert")
    model = write_model(tmp_path / "clip", bert)
    given = tmp_path / "given"
    shutil.copytree(bert, given)
    vocabulary = (bert / "vocab.txt").read_text().replace("word1\n", "w0rd\n")
    (given / "vocab.txt").write_text(vocabulary)
    (model / "vocab.txt").write_text("other words")
    (model / "merges.txt").write_text("of another kind of tokenizer")
    hub.repositories = {"acme/clip": model}
    checkpoint, _ = pull_checkpoint("open_clip", "acme/clip", models, PullOptions(tokenizer=given))
    assert checkpoint.record.origin.text_from == ()
    assert (checkpoint.folder / "vocab.txt").read_text() == vocabulary
    assert "merges.txt" not in checkpoint.record.files


def test_a_repository_that_is_not_there_is_named_and_leaves_nothing(
    tmp_path: Path, models: ModelFolder, hub: Hub
) -> None:
    model = write_model(tmp_path / "clip", write_bert(tmp_path / "bert"))
    hub.repositories = {"acme/clip": model}
    with pytest.raises(ModelUnavailable, match=TOWER):
        pull_checkpoint("open_clip", "acme/clip", models)
    assert list(models.checkpoints.all()) == []


def test_the_command_fetches_both_repositories_from_a_hub_and_says_so(
    tmp_path: Path, models: ModelFolder
) -> None:
    bert = write_bert(tmp_path / "bert")
    model = write_model(tmp_path / "clip", bert)
    name = "open_clip:acme/clip"
    with hub_serving({"acme/clip": model, TOWER: bert}) as (address, hub):
        pulled = _kindred("pull", name, models=models, HF_ENDPOINT=address, HF_HUB_OFFLINE="0")
        assert pulled["models"][0]["text_from"] == [{"repository": TOWER, "revision": COMMIT}]
        assert f"GET /{TOWER}/resolve/{COMMIT}/vocab.txt" in hub.asked
    (listed,) = _kindred("list", models=models)["checkpoints"]
    assert listed["text_from"] == [{"repository": TOWER, "revision": COMMIT}]
    assert isinstance(models.checkpoints.find("open_clip", "acme/clip"), Checkpoint)
    assert text_rows(models, "acme/clip").shape[0] == len(TEXTS)


def _kindred(*arguments: str, models: ModelFolder, **variables: str) -> dict[str, Any]:
    finished = subprocess.run(
        [sys.executable, "-m", "search_api.cli", "models", *arguments, "--json"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "KINDRED_MODELS_DIR": str(models.root), **variables},
    )
    assert finished.returncode == 0, finished.stderr
    answer: dict[str, Any] = json.loads(finished.stdout)
    return answer
