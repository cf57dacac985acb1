"""How well spoken words are found.

    python -m benchmarks.speech [captions] [spliced] [invented]

Recordings are decoded, cut, recognised and encoded as an ingest does. ``captions``: short real
recordings, each of which is asked for by its caption. ``spliced``: sentences spoken at known times
between music and noise, each of which is asked for word by word. ``invented``: music and noise in
which nothing must be heard. Prints a table for each and writes JSON.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.captioned_media import stamp_captions_read_aloud
from benchmarks.corpora import stamps_folder
from benchmarks.metrics import bootstrap_interval, first_right_ranks
from benchmarks.report import environment, table, write_json
from benchmarks.retrieval import measure
from benchmarks.spliced_recordings import SplicedRecording, write_recordings, write_wordless
from encoders.config import SentenceConfig, WhisperConfig
from encoders.encoder import Encoder
from encoders.loading import EncoderLoader
from encoders.media.content import Utterance
from encoders.media.sandbox import DecodeSandbox
from encoders.models.folder import ModelFolder
from encoders.space import Vectors
from encoders.speech.recognizer import SAMPLE_RATE_HZ, SpeechRecognizer

PARTS = ("captions", "spliced", "invented")
STRETCH_SECONDS = 60.0
MAX_UTTERANCE_SECONDS = 30.0
WINDOWS_PER_BATCH = 16
INVENTED_MINUTES = 10.0


@dataclass(frozen=True, slots=True)
class HeardRecordings:
    """What was heard in a set of recordings, and what it took."""

    utterances: list[list[Utterance]]
    """For each recording."""

    recording_seconds: float
    window_seconds: float
    """Of what was found to be speech, short pauses included."""

    spent_seconds: float

    def as_json(self) -> dict[str, object]:
        """Return the sizes and the speed for programs."""
        return {
            "recordings": len(self.utterances),
            "utterances": sum(map(len, self.utterances)),
            "recording_seconds": round(self.recording_seconds, 1),
            "window_seconds": round(self.window_seconds, 1),
            "spent_seconds": round(self.spent_seconds, 1),
            "spent_per_recording_second": round(self.spent_seconds / self.recording_seconds, 4),
            "spent_per_window_second": (
                round(self.spent_seconds / self.window_seconds, 4) if self.window_seconds else None
            ),
        }


class Listener:
    """Hears recordings as an ingest does: decoded in stretches, windows of several in a batch.

    Args:
        recognizer: turns windows into words.
        sandbox: decodes.
    """

    def __init__(self, recognizer: SpeechRecognizer, sandbox: DecodeSandbox) -> None:
        self._recognizer = recognizer
        self._sandbox = sandbox

    def hear(self, paths: Sequence[Path]) -> HeardRecordings:
        """Return what is said in each recording."""
        began = time.monotonic()
        heard: list[list[Utterance]] = [[] for _ in paths]
        waiting = []
        recording_seconds = window_seconds = 0.0
        for number, path in enumerate(paths):
            cutter = self._recognizer.open_cutter()
            seconds = self._sandbox.sound_info(path).result().duration_seconds
            recording_seconds += seconds
            for start in np.arange(0.0, seconds, STRETCH_SECONDS).tolist():
                stop = min(start + STRETCH_SECONDS, seconds)
                sound = self._sandbox.sound(path, start, stop, SAMPLE_RATE_HZ).result()
                waiting += [(number, window) for window in cutter.feed(sound)]
            waiting += [(number, window) for window in cutter.finish()]
            while waiting and (len(waiting) >= WINDOWS_PER_BATCH or number == len(paths) - 1):
                batch, waiting = waiting[:WINDOWS_PER_BATCH], waiting[WINDOWS_PER_BATCH:]
                found = self._recognizer.recognize(
                    [window for _, window in batch], max_seconds=MAX_UTTERANCE_SECONDS
                )
                for (owner, window), utterances in zip(batch, found, strict=True):
                    heard[owner] += utterances
                    window_seconds += window.sound.duration_seconds
        return HeardRecordings(heard, recording_seconds, window_seconds, time.monotonic() - began)


@dataclass(frozen=True, slots=True)
class FoundSentence:
    """Where a search for a spoken sentence led."""

    text: str
    is_first: bool
    """The best utterance of all recordings is the one in which it is said."""

    start_error_seconds: float | None
    """How far the best utterance that meets the sentence begins from it, if one does."""


def find_sentences(
    recordings: Sequence[SplicedRecording],
    heard: Sequence[Sequence[Utterance]],
    encoder: Encoder[str],
) -> list[FoundSentence]:
    """Search each sentence over the utterances of all recordings.

    An utterance is right if it is of the sentence's recording and overlaps it in time.

    Args:
        recordings: with what is said in them.
        heard: the utterances of each, some.
        encoder: of sentences.
    """
    places = [(number, utterance) for number, each in enumerate(heard) for utterance in each]
    vectors = encoder.encode([utterance.text for _, utterance in places])
    found = []
    for number, recording in enumerate(recordings):
        for sentence in recording.sentences:
            scores = encoder.encode([sentence.text]) @ vectors.T
            right = np.array(
                [
                    owner == number
                    and utterance.start_seconds < sentence.stop_seconds
                    and utterance.stop_seconds > sentence.start_seconds
                    for owner, utterance in places
                ]
            )
            if not right.any():
                found.append(FoundSentence(sentence.text, False, None))
                continue
            best = int(np.argmax(np.where(right, scores[0], -np.inf)))
            error = abs(places[best][1].start_seconds - sentence.start_seconds)
            rank = int(first_right_ranks(scores, right[np.newaxis])[0])
            found.append(FoundSentence(sentence.text, rank == 1, error))
    return found


def caption_scores(
    captions: Sequence[str], heard: Sequence[Sequence[Utterance]], encoder: Encoder[str]
) -> Vectors:
    """Return ``(num_captions, num_recordings)``: a recording scores as its best utterance.

    A recording in which nothing was heard scores below all others.
    """
    questions = encoder.encode(list(captions))
    scores = np.full((len(captions), len(heard)), -np.inf, dtype=np.float32)
    for number, each in enumerate(heard):
        if each:
            vectors = encoder.encode([utterance.text for utterance in each])
            scores[:, number] = (questions @ vectors.T).max(axis=1)
    return scores


class Benchmark:
    """The parts, on one recogniser and one sentence encoder.

    Args:
        loader: opens them.
        sandbox: decodes.
        seed: of the bootstrap and of the recordings that are made.
    """

    def __init__(self, loader: EncoderLoader, sandbox: DecodeSandbox, *, seed: int) -> None:
        self._loader = loader
        self._recognizer = loader.open_recognizer(WhisperConfig())
        self._encoder: Encoder[str] = loader.open(SentenceConfig())
        self._sandbox = sandbox
        self._seed = seed

    def captions(self) -> dict[str, object]:
        """Ask for each real recording by its caption, with the language told and found out."""
        files = stamp_captions_read_aloud(stamps_folder())
        captions = [each.caption for each in files]
        report: dict[str, object] = {}
        rows = []
        for name, language in (("en", "en"), ("detected", None)):
            recognizer = self._loader.open_recognizer(WhisperConfig(language=language))
            listener = Listener(recognizer, self._sandbox)
            heard = listener.hear([each.path for each in files])
            scores = caption_scores(captions, heard.utterances, self._encoder)
            figures = measure(
                f"caption -> speech, {name}", scores, captions, captions, seed=self._seed
            )
            num_silent = sum(not each for each in heard.utterances)
            rows.append(figures.as_row() | {"nothing heard": str(num_silent)})
            report[name] = {
                **heard.as_json(),
                "nothing_heard": num_silent,
                "figures": figures.as_json(),
                "heard": {
                    each.path.stem: " / ".join(utterance.text for utterance in utterances)
                    for each, utterances in zip(files, heard.utterances, strict=True)
                },
            }
        print(table(rows), end="\n\n")
        return report

    def spliced(self, minutes: float, num_recordings: int) -> dict[str, object]:
        """Ask for each sentence that is spoken somewhere in long recordings."""
        with tempfile.TemporaryDirectory() as folder:
            recordings = write_recordings(Path(folder), num_recordings, minutes, seed=self._seed)
            listener = Listener(self._recognizer, self._sandbox)
            heard = listener.hear([each.path for each in recordings])
        found = find_sentences(recordings, heard.utterances, self._encoder)
        firsts = np.array([float(each.is_first) for each in found])
        interval = bootstrap_interval(firsts, np.arange(len(firsts)), seed=self._seed)
        errors = [
            each.start_error_seconds for each in found if each.start_error_seconds is not None
        ]
        report = {
            **heard.as_json(),
            "sentences": len(found),
            "recall_at_1": {"mean": interval.mean, "low": interval.low, "high": interval.high},
            "not_heard": sum(each.start_error_seconds is None for each in found),
            "median_start_error_seconds": float(np.median(errors)),
            "largest_start_error_seconds": float(np.max(errors)),
            "missed": [each.text for each in found if not each.is_first],
        }
        print(_lines(report, "spliced"), end="\n\n")
        return report

    def invented(self, minutes: float) -> dict[str, object]:
        """Count what is heard where nobody speaks."""
        with tempfile.TemporaryDirectory() as folder:
            recording = write_wordless(Path(folder), minutes, seed=self._seed)
            heard = Listener(self._recognizer, self._sandbox).hear([recording.path])
        report = {
            **heard.as_json(),
            "invented": [utterance.text for utterance in heard.utterances[0]],
        }
        print(_lines(report, "invented"), end="\n\n")
        return report


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the tables, write the JSON."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.speech",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all")
    parser.add_argument("--seed", type=int, default=0, help="of bootstrap and made recordings")
    parser.add_argument("--threads", type=int, default=1, help="for the networks")
    parser.add_argument(
        "--recordings", type=int, default=10, help="that sentences are spliced into"
    )
    parser.add_argument("--minutes", type=float, default=20.0, help="of the longest of them")
    parser.add_argument("--json", type=Path, default=Path("benchmark-results/speech.json"))
    options = parser.parse_args(arguments)
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are: {', '.join(PARTS)}")
    parts = options.parts or PARTS
    loader = EncoderLoader(ModelFolder.from_environment(), num_threads=options.threads)
    report: dict[str, object] = {
        **environment(),
        "seed": options.seed,
        "threads": options.threads,
        "recognizer": loader.identify_recognizer(WhisperConfig()),
        "encoder": loader.identify(SentenceConfig()).encoder_id,
    }
    with DecodeSandbox() as sandbox:
        benchmark = Benchmark(loader, sandbox, seed=options.seed)
        if "captions" in parts:
            report["captions"] = benchmark.captions()
        if "spliced" in parts:
            report["spliced"] = benchmark.spliced(options.minutes, options.recordings)
        if "invented" in parts:
            report["invented"] = benchmark.invented(minutes=INVENTED_MINUTES)
    write_json(options.json, report)
    print(f"written to {options.json}")
    return 0


def _lines(report: Mapping[str, object], name: str) -> str:
    """Return a report as a table of one figure per line."""
    return table([{name: key, "": _shown(value)} for key, value in report.items()])


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_shown(each)}" for key, each in value.items())
    if isinstance(value, list):
        return " / ".join(value) or "none"
    return str(value)


if __name__ == "__main__":
    sys.exit(main())
