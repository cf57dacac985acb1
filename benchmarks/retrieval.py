"""How well the starter collection finds things across media.

    python -m benchmarks.retrieval

Real pictures and sounds with an English caption each are decoded, cut and encoded as an ingest
does, and each caption is asked as a question. Any item with the same caption is a right answer; the
figure for an item's own caption alone stands beside it. Prints a table and writes JSON.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.corpora import CaptionedFile, captioned_pictures, captioned_sounds
from benchmarks.metrics import (
    Interval,
    bootstrap_interval,
    chance_recall_at_k,
    first_right_ranks,
)
from benchmarks.report import environment, table, write_json
from encoders.config import WindowSegments
from encoders.encoder import Encoder
from encoders.loading import EncoderLoader
from encoders.media.content import Picture, Sound
from encoders.media.sandbox import DecodeSandbox
from encoders.media.segmentation import window_ranges
from encoders.models.folder import ModelFolder
from encoders.space import Vectors
from indexer.config import ChannelConfig, load_collection

CUTOFFS = (1, 5, 10)
ITEMS_PER_BATCH = 32


@dataclass(frozen=True, slots=True, eq=False)
class LabelledVectors:
    """The encoded segments of a set of captioned files."""

    captions: list[str]
    """One per file."""

    vectors: Vectors
    """``(num_segments, dim)``."""

    file_of_segment: NDArray[np.int64]
    """``(num_segments,)``, ascending; every file has at least one segment."""

    def scores(self, questions: Vectors) -> Vectors:
        """Return the ``(num_questions, num_files)`` scores: a file's is its best segment's."""
        starts = np.searchsorted(self.file_of_segment, np.arange(len(self.captions)))
        return np.maximum.reduceat(questions @ self.vectors.T, starts, axis=1)


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured for one kind of question."""

    name: str
    num_questions: int
    num_items: int
    recall: dict[int, Interval]
    mean_reciprocal_rank: Interval
    chance: dict[int, float]
    own_recall: dict[int, float]
    """Recall when only the very file that the question's caption belongs to is right."""

    def as_row(self) -> dict[str, str]:
        """Return the figures as a line of the printed table."""
        row = {"question": f"{self.name} ({self.num_questions} over {self.num_items})"}
        row |= {f"R@{k}": _with_interval(self.recall[k]) for k in CUTOFFS}
        row["MRR"] = _with_interval(self.mean_reciprocal_rank)
        row["own R@10"] = f"{self.own_recall[10]:.3f}"
        row["chance R@10"] = f"{self.chance[10]:.3f}"
        return row

    def as_json(self) -> dict[str, object]:
        """Return the figures for programs."""
        return {
            "name": self.name,
            "num_questions": self.num_questions,
            "num_items": self.num_items,
            "recall": {str(k): _interval_json(each) for k, each in self.recall.items()},
            "mean_reciprocal_rank": _interval_json(self.mean_reciprocal_rank),
            "chance_recall": {str(k): each for k, each in self.chance.items()},
            "own_recall": {str(k): each for k, each in self.own_recall.items()},
        }


def measure(
    name: str, scores: Vectors, question_captions: list[str], item_captions: list[str], *, seed: int
) -> Figures:
    """Return the figures of one kind of question.

    Args:
        name: for the report.
        scores: ``(num_questions, num_items)``.
        question_captions: one per question; an item with the same caption is right.
        item_captions: one per item. When it is the same list, question i belongs to item i.
        seed: of the bootstrap.
    """
    numbers = {caption: n for n, caption in enumerate(dict.fromkeys(question_captions))}
    groups = np.array([numbers[caption] for caption in question_captions])
    items = np.array([numbers[caption] for caption in item_captions])
    right = groups[:, np.newaxis] == items
    ranks = first_right_ranks(scores, right)
    own = np.eye(len(items), dtype=bool) if question_captions is item_captions else right
    own_ranks = first_right_ranks(scores, own)
    num_right = right.sum(axis=1)
    return Figures(
        name,
        len(groups),
        len(items),
        {k: bootstrap_interval((ranks <= k).astype(float), groups, seed=seed) for k in CUTOFFS},
        bootstrap_interval(1 / ranks, groups, seed=seed),
        {k: chance_recall_at_k(num_right, len(items), k) for k in CUTOFFS},
        {k: float(np.mean(own_ranks <= k)) for k in CUTOFFS},
    )


def both_ways(
    medium: str, items: LabelledVectors, text_encoder: Encoder[str], *, seed: int
) -> list[Figures]:
    """Return the figures for finding items by caption and captions by item."""
    distinct = list(dict.fromkeys(items.captions))
    rows = [distinct.index(caption) for caption in items.captions]
    by_caption = items.scores(text_encoder.encode(distinct))
    return [
        measure(f"text -> {medium}", by_caption[rows], items.captions, items.captions, seed=seed),
        measure(f"{medium} -> text", by_caption.T, items.captions, distinct, seed=seed),
    ]


def encode_pictures(
    files: Sequence[CaptionedFile], encoder: Encoder[Picture], sandbox: DecodeSandbox
) -> LabelledVectors:
    """Encode each picture whole."""
    vectors = []
    for start in range(0, len(files), ITEMS_PER_BATCH):
        batch = files[start : start + ITEMS_PER_BATCH]
        decoded = [sandbox.picture(each.path) for each in batch]
        vectors.append(encoder.encode([each.result().picture for each in decoded]))
        _progress("pictures", start + len(batch), len(files))
    captions = [each.caption for each in files]
    return LabelledVectors(captions, np.concatenate(vectors), np.arange(len(files)))


def encode_sounds(
    files: Sequence[CaptionedFile],
    encoder: Encoder[Sound],
    segments: WindowSegments,
    sandbox: DecodeSandbox,
) -> LabelledVectors:
    """Encode each sound in the windows that its channel has."""
    vectors, owners = [], []
    rate = encoder.identity.sample_rate_hz
    if rate is None:
        raise TypeError(f"{encoder.identity.encoder_id} takes no sound")
    for number, each in enumerate(files):
        duration = sandbox.sound_info(each.path).result().duration_seconds
        ranges = window_ranges(duration, segments.length_seconds, segments.hop_seconds)
        windows = [sandbox.sound(each.path, start, stop, rate) for start, stop in ranges]
        vectors.append(encoder.encode([window.result() for window in windows]))
        owners += [number] * len(windows)
    _progress("sounds", len(files), len(files))
    captions = [each.caption for each in files]
    return LabelledVectors(captions, np.concatenate(vectors), np.array(owners))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(prog="benchmarks.retrieval", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    parser.add_argument("--threads", type=int, default=1, help="for the networks")
    parser.add_argument("--json", type=Path, default=Path("benchmark-results/retrieval.json"))
    options = parser.parse_args(arguments)
    began = time.monotonic()
    channels = load_collection("starter").channels
    loader = EncoderLoader(ModelFolder.from_environment(), num_threads=options.threads)
    pictures, sounds = captioned_pictures(), captioned_sounds()
    words = [each for each in sounds if not each.is_symbol]
    symbols = [each for each in sounds if each.is_symbol]
    text_encoder = loader.open(channels["passages"].encoder)
    sound_encoder = loader.open(channels["sounds"].encoder)
    windows = _windows(channels["sounds"])
    figures = []
    with DecodeSandbox() as sandbox:
        seen = encode_pictures(pictures, loader.open(channels["pictures"].encoder), sandbox)
        figures += both_ways("image", seen, text_encoder, seed=options.seed)
        for name, files in (("sound", words), ("letter or digit", symbols), ("any sound", sounds)):
            heard = encode_sounds(files, sound_encoder, windows, sandbox)
            figures += both_ways(name, heard, text_encoder, seed=options.seed)
    report: dict[str, object] = {
        **environment(),
        "seed": options.seed,
        "device": loader.device,
        "encoders": {
            name: loader.identify(channels[name].encoder).encoder_id
            for name in ("pictures", "sounds", "passages")
        },
        "sets": {
            "pictures": _counts(pictures),
            "sounds": _counts(words),
            "letters and digits": _counts(symbols),
        },
        "figures": [each.as_json() for each in figures],
        "seconds": round(time.monotonic() - began, 1),
    }
    write_json(options.json, report)
    print(table([each.as_row() for each in figures]))
    print(f"\nsets: {report['sets']}\nencoders: {report['encoders']}\nwritten to {options.json}")
    return 0


def _windows(channel: ChannelConfig) -> WindowSegments:
    if not isinstance(channel.segments, WindowSegments):
        raise TypeError(f"sounds are cut into windows, the channel says {channel.segments}")
    return channel.segments


def _counts(files: Sequence[CaptionedFile]) -> dict[str, int]:
    return {"files": len(files), "distinct captions": len({each.caption for each in files})}


def _with_interval(value: Interval) -> str:
    return f"{value.mean:.3f} [{value.low:.3f}, {value.high:.3f}]"


def _interval_json(value: Interval) -> dict[str, float]:
    return {"mean": value.mean, "low": value.low, "high": value.high}


def _progress(what: str, num_done: int, num_all: int) -> None:
    print(f"{what}: {num_done} of {num_all}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
