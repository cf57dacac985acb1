"""What ``kindred models list`` says was measured, and that it invents nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from encoders.admission.speed import Speed
from encoders.config import ConceptsConfig
from encoders.identification import identify
from encoders.measured import speed_records
from encoders.models.folder import ModelFolder
from search_api.cli.main import run
from tests.encoders.adapters.small_adapter import written

CONCEPTS = ConceptsConfig("efficientnet_lite2")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelFolder:
    monkeypatch.setenv("KINDRED_MODELS_DIR", str(tmp_path / "models"))
    return ModelFolder(tmp_path / "models")


def listed(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert run(["models", "list", "--json"]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def table(capsys: pytest.CaptureFixture[str]) -> str:
    assert run(["models", "list"]) == 0
    return capsys.readouterr().out


def row(shown: str, name: str) -> str:
    return next(line for line in shown.splitlines() if line.strip().startswith(name))


def test_figures_of_the_starter_are_marked_as_not_from_here(
    folder: ModelFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    models = {model["name"]: model for model in listed(capsys)["models"]}
    (speed,) = models["efficientnet_lite2"]["speed"]
    assert (speed["unit"], speed["device"], speed["measured"]) == ("pictures/s", "cpu", None)
    assert models["yamnet"]["speed"][0]["unit"] == "audio-seconds/s"
    assert models["efficientnet_lite2"]["recall"] == {
        "question": "text to image", "at": 10, "value": 0.302, "before": None,
    }  # fmt: skip
    assert models["minilm"]["recall"] is None
    shown = table(capsys)
    assert "~18 pictures/s" in row(shown, "efficientnet_lite2")
    assert "text to sound R@10 0.400" in row(shown, "yamnet")


def test_what_this_machine_measured_comes_before_what_was_shipped(
    folder: ModelFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    encoder_id = identify(CONCEPTS, folder).encoder_id
    speed = Speed(
        encoder_id=encoder_id, medium="image", device="cpu", per_second=41.4, measured="2026-01-01"
    )
    speed_records(folder).keep(speed)
    models = {model["name"]: model for model in listed(capsys)["models"]}
    (found,) = models["efficientnet_lite2"]["speed"]
    assert found == {
        "encoder_id": encoder_id,
        "per_second": 41.4,
        "unit": "pictures/s",
        "device": "cpu",
        "measured": "2026-01-01",
    }
    assert " 41 pictures/s" in row(table(capsys), "efficientnet_lite2")


def test_nothing_on_the_hub_was_measured(
    folder: ModelFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    for model in listed(capsys)["hub"]:
        assert (model["speed"], model["recall"]) == (None, None)


def test_an_adapter_is_listed_with_its_recall_before_and_after(
    folder: ModelFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    record = written(folder.root / "adapters" / "ours")
    (adapter,) = listed(capsys)["adapters"]
    assert (adapter["name"], adapter["speed"]) == ("adapter:ours", None)
    assert adapter["recall"] == {
        "question": "text to image", "at": 10, "value": 0.5, "before": 0.3,
    }  # fmt: skip
    speed = Speed(
        encoder_id=f"adapter-{record.digest}",
        medium="image",
        device="cuda:0",
        per_second=1234.0,
        measured="2026-01-01",
    )
    speed_records(folder).keep(speed)
    shown = row(table(capsys), "adapter:ours")
    assert "1200 pictures/s on cuda:0" in shown
    assert "R@10 0.500 (without 0.300)" in shown


def test_an_adapter_that_cannot_be_read_is_named_and_the_rest_listed(
    folder: ModelFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    written(folder.root / "adapters" / "old")
    record = folder.root / "adapters" / "old" / "adapter.json"
    fields = json.loads(record.read_text())
    record.write_text(json.dumps({**fields, "format_version": 1}))
    answer = listed(capsys)
    assert answer["adapters"] == []
    assert {model["name"] for model in answer["models"]} >= {"minilm", "yamnet"}
    (problem,) = answer["problems"]
    assert (problem["name"], problem["code"]) == ("adapter:old", "model_corrupt")
    assert run(["models", "list"]) == 0
    shown = capsys.readouterr()
    assert "adapter:old cannot be read: " in shown.err
    assert "format_version is 1" in shown.err
    assert row(shown.out, "yamnet")
