from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from encoders.errors import ConfigError, ModelCorrupt, ModelMissing
from encoders.models.checkpoints import (
    RECORD_NAME,
    Checkpoint,
    CheckpointFolder,
    CheckpointOrigin,
    checkpoint_name,
    split_source,
)

SOURCE = "acme/small-clip"


@pytest.fixture
def folder(tmp_path: Path) -> CheckpointFolder:
    return CheckpointFolder(tmp_path / "models")


def install(folder: CheckpointFolder, weights: bytes = b"tensors") -> Checkpoint:
    def write(target: Path) -> CheckpointOrigin:
        (target / "1_Pooling").mkdir()
        (target / "1_Pooling" / "config.json").write_text("{}")
        (target / "model.safetensors").write_bytes(weights)
        return CheckpointOrigin(repository=SOURCE, revision="abc", licence="mit")

    return folder.install("sentence_transformers", SOURCE, write)


def test_what_was_installed_is_found_with_what_its_files_must_hold(
    folder: CheckpointFolder,
) -> None:
    installed = install(folder)
    found = folder.find("sentence_transformers", SOURCE)
    assert found == installed
    assert found.name == "acme--small-clip"
    assert set(found.sha256s) == {"1_Pooling/config.json", "model.safetensors"}
    assert found.record.origin.revision == "abc"
    assert found.size_bytes == len(b"{}tensors")
    found.verify()
    assert found.require_files() == found.folder
    assert [each.name for each in folder.all()] == ["acme--small-clip"]


def test_the_same_files_have_the_same_digests_wherever_they_lie(tmp_path: Path) -> None:
    here, there = (CheckpointFolder(tmp_path / name) for name in ("here", "there"))
    assert install(here).sha256s == install(there).sha256s
    assert install(here, b"Tensors").sha256s != install(there).sha256s


def test_a_model_that_was_not_pulled_is_named_with_the_command(folder: CheckpointFolder) -> None:
    with pytest.raises(ModelMissing, match="kindred models pull open_clip:acme/small-clip"):
        folder.find("open_clip", SOURCE)


def test_a_failed_write_leaves_what_was_there(folder: CheckpointFolder) -> None:
    before = install(folder)

    def fail(target: Path) -> CheckpointOrigin:
        (target / "model.safetensors").write_bytes(b"half")
        raise ModelCorrupt("no good")

    with pytest.raises(ModelCorrupt, match="no good"):
        folder.install("sentence_transformers", SOURCE, fail)
    assert folder.find("sentence_transformers", SOURCE) == before
    before.verify()
    assert not list(before.folder.parent.glob("*.partial"))


def test_pulling_again_replaces(folder: CheckpointFolder) -> None:
    before = install(folder)
    after = install(folder, b"fine-tuned")
    assert after.folder == before.folder
    assert after.sha256s != before.sha256s
    assert (after.folder / "model.safetensors").read_bytes() == b"fine-tuned"


def test_a_file_that_is_short_or_rotten_is_named(folder: CheckpointFolder) -> None:
    checkpoint = install(folder)
    path = checkpoint.folder / "model.safetensors"
    path.write_bytes(b"tensorS")
    checkpoint.require_files()
    with pytest.raises(ModelCorrupt, match=r"model\.safetensors: expected sha256"):
        checkpoint.verify()
    path.write_bytes(b"tens")
    with pytest.raises(ModelCorrupt, match="expected 7 bytes, got 4 bytes"):
        checkpoint.require_files()
    path.unlink()
    with pytest.raises(ModelCorrupt, match="expected 7 bytes, got no bytes"):
        checkpoint.require_files()


@pytest.mark.parametrize("content", [b"", b"[]", b'{"family": "jpeg"}'])
def test_a_damaged_record_is_refused(folder: CheckpointFolder, content: bytes) -> None:
    (install(folder).folder / RECORD_NAME).write_bytes(content)
    with pytest.raises(ModelCorrupt, match="is not the record of a checkpoint"):
        folder.find("sentence_transformers", SOURCE)


def test_the_record_is_written_for_people_too(folder: CheckpointFolder) -> None:
    text = (install(folder).folder / RECORD_NAME).read_text()
    assert msgspec.json.decode(text)["origin"]["licence"] == "mit"
    assert text.count("\n") > 5


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("ViT-B-32/laion2b_s34b_b79k", "ViT-B-32--laion2b_s34b_b79k"),
        ("laion/clap-htsat-unfused", "laion--clap-htsat-unfused"),
        ("lukewys/laion_clap/630k best.pt", "lukewys--laion_clap--630k-best.pt"),
    ],
)
def test_names_of_a_hub_stay_readable(source: str, name: str) -> None:
    assert checkpoint_name(source) == name


def test_two_files_of_one_name_have_two_names() -> None:
    one, other = checkpoint_name("/a/model.pt"), checkpoint_name("/b/model.pt")
    assert one != other
    assert one.startswith("model-")
    assert checkpoint_name("/a/../a/model.pt").startswith("model-")


def test_a_source_is_a_family_and_a_name() -> None:
    assert split_source("whisper:small") == ("whisper", "small")
    assert split_source("open_clip:/a:b/c.pt") == ("open_clip", "/a:b/c.pt")
    for wrong in ("small", "jpeg:small", "whisper:"):
        with pytest.raises(ConfigError, match="should be FAMILY:SOURCE"):
            split_source(wrong)
