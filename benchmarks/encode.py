"""What our encoders take beyond the bare networks they stand on.

    python -m benchmarks.encode

For each encoder of the starter collection: contents per second of processor time and of wall time,
of `Encoder.encode` and of one forward pass of the same network on inputs that were prepared before.
What lies between them is preprocessing (resizing, spectrograms, tokens) and turning class scores
into vectors. Both are run in turns, so that other load of the machine meets them alike; medians are
reported.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.http import texts
from benchmarks.report import environment, table, write_json
from benchmarks.timing import spent_on
from encoders.classifiers.image_classifier import (
    INPUT_PX,
    ImageClassifier,
    normalized,
    square_pixels,
)
from encoders.classifiers.mel_spectrogram import SAMPLE_RATE_HZ, log_mel_patches
from encoders.classifiers.sound_classifier import SoundClassifier
from encoders.config import ConceptsConfig, EncoderConfig, FeaturesConfig, SentenceConfig
from encoders.loading import EncoderLoader
from encoders.media.content import Picture, Sound
from encoders.models.folder import ModelFolder
from encoders.sentences.encoder import SentenceModel

BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64)
PICTURE_SIDES_PX = (96, 320)
"""Generated pictures are between these, as stamps are."""

SOUND_SECONDS = 10.0
"""One window of the starter collection."""


@dataclass(frozen=True, slots=True)
class Subject:
    """An encoder, something to encode, and the network under it."""

    name: str
    encoder: EncoderConfig
    make_contents: Callable[[int], list[Any]]
    """Gives so many new contents: an encoder may remember those it has just seen."""

    make_forward: Callable[[list[Any]], Callable[[], object]]
    """Prepares inputs of contents and gives what runs the network on them."""


def subjects(loader: EncoderLoader) -> list[Subject]:
    """Return the encoders of the starter collection, each once."""
    models = loader.models
    images = ImageClassifier(models.path("efficientnet_lite2"))
    sounds = SoundClassifier(models.path("yamnet"), num_threads=loader.num_threads)
    sentences = SentenceModel(models.path("minilm"), dim=384)
    generator = np.random.default_rng(7)

    def pictures(count: int) -> list[Picture]:
        sides = generator.integers(*PICTURE_SIDES_PX, size=(count, 2))
        return [
            Picture(generator.integers(0, 256, (height, width, 3), dtype=np.uint8))
            for height, width in sides
        ]

    def windows(count: int) -> list[Sound]:
        num_samples = round(SOUND_SECONDS * SAMPLE_RATE_HZ)
        return [
            Sound(generator.normal(0, 0.1, num_samples).astype(np.float32), SAMPLE_RATE_HZ)
            for _ in range(count)
        ]

    def questions(count: int) -> list[str]:
        return texts(count, int(generator.integers(1 << 31)))

    found = []
    for family, kind in (("concepts", ConceptsConfig), ("features", FeaturesConfig)):
        image_config, sound_config = (
            kind(classifier="efficientnet_lite2"),
            kind(classifier="yamnet"),
        )
        found += [
            Subject(f"pictures, {family}", image_config, pictures, _image_forward(images)),
            Subject(f"10 s windows, {family}", sound_config, windows, _sound_forward(sounds)),
        ]
    short_texts = SentenceConfig(model="minilm")
    found.append(Subject("short texts", short_texts, questions, _text_forward(sentences)))
    return found


def _image_forward(classifier: ImageClassifier) -> Callable[[list[Any]], Callable[[], object]]:
    import torch

    network: Any = classifier._network

    def prepared(contents: list[Any]) -> Callable[[], object]:
        squares = np.stack([square_pixels(each, INPUT_PX) for each in contents])
        pixels = torch.from_numpy(normalized(squares)).permute(0, 3, 1, 2)

        def forward() -> object:
            with torch.inference_mode():
                return network(pixels)

        return forward

    return prepared


def _sound_forward(classifier: SoundClassifier) -> Callable[[list[Any]], Callable[[], object]]:
    def prepared(contents: list[Any]) -> Callable[[], object]:
        patches = np.concatenate([log_mel_patches(each.samples) for each in contents])
        return lambda: classifier._session.run(None, {"audio": patches})

    return prepared


def _text_forward(model: SentenceModel) -> Callable[[list[Any]], Callable[[], object]]:
    import torch

    network: Any = model._model

    def prepared(contents: list[Any]) -> Callable[[], object]:
        tokens = network.preprocess(contents)

        def forward() -> object:
            with torch.inference_mode():
                return network.forward(dict(tokens))

        return forward

    return prepared


def measure(
    subject: Subject, loader: EncoderLoader, batch_size: int, rounds: int
) -> dict[str, object]:
    """Return the figures of one encoder at one batch size."""
    encoder = loader.open(subject.encoder)
    encoder.encode(subject.make_contents(1))
    ours, bare = [], []
    for _ in range(rounds):
        contents = subject.make_contents(batch_size)
        forward = subject.make_forward(contents)
        bare.append(spent_on(forward))
        ours.append(spent_on(lambda contents=contents: encoder.encode(contents)))  # type: ignore[misc]
    return {
        "encoder": subject.name,
        "batch_size": batch_size,
        "per_cpu_second": round(batch_size / statistics.median(each.cpu for each in ours), 1),
        "per_wall_second": round(batch_size / statistics.median(each.wall for each in ours), 1),
        "bare_per_cpu_second": round(batch_size / statistics.median(each.cpu for each in bare), 1),
        "cpu_over_bare": round(
            statistics.median(a.cpu / b.cpu for a, b in zip(ours, bare, strict=True)), 3
        ),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(prog="benchmarks.encode", description=__doc__)
    parser.add_argument("--threads", type=int, default=1, help="for the networks")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=list(BATCH_SIZES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, default=Path("benchmark-results/encode.json"))
    options = parser.parse_args(arguments)
    loader = EncoderLoader(ModelFolder.from_environment(), num_threads=options.threads)
    rows = []
    for subject in subjects(loader):
        for batch_size in options.batch_sizes:
            rows.append(measure(subject, loader, batch_size, options.rounds))
            print(f"{subject.name}: {batch_size}", file=sys.stderr, flush=True)
    print(table([{name: str(value) for name, value in row.items()} for row in rows]))
    write_json(options.json, {**environment(), "threads": options.threads, "encoders": rows})
    print(f"\nwritten to {options.json}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
