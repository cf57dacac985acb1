"""Examining models by name: reports, and the speed of those that pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from encoders.checking import check_model
from encoders.errors import ConfigError
from encoders.loading import EncoderLoader
from encoders.measured import measured_speeds
from encoders.models.checkpoint_pull import pull_checkpoint
from encoders.models.folder import ModelFolder
from tests.small_sentence_models import bert_model


@pytest.mark.weights
@pytest.mark.parametrize(
    ("name", "unit"), [("whisper:base", "audio-seconds/s"), ("features:yamnet", "audio-seconds/s")]
)
def test_the_speed_of_what_passes_is_kept(name: str, unit: str, loader: EncoderLoader) -> None:
    (checked,) = check_model(name, loader)
    assert checked.report.admitted, checked.report.failures
    assert checked.speed is not None
    assert (checked.speed.unit, checked.speed.device) == (unit, "cpu")
    assert checked.speed.encoder_id == checked.report.encoder_id
    assert measured_speeds(name, loader.models) == [checked.speed]
    if name.startswith("whisper"):
        assert checked.report.finding("speech_heard").measured == 1.0


def test_what_is_refused_has_no_speed(tmp_path: Path) -> None:
    models = ModelFolder(tmp_path / "models")
    folder = bert_model(tmp_path / "bert")
    pull_checkpoint("sentence_transformers", str(folder), models)
    name = f"sentence_transformers:{folder}"
    # Random weights mean nothing.
    (checked,) = check_model(name, EncoderLoader(models))
    assert not checked.report.admitted
    assert checked.speed is None
    assert measured_speeds(name, models) == []


def test_a_check_that_passes_spares_the_first_use_its_examination(tmp_path: Path) -> None:
    models = ModelFolder(tmp_path / "models")
    folder = bert_model(tmp_path / "bert")
    pull_checkpoint("sentence_transformers", str(folder), models)
    (checked,) = check_model(
        f"sentence_transformers:{folder}", EncoderLoader(models, trained=False)
    )
    kept = models.root / "admission" / f"{checked.report.encoder_id}.json"
    assert kept.is_file()


@pytest.mark.parametrize("name", ["whisper:", "whisper", "jpeg:small"])
def test_what_is_no_model_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="FAMILY:SOURCE"):
        check_model(name, EncoderLoader(ModelFolder(tmp_path)))
