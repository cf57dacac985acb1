"""What an adapter gains on titles it never saw: Tux Paint's pictures, and sounds under their names.

    python -m benchmarks.adapter

The media are split into halves; an adapter is fitted on each half, its setting chosen by
cross-validation inside that half, and asked the captions of the other half over the media of that
half. The concepts alone answer the very same questions over the very same media. Halves are held
apart in two ways:

- by caption and folder: no caption and no folder of stamps is on both sides, so every topic is new;
- by caption: no caption is on both sides, but other media of the same folder may be.

Prints a table and writes JSON.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean

from benchmarks.corpora import CaptionedFile, captioned_pictures, captioned_sounds
from benchmarks.metrics import Interval
from benchmarks.report import environment, table, write_json
from encoders.adapters.encoded_pairs import EncodedPairs, linked_groups
from encoders.adapters.pairs import Pair, encode_pairs
from encoders.adapters.recall import RecallGain, held_out_recall
from encoders.config import (
    ClassifierName,
    ConceptsConfig,
    FeaturesConfig,
    SentenceConfig,
    WindowSegments,
)
from encoders.loading import EncoderLoader
from encoders.media.sandbox import DecodeSandbox
from encoders.models.folder import ModelFolder
from indexer.config import load_collection

HALVES = 2


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was measured on one split into halves, in one direction."""

    question: str
    apart_by: str
    num_questions: int
    num_groups: int
    seed: int
    """Of the split and of the bootstrap."""

    found: RecallGain

    @property
    def relative_gain(self) -> float:
        """The gain as a share of the recall before."""
        before, gain, _ = _with_base(self.found)
        return gain.mean / before.mean

    def as_row(self) -> dict[str, str]:
        """Return the figures as a line of the printed table."""
        before, gain, over_groups = _with_base(self.found)
        return {
            "question": f"{self.question} ({self.num_questions})",
            "halves apart by": f"{self.apart_by} ({self.num_groups} parts)",
            "seed": str(self.seed),
            "R@10 concepts": _figures(before),
            "R@10 adapter": _figures(self.found.after),
            "gain": _figures(gain),
            "gain, parts drawn": f"[{over_groups.low:.3f}, {over_groups.high:.3f}]",
            "relative": f"{self.relative_gain:+.0%}",
        }


def measure(
    medium: str, pairs: EncodedPairs, files: Sequence[CaptionedFile], seeds: Sequence[int]
) -> list[Measurement]:
    """Return the figures of all splits and both directions.

    Args:
        medium: for the report.
        pairs: the encoded files, as many items as ``files``, in their order.
        files: name the captions and folders.
        seeds: one split each.
    """
    captions = [each.caption for each in files]
    splits = {
        "caption and folder": linked_groups(captions, [each.group for each in files]),
        "caption": linked_groups(captions),
    }
    measurements = []
    for apart_by, groups in splits.items():
        for seed in seeds:
            recall = held_out_recall(
                replace(pairs, groups=groups[pairs.items]), num_folds=HALVES, seed=seed
            )
            for question, found in (
                (f"text -> {medium}", recall.titles_to_media),
                (f"{medium} -> text", recall.media_to_titles),
            ):
                measurements.append(
                    Measurement(
                        question, apart_by, recall.num_questions, recall.num_groups, seed, found
                    )
                )
    return measurements


def mean_rows(measurements: Sequence[Measurement]) -> list[dict[str, str]]:
    """Return the lines of a table of means over the splits, with the range of the gains."""
    rows = []
    for question, apart_by in dict.fromkeys(
        (each.question, each.apart_by) for each in measurements
    ):
        some = [
            each for each in measurements if (each.question, each.apart_by) == (question, apart_by)
        ]
        before = fmean(_with_base(each.found)[0].mean for each in some)
        after = fmean(each.found.after.mean for each in some)
        gains = [each.relative_gain for each in some]
        rows.append(
            {
                "question": question,
                "halves apart by": apart_by,
                "splits": str(len(some)),
                "R@10 concepts": f"{before:.3f}",
                "R@10 adapter": f"{after:.3f}",
                "relative": f"{after / before - 1:+.0%}",
                "range": f"{min(gains):+.0%} to {max(gains):+.0%}",
            }
        )
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(prog="benchmarks.adapter", description=__doc__)
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4], help="one split each"
    )
    parser.add_argument("--threads", type=int, default=1, help="for the networks")
    parser.add_argument("--json", type=Path, default=Path("benchmark-results/adapter.json"))
    options = parser.parse_args(arguments)
    began = time.monotonic()
    loader = EncoderLoader(ModelFolder.from_environment(), num_threads=options.threads)
    pictures = captioned_pictures()
    # Spoken letters and digits sound like any other speech.
    sounds = [each for each in captioned_sounds() if not each.is_symbol]
    seen = _encoded(pictures, "efficientnet_lite2", loader)
    heard = _encoded(sounds, "yamnet", loader)
    measurements = measure("image", seen, pictures, options.seeds)
    measurements += measure("sound", heard, sounds, options.seeds)
    report: dict[str, object] = {
        **environment(),
        "device": loader.device,
        "measurements": [
            {**asdict(each), "relative_gain": each.relative_gain} for each in measurements
        ],
        "seconds": round(time.monotonic() - began, 1),
    }
    write_json(options.json, report)
    print(table([each.as_row() for each in measurements]))
    print("\nmeans over the splits")
    print(table(mean_rows(measurements)))
    print(f"\nwritten to {options.json}")
    return 0


def _encoded(
    files: Sequence[CaptionedFile], classifier: ClassifierName, loader: EncoderLoader
) -> EncodedPairs:
    segments = load_collection("starter").channels["sounds"].segments
    pairs = [Pair(each.path, each.caption, each.group, row) for row, each in enumerate(files)]
    with DecodeSandbox() as sandbox:
        encoded, skipped = encode_pairs(
            pairs,
            loader.open(FeaturesConfig(classifier)),
            loader.open(ConceptsConfig(classifier)),
            loader.open(SentenceConfig()),
            sandbox,
            windows=segments if isinstance(segments, WindowSegments) else None,
            progress=lambda done, every: print(
                f"{classifier}: {done} of {every}", file=sys.stderr, flush=True
            ),
        )
    if skipped:
        raise RuntimeError(f"{len(skipped)} files cannot be decoded, the first: {skipped[0]}")
    return encoded


def _with_base(found: RecallGain) -> tuple[Interval, Interval, Interval]:
    """Return before, gain, and gain over groups."""
    assert found.before is not None, "there is a base"
    assert found.gain is not None, "there is a base"
    assert found.gain_over_groups is not None, "there is a base"
    return found.before, found.gain, found.gain_over_groups


def _figures(value: Interval) -> str:
    return f"{value.mean:.3f} [{value.low:.3f}, {value.high:.3f}]"


if __name__ == "__main__":
    sys.exit(main())
