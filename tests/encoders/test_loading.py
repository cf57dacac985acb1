from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from encoders import identification
from encoders.config import (
    ConceptsConfig,
    EncoderConfig,
    FeaturesConfig,
    SentenceConfig,
    WhisperConfig,
)
from encoders.errors import ConfigError, ModelMissing
from encoders.loading import EncoderLoader
from encoders.models.folder import ModelFolder

ROOT = Path(__file__).resolve().parents[2]
CONFIGS: list[EncoderConfig] = [
    SentenceConfig(),
    FeaturesConfig("efficientnet_lite2"),
    FeaturesConfig("yamnet"),
    ConceptsConfig("efficientnet_lite2"),
    ConceptsConfig("yamnet"),
]
IDENTIFY = """
import sys
from pathlib import Path
from encoders.config import ConceptsConfig, FeaturesConfig, SentenceConfig, WhisperConfig
from encoders.loading import EncoderLoader
from encoders.models.folder import ModelFolder
loader = EncoderLoader(ModelFolder(Path("nowhere")))
for config in (
    SentenceConfig(),
    FeaturesConfig("efficientnet_lite2"),
    FeaturesConfig("yamnet"),
    ConceptsConfig("efficientnet_lite2"),
    ConceptsConfig("yamnet"),
):
    print(loader.identify(config).encoder_id)
print(loader.identify_recognizer(WhisperConfig()))
heavy = {"torch", "timm", "onnx", "onnxruntime", "sentence_transformers", "transformers", "PIL"}
heavy |= {"faster_whisper", "ctranslate2", "av"}
print(sorted(heavy & set(sys.modules)))
"""


@pytest.fixture
def empty(tmp_path: Path) -> EncoderLoader:
    """A loader over a folder without any weights."""
    return EncoderLoader(ModelFolder(tmp_path))


def test_identifying_needs_no_weights_and_no_heavy_library(empty: EncoderLoader) -> None:
    finished = subprocess.run(
        [sys.executable, "-c", IDENTIFY], capture_output=True, text=True, cwd=ROOT, check=True
    )
    *ids, heavy = finished.stdout.splitlines()
    assert heavy == "[]"
    # The same ids in another process: they are digests, not hashes of this one.
    assert ids == [
        *(empty.identify(config).encoder_id for config in CONFIGS),
        empty.identify_recognizer(WhisperConfig()),
    ]


def test_encoders_have_ids_of_their_own(empty: EncoderLoader) -> None:
    assert len({empty.identify(config).encoder_id for config in CONFIGS}) == len(CONFIGS)


def test_concepts_and_sentences_share_a_space_and_features_do_not(empty: EncoderLoader) -> None:
    sentence, looks, timbre, pictures, sounds = map(empty.identify, CONFIGS)
    assert sentence.space_id == pictures.space_id == sounds.space_id
    assert len({sentence.space_id, looks.space_id, timbre.space_id}) == 3
    assert sentence.dim == pictures.dim == sounds.dim == 384
    assert (looks.dim, timbre.dim) == (1280, 1024)


def test_identity_names_medium_and_rate(empty: EncoderLoader) -> None:
    sentence, looks, timbre, pictures, sounds = map(empty.identify, CONFIGS)
    assert sentence.medium == "text"
    assert looks.medium == pictures.medium == "image"
    assert timbre.medium == sounds.medium == "audio"
    assert timbre.sample_rate_hz == sounds.sample_rate_hz == 16000
    assert looks.sample_rate_hz is None


@pytest.mark.parametrize("config", CONFIGS[1:], ids=lambda config: type(config).__name__)
def test_changed_preprocessing_changes_the_id(
    empty: EncoderLoader, config: EncoderConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = empty.identify(config)
    for name in ("picture_parameters", "sound_parameters"):
        monkeypatch.setattr(identification, name, lambda: {"version": -1})
    after = empty.identify(config)
    assert before.encoder_id != after.encoder_id


def test_concepts_of_another_preprocessing_stay_in_the_text_space(
    empty: EncoderLoader, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = empty.identify(ConceptsConfig("yamnet"))
    monkeypatch.setattr(identification, "sound_parameters", lambda: {"version": -1})
    assert empty.identify(ConceptsConfig("yamnet")).space_id == before.space_id


def test_changed_sentence_preprocessing_changes_the_space(
    empty: EncoderLoader, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = empty.identify(SentenceConfig())
    monkeypatch.setattr(identification, "sentence_parameters", lambda: {"version": -1})
    assert empty.identify(SentenceConfig()).space_id != before.space_id
    assert empty.identify(ConceptsConfig("yamnet")).space_id != before.space_id


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: type(config).__name__)
def test_opening_without_weights_says_how_to_get_them(
    empty: EncoderLoader, config: EncoderConfig
) -> None:
    with pytest.raises(ModelMissing, match="kindred models pull starter"):
        empty.open(config)


def test_unknown_sentence_model_is_named(empty: EncoderLoader) -> None:
    with pytest.raises(ModelMissing, match="pull sentence_transformers:minilm2"):
        empty.identify(SentenceConfig("minilm2"))


@pytest.mark.parametrize("config", [SentenceConfig("yamnet"), ConceptsConfig("yamnet", "yamnet")])
def test_model_of_the_wrong_kind_is_refused(empty: EncoderLoader, config: EncoderConfig) -> None:
    with pytest.raises(ConfigError, match="'yamnet' takes audio"):
        empty.identify(config)


def test_what_decides_about_words_changes_the_id_of_a_recogniser(
    empty: EncoderLoader, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = empty.identify_recognizer(WhisperConfig())
    assert before.startswith("whisper_base-")
    assert empty.identify_recognizer(WhisperConfig(language="en")) != before
    monkeypatch.setattr(identification, "recognizer_parameters", lambda: {"version": -1})
    assert empty.identify_recognizer(WhisperConfig()) != before


def test_a_recogniser_without_weights_says_how_to_get_them(empty: EncoderLoader) -> None:
    with pytest.raises(ModelMissing, match="kindred models pull starter"):
        empty.open_recognizer(WhisperConfig())


def test_unknown_speech_model_is_named(empty: EncoderLoader) -> None:
    with pytest.raises(ModelMissing, match="kindred models pull whisper:huge"):
        empty.identify_recognizer(WhisperConfig("huge"))


def test_a_language_that_the_model_does_not_know_is_refused(empty: EncoderLoader) -> None:
    with pytest.raises(ConfigError, match="does not know the language 'xx'"):
        empty.identify_recognizer(WhisperConfig(language="xx"))


@pytest.mark.weights
class TestOpened:
    def test_an_encoder_opened_twice_is_the_same(self, loader: EncoderLoader) -> None:
        for config in CONFIGS:
            assert loader.open(config) is loader.open(config)

    def test_opened_encoders_are_what_was_identified(self, loader: EncoderLoader) -> None:
        for config in CONFIGS:
            assert loader.open(config).identity == loader.identify(config)

    def test_device_that_is_not_there_is_refused_by_name(self, models: ModelFolder) -> None:
        with pytest.raises(ConfigError, match="device 'cuda:99' is not there") as caught:
            EncoderLoader(models, device="cuda:99").open(SentenceConfig())
        assert "cpu" in caught.value.detail["available"]  # type: ignore[operator]

    def test_a_recogniser_opened_twice_is_the_same(self, loader: EncoderLoader) -> None:
        assert loader.open_recognizer(WhisperConfig()) is loader.open_recognizer(WhisperConfig())

    def test_recognisers_of_two_languages_share_the_network(self, loader: EncoderLoader) -> None:
        anything = loader.open_recognizer(WhisperConfig())
        english = loader.open_recognizer(WhisperConfig(language="en"))
        assert english._whisper is anything._whisper
        assert english.recognizer_id == loader.identify_recognizer(WhisperConfig(language="en"))
        assert english.open_cutter().recording.language == "en"

    def test_a_recogniser_is_refused_a_device_that_is_not_there(self, models: ModelFolder) -> None:
        with pytest.raises(ConfigError, match=r"device 'cuda:99' is not there; this CTranslate2"):
            EncoderLoader(models, device="cuda:99").open_recognizer(WhisperConfig())


def test_what_always_runs_on_the_processor_says_so(
    empty: EncoderLoader, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_gpu = EncoderLoader(empty.models, device="cuda:1")
    monkeypatch.setattr(on_gpu, "_torch_device", lambda: "cuda:1")
    monkeypatch.setattr(on_gpu, "_ctranslate2_device", lambda: ("cuda", 1))
    for config, device in (
        (SentenceConfig(), "cuda:1"),
        (SentenceConfig(precision="int8"), "cpu"),
        (ConceptsConfig("efficientnet_lite2"), "cuda:1"),
        (ConceptsConfig("yamnet"), "cpu"),
        (FeaturesConfig("yamnet"), "cpu"),
        (WhisperConfig(), "cuda:1"),
    ):
        assert on_gpu.device_of(config) == device
        assert empty.device_of(config) == "cpu"
