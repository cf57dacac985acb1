"""Whisper's network through faster-whisper, in the one place that imports it."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from encoders.errors import ModelCorrupt
from encoders.media.content import Sound, Word
from encoders.speech.recognizer import SAMPLE_RATE_HZ
from encoders.speech.utterances import UNSPACED_LANGUAGES

if TYPE_CHECKING:
    from ctranslate2 import StorageView
    from faster_whisper.tokenizer import Tokenizer

DeviceKind: TypeAlias = Literal["cpu", "cuda"]

WINDOW_SECONDS = 30
BEAM_SIZE = 5
"""Measured on 30 spoken sentences: 0.62 s of a core for half a minute of speech and 7.9% of the
words wrong; one beam takes 0.42 s and gets 10.5% wrong.
"""

REPETITION_RATIO = 2.4
"""A text that zlib makes this many times shorter goes round in circles."""

_LONGEST_REPETITION = 3
"""Words, or pieces of words, that may come twice in a text that was caught in a circle."""

_WINDOW_SAMPLES = WINDOW_SECONDS * SAMPLE_RATE_HZ
_FRAMES_PER_SECOND = 100
_PREPENDED_MARKS = "\"'“¿([{-"
_APPENDED_MARKS = "\"'.。,，!！?？:：”)]}、"  # noqa: RUF001
_COMPUTE_TYPES: dict[DeviceKind, str] = {"cpu": "int8", "cuda": "float16"}


@dataclass(frozen=True, slots=True)
class Hearing:
    """What the network makes of a sound, before anybody asked whether to believe it."""

    text: str

    words: tuple[Word, ...]
    """On the sound's own clock."""

    no_speech_probability: float
    """That there are no words in it."""

    mean_log_probability: float
    """Of the tokens of the text, its end included."""

    @property
    def goes_in_circles(self) -> bool:
        """Whether the text says the same again and again."""
        content = self.text.encode()
        return len(content) > REPETITION_RATIO * len(zlib.compress(content))


class WhisperNetwork:
    """A Whisper model on one device.

    Args:
        folder: the model's directory.
        num_threads: threads of one run on the processor.
        device: where it runs: with 8-bit weights on a processor, as float16 on a CUDA device.
        device_number: which CUDA device.

    Raises:
        ModelCorrupt: the files are not those of a Whisper model, or are damaged.
    """

    def __init__(
        self, folder: Path, *, num_threads: int, device: DeviceKind = "cpu", device_number: int = 0
    ) -> None:
        from faster_whisper import WhisperModel

        try:
            self._model = WhisperModel(
                str(folder),
                device=device,
                device_index=device_number,
                compute_type=_COMPUTE_TYPES[device],
                cpu_threads=num_threads,
                local_files_only=True,
            )
        except Exception as error:
            # Readers of weights and of tokenizers raise what they like. What is wrong with a GPU
            # comes as the same kind of error as a damaged file.
            if isinstance(error, MemoryError) or "CUDA" in str(error):
                raise
            raise ModelCorrupt(
                f"{folder} cannot be read as a Whisper model for CTranslate2: {error}",
                folder=str(folder),
            ) from error

    def encode(self, sounds: Sequence[Sound]) -> NDArray[np.floating]:
        """Return what the decoder listens to.

        Args:
            sounds: at 16 kHz; what is beyond 30 s is not heard.

        Returns:
            ``(len(sounds), 1500, width)``. It lies in the processor's memory, where rows can be
            chosen.
        """
        spectrograms = np.stack([self._spectrogram(sound) for sound in sounds])
        return np.array(self._model.model.encode(_storage(spectrograms), to_cpu=True))

    def language_probabilities(self, encoded: NDArray[np.floating]) -> list[dict[str, float]]:
        """Return for each sound the probability of each language, by its code."""
        detected = self._model.model.detect_language(_storage(encoded))
        return [{token.strip("<|>"): probability for token, probability in row} for row in detected]

    def hear(
        self, encoded: NDArray[np.floating], durations_seconds: Sequence[float], language: str
    ) -> list[Hearing]:
        """Return what is said in each of the sounds.

        Args:
            encoded: as `encode` gave it.
            durations_seconds: of the sounds; the rest of the 30 s is silence.
            language: code of what is spoken in all of them.
        """
        tokenizer = self._tokenizer(language)
        hearings = self._hear(encoded, durations_seconds, tokenizer)
        again = [row for row, hearing in enumerate(hearings) if hearing.goes_in_circles]
        if again:
            # What caught the decoder in a circle is often one sound in half a minute of speech.
            rest = self._hear(
                encoded[again],
                [durations_seconds[row] for row in again],
                tokenizer,
                no_repeat_ngram_size=_LONGEST_REPETITION,
            )
            for row, hearing in zip(again, rest, strict=True):
                hearings[row] = hearing
        return hearings

    def _hear(
        self,
        encoded: NDArray[np.floating],
        durations_seconds: Sequence[float],
        tokenizer: Tokenizer,
        *,
        no_repeat_ngram_size: int = 0,
    ) -> list[Hearing]:
        storage = _storage(encoded)
        prompt = [*tokenizer.sot_sequence, tokenizer.no_timestamps]
        results = self._model.model.generate(
            storage,
            [prompt] * len(encoded),
            beam_size=BEAM_SIZE,
            no_repeat_ngram_size=no_repeat_ngram_size,
            return_scores=True,
            return_no_speech_prob=True,
        )
        tokens = [
            [token for token in result.sequences_ids[0] if token < tokenizer.eot]
            for result in results
        ]
        num_frames = [round(seconds * _FRAMES_PER_SECOND) for seconds in durations_seconds]
        alignments = self._model.find_alignment(tokenizer, tokens, storage, num_frames)
        return [
            Hearing(
                tokenizer.decode(ids).strip(),
                tuple(joined_words(_pieces(alignment), tokenizer.language_code)),
                result.no_speech_prob,
                # The score is a mean over the tokens; the end of the text is one more.
                result.scores[0] * len(ids) / (len(ids) + 1),
            )
            for ids, alignment, result in zip(tokens, alignments, results, strict=True)
        ]

    def _spectrogram(self, sound: Sound) -> NDArray[np.float32]:
        # The network was trained on sounds that go on as silence. Zeros after the spectrogram,
        # as faster-whisper puts them, are no silence.
        samples = np.zeros(_WINDOW_SAMPLES, dtype=np.float32)
        heard = sound.samples[:_WINDOW_SAMPLES]
        samples[: len(heard)] = heard
        return np.asarray(self._model.feature_extractor(samples, padding=0), dtype=np.float32)

    def _tokenizer(self, language: str) -> Tokenizer:
        from faster_whisper.tokenizer import Tokenizer

        return Tokenizer(
            self._model.hf_tokenizer,
            self._model.model.is_multilingual,
            task="transcribe",
            language=language,
        )


def hearing_parameters() -> dict[str, object]:
    """Return the JSON-ready parameters that words depend on besides the weights."""
    return {
        "version": 1,
        "beam_size": BEAM_SIZE,
        "repetition": [REPETITION_RATIO, _LONGEST_REPETITION],
    }


def num_cuda_devices() -> int:
    """Return how many CUDA devices the network could run on."""
    import ctranslate2

    return int(ctranslate2.get_cuda_device_count())


def _storage(array: NDArray[np.floating]) -> StorageView:
    import ctranslate2

    return ctranslate2.StorageView.from_array(np.ascontiguousarray(array))


def joined_words(pieces: Iterable[tuple[str, float, float, float]], language: str) -> list[Word]:
    """Return pieces of text as words.

    "well-known" comes in two pieces, the second without the space that begins a word.

    Args:
        pieces: text, start and stop in seconds, and probability of each, in order.
        language: code; some languages are written without spaces.
    """
    words: list[Word] = []
    for text, start, stop, probability in pieces:
        if not text.strip():
            continue
        word = Word(text.strip(), start, stop, probability)
        if words and language not in UNSPACED_LANGUAGES and not text.startswith(" "):
            words[-1] = Word(
                words[-1].text + word.text,
                words[-1].start_seconds,
                stop,
                min(words[-1].probability or 0.0, probability),
            )
        else:
            words.append(word)
    return words


def _pieces(alignment: list[dict[str, Any]]) -> Iterator[tuple[str, float, float, float]]:
    """Yield what `find_alignment` found, punctuation joined to the words it belongs to."""
    from faster_whisper.transcribe import merge_punctuations

    merge_punctuations(alignment, _PREPENDED_MARKS, _APPENDED_MARKS)
    for entry in alignment:
        yield (
            entry["word"],
            float(entry["start"]),
            float(entry["end"]),
            float(entry["probability"]),
        )
