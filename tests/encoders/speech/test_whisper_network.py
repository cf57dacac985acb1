from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from encoders.config import WhisperConfig
from encoders.errors import ModelCorrupt
from encoders.loading import EncoderLoader
from encoders.media.content import Sound
from encoders.models.folder import ModelFolder
from encoders.models.table import WHISPER_BASE
from encoders.speech.evidence import is_believable
from encoders.speech.recognizer import RecordingLanguage, SpeechWindow
from encoders.speech.whisper_network import Hearing, WhisperNetwork, joined_words
from encoders.speech.whisper_recognizer import WhisperRecognizer
from tests.encoders.speech.voices import vowels
from tests.generated_media import noise

RATE = 16_000


def entries(*words: tuple[str, float]) -> list[tuple[str, float, float, float]]:
    """Return aligned pieces of 0.2 s with their probabilities."""
    return [
        (text, 0.2 * number, 0.2 * number + 0.2, probability)
        for number, (text, probability) in enumerate(words)
    ]


@pytest.mark.parametrize(
    ("pieces", "language", "words"),
    [
        ([(" An", 0.9), (" owl.", 0.8)], "en", ["An", "owl."]),
        # The second part of a compound has no space before it.
        ([(" well", 0.9), ("-known", 0.4), (" owls", 0.8)], "en", ["well-known", "owls"]),
        ([("我", 0.9), ("们。", 0.8)], "zh", ["我", "们。"]),
        ([(" An", 0.9), ("", 0.1), (" ", 0.1)], "en", ["An"]),
        ([("An", 0.9)], "en", ["An"]),
        ([], "en", []),
    ],
)
def test_pieces_become_words(
    pieces: list[tuple[str, float]], language: str, words: list[str]
) -> None:
    assert [word.text for word in joined_words(entries(*pieces), language)] == words


def test_a_word_of_two_pieces_has_the_time_of_both_and_the_lower_probability() -> None:
    (word,) = joined_words(entries((" well", 0.9), ("-known", 0.4)), "en")
    assert (word.start_seconds, word.stop_seconds) == (0.0, pytest.approx(0.4))
    assert word.probability == 0.4


@pytest.mark.parametrize(
    ("text", "circles"),
    [("", False), ("Hello.", False), ("and then " * 40, True), ("The owl sleeps by day.", False)],
)
def test_a_text_that_repeats_itself_is_noticed(text: str, circles: bool) -> None:
    assert Hearing(text, (), 0.0, 0.0).goes_in_circles is circles


@pytest.mark.weights
class TestRealWeights:
    @pytest.fixture
    def recognizer(self, loader: EncoderLoader) -> WhisperRecognizer:
        return loader.open_recognizer(WhisperConfig())

    @pytest.fixture
    def whisper(self, recognizer: WhisperRecognizer) -> WhisperNetwork:
        return recognizer._whisper

    def test_the_table_names_the_languages_that_the_model_knows(self, models: ModelFolder) -> None:
        from faster_whisper.tokenizer import _LANGUAGE_CODES

        config = json.loads((models.path("whisper_base") / "config.json").read_text())
        assert len(WHISPER_BASE.languages) == len(config["lang_ids"])
        assert set(WHISPER_BASE.languages) <= set(_LANGUAGE_CODES)

    def test_the_spectrogram_is_the_one_of_the_published_model(
        self, whisper: WhisperNetwork
    ) -> None:
        extractor = whisper._model.feature_extractor
        assert (extractor.sampling_rate, extractor.n_fft, extractor.hop_length) == (RATE, 400, 160)
        assert extractor.mel_filters.shape == (80, 201)
        assert whisper._spectrogram(sound(vowels(seconds=1))).shape == (80, 3000)

    def test_the_same_is_heard_whatever_else_is_in_the_batch(self, whisper: WhisperNetwork) -> None:
        sounds = [sound(vowels(seconds=2, pitch_hz=pitch)) for pitch in (100, 140, 190)]
        seconds = [each.duration_seconds for each in sounds]
        together = whisper.hear(whisper.encode(sounds), seconds, "en")
        alone = [
            whisper.hear(whisper.encode([each]), [each.duration_seconds], "en")[0]
            for each in sounds
        ]
        assert any(each.words for each in together)
        for one, other in zip(together, alone, strict=True):
            assert one.text == other.text
            assert [(w.text, w.start_seconds) for w in one.words] == [
                (w.text, w.start_seconds) for w in other.words
            ]
            assert one.no_speech_probability == pytest.approx(other.no_speech_probability, abs=1e-4)
            assert one.mean_log_probability == pytest.approx(other.mean_log_probability, abs=1e-3)

    @pytest.mark.parametrize("gain", [1.0, 100.0], ids=["as loud as speech", "far too loud"])
    def test_words_lie_within_the_sound(self, whisper: WhisperNetwork, gain: float) -> None:
        full = sound(np.tile(vowels(seconds=3), 10) * np.float32(gain))
        (heard,) = whisper.hear(whisper.encode([full]), [full.duration_seconds], "en")
        times = [(word.start_seconds, word.stop_seconds) for word in heard.words]
        assert all(0 <= start <= stop <= 30 for start, stop in times)
        assert times == sorted(times)

    @pytest.mark.parametrize(
        "samples",
        [
            np.zeros(5 * RATE, dtype=np.float32),
            np.zeros(RATE // 10, dtype=np.float32),
            noise(seconds=5) * 0.1,
        ],
        ids=["silence", "a tenth of a second", "noise"],
    )
    def test_where_nobody_speaks_nothing_is_believed(
        self, whisper: WhisperNetwork, samples: NDArray[np.float32]
    ) -> None:
        (heard,) = whisper.hear(whisper.encode([sound(samples)]), [len(samples) / RATE], "en")
        assert not (heard.words and is_believable(heard))

    def test_the_whole_way_from_sound_to_utterances(self, recognizer: WhisperRecognizer) -> None:
        cutter = recognizer.open_cutter()
        quiet = np.zeros(RATE, dtype=np.float32)
        cutter.feed(sound(np.concatenate([quiet, vowels(seconds=2), quiet])))
        (window,) = cutter.finish()
        (found,) = recognizer.recognize([window], max_seconds=30)
        assert window.recording.language in WHISPER_BASE.languages
        assert all(0.5 < each.start_seconds < each.stop_seconds < 3.5 for each in found)

    def test_a_window_without_speech_is_empty(self, recognizer: WhisperRecognizer) -> None:
        hum = SpeechWindow(sound(noise(seconds=2) * 0.1), 0, ((0, 2),), RecordingLanguage("en"))
        assert recognizer.recognize([hum], max_seconds=30) == [[]]


def sound(samples: NDArray[np.float32]) -> Sound:
    return Sound(samples, RATE)


@pytest.mark.weights
@pytest.mark.parametrize("damaged", ["model.bin", "tokenizer.json"])
def test_damaged_files_are_named_as_such(models: ModelFolder, tmp_path: Path, damaged: str) -> None:
    for path in (models.root / "whisper_base").iterdir():
        if path.name != damaged:
            (tmp_path / path.name).symlink_to(path)
    with (models.root / "whisper_base" / damaged).open("rb") as whole:
        (tmp_path / damaged).write_bytes(whole.read(100_000))
    with pytest.raises(ModelCorrupt, match="cannot be read as a Whisper model"):
        WhisperNetwork(tmp_path, num_threads=1)
