from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from encoders.clap.settings import ClapFacts, clap_facts, spectrogram_settings
from encoders.errors import ModelCorrupt

CONFIG = {"model_type": "clap", "projection_dim": 512}
PREPROCESSOR = {
    "sampling_rate": 48000,
    "max_length_s": 10,
    "feature_size": 64,
    "fft_window_size": 1024,
    "hop_length": 480,
    "frequency_min": 50,
    "frequency_max": 14000,
    "padding": "repeatpad",
    "truncation": "rand_trunc",
}


def write(folder: Path, config: object = CONFIG, preprocessor: object = PREPROCESSOR) -> Path:
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return folder


def test_facts_are_read_from_json(tmp_path: Path) -> None:
    assert clap_facts(write(tmp_path)) == ClapFacts(dim=512, sample_rate_hz=48000, max_seconds=10)


def test_settings_of_a_whole_processor_in_one_file_are_found(tmp_path: Path) -> None:
    expected = spectrogram_settings(write(tmp_path))
    (tmp_path / "preprocessor_config.json").unlink()
    whole = tmp_path / "processor_config.json"
    whole.write_text(json.dumps({"feature_extractor": PREPROCESSOR}))
    assert spectrogram_settings(tmp_path) == expected
    whole.write_text("{}")
    with pytest.raises(ModelCorrupt, match=r"processor_config\.json: field 'feature_extractor'"):
        spectrogram_settings(tmp_path)


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"model_type": "clip", "projection_dim": 512}, "model_type"),
        ({"model_type": "clap"}, "projection_dim"),
        ({"model_type": "clap", "projection_dim": "512"}, "projection_dim"),
        ({"model_type": "clap", "projection_dim": True}, "projection_dim"),
    ],
)
def test_field_of_the_configuration_that_cannot_be_used_is_named(
    tmp_path: Path, config: object, field: str
) -> None:
    with pytest.raises(ModelCorrupt, match=rf"config\.json: field '{field}'"):
        clap_facts(write(tmp_path, config))


@pytest.mark.parametrize("field", sorted(PREPROCESSOR))
def test_field_missing_from_the_preprocessor_is_named(tmp_path: Path, field: str) -> None:
    rest = {name: value for name, value in PREPROCESSOR.items() if name != field}
    with pytest.raises(ModelCorrupt, match=rf"preprocessor_config\.json: field '{field}'"):
        clap_facts(write(tmp_path, preprocessor=rest))


def test_unknown_way_to_fill_up_short_sounds_is_refused_with_those_known(tmp_path: Path) -> None:
    with pytest.raises(ModelCorrupt, match="'repeatpad' or 'repeat' or 'pad', got 'mirror'"):
        clap_facts(write(tmp_path, preprocessor={**PREPROCESSOR, "padding": "mirror"}))


def test_file_that_is_missing_or_no_json_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelCorrupt, match=r"config\.json is not there"):
        clap_facts(tmp_path)
    write(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelCorrupt, match=r"config\.json is not JSON"):
        clap_facts(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(ModelCorrupt, match=r"config\.json: expected an object, got list"):
        clap_facts(tmp_path)


def test_facts_need_no_library_of_machine_learning(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom encoders.clap.encoder import clap_facts\n"
        "clap_facts(Path(sys.argv[1]))\n"
        "print({'torch', 'transformers'} & set(sys.modules))\n"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code, str(write(tmp_path))],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).resolve().parents[3],
    ).stdout
    assert printed == "set()\n"
