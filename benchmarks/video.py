"""How well and how fast videos are taken apart, and whether their moments are found.

    python -m benchmarks.video

Makes videos whose cuts are known and counts which of them are found; measures what decoding costs;
ingests videos of known content with the starter's channels for what can be seen and heard, and asks
for each thing in words. Prints tables and writes JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.corpora import captioned_pictures, stamps_folder
from benchmarks.moment_videos import CONCEPTS, KnownMoment, write_moment_videos
from benchmarks.report import environment, table, write_json
from benchmarks.shot_videos import VIDEOS, KnownCut, ShotVideo, write_shot_video
from encoders.loading import EncoderLoader
from encoders.media.content import Shot
from encoders.media.decode_limits import DecodeLimits
from encoders.media.sandbox import DecodeSandbox
from encoders.media.video_decoder import decode_shots, video_info
from encoders.models.folder import ModelFolder
from indexer.catalog.catalog import Catalog
from indexer.config import load_collection
from indexer.data_dir import DataDir
from indexer.live_view import LiveCollection
from indexer.pipeline import channel_identities, ingest
from search_api.query_vectors import LocalQueryEncoder
from search_api.schemas import Hit, Query, SearchRequest
from search_api.searcher import Searcher

LIMITS = DecodeLimits()
MAX_SHOT_SECONDS = 10.0
STEP_FRAMES = 1.1
"""How far off a cut may be found: every frame is looked at, so one frame and what rounding adds."""

VARIABLE_STEP_FRAMES = 2.1
"""The same where frames were left out: the first of a new shot comes up to two later."""

COSTS: tuple[tuple[ShotVideo, int], ...] = tuple(
    (
        ShotVideo(
            f"{height_px}p{rate} {codec}", codec, container, width_px, height_px, Fraction(rate),
            num_shots=3, shot_seconds=(seconds, seconds), noise=8.0,
        ),
        round(width_px * height_px * rate * bits_per_pixel),
    )
    for width_px, height_px, rate, codec, container, seconds, bits_per_pixel in (
        (1280, 720, 25, "libx264", "mp4", 3.0, 0.17),
        (1920, 1080, 30, "libx264", "mp4", 2.0, 0.17),
        (1280, 720, 25, "libvpx-vp9", "webm", 3.0, 0.1),
        (3840, 2160, 60, "libx264", "mp4", 0.5, 0.1),
    )
)  # fmt: skip
"""Videos of usual sizes and bit rates."""


@dataclass(frozen=True, slots=True)
class CutCounts:
    """How many cuts there are in some videos, and what was found."""

    name: str
    num_cuts: int
    num_found: int
    num_false: int

    @property
    def recall(self) -> float:
        """Share of the cuts that was found."""
        return self.num_found / self.num_cuts

    @property
    def precision(self) -> float:
        """Share of what was found that is a cut."""
        found = self.num_found + self.num_false
        return self.num_found / found if found else 1.0


def count_cuts(
    name: str, cuts: Sequence[KnownCut], found_seconds: Sequence[float], tolerance_seconds: float
) -> CutCounts:
    """Compare cuts with what was found; each found one can stand for one cut.

    Args:
        name: for the report.
        cuts: those there are.
        found_seconds: ascending.
        tolerance_seconds: how far outside a cut one that was found may lie.
    """
    left = list(found_seconds)
    num_found = 0
    for cut in cuts:
        first, last = cut.start_seconds - tolerance_seconds, cut.stop_seconds + tolerance_seconds
        match = next((at for at in left if first <= at <= last), None)
        if match is not None:
            left.remove(match)
            num_found += 1
    return CutCounts(name, len(cuts), num_found, len(left))


def measure_cuts(seed: int) -> list[CutCounts]:
    """Return the counts of each kind of video."""
    stamps = [each.path for each in captioned_pictures()]
    counts = []
    with tempfile.TemporaryDirectory() as folder:
        for number, video in enumerate(VIDEOS):
            path = Path(folder) / f"{number}.{video.container}"
            cuts = write_shot_video(path, video, stamps, seed=1000 * seed + number)
            # Parts of long shots begin where there is no cut.
            found = [shot.start_seconds for shot in _shots_of(path, max_shot_seconds=600.0)[1:]]
            frames = VARIABLE_STEP_FRAMES if video.variable_rate else STEP_FRAMES
            tolerance_seconds = frames / float(video.frames_per_second)
            counts.append(count_cuts(video.name, cuts, found, tolerance_seconds))
            _progress(f"cuts: {video.name}")
    return counts


def measure_costs(seed: int) -> list[dict[str, object]]:
    """Return how long it takes to find the shots of videos of usual sizes, on one core."""
    stamps = [each.path for each in captioned_pictures()]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for video, bit_rate in COSTS:
            path = Path(folder) / f"cost.{video.container}"
            write_shot_video(path, video, stamps, seed=seed, bit_rate=bit_rate)
            seconds = video_info(path, limits=LIMITS).duration_seconds
            began = time.process_time()
            _shots_of(path)
            spent = time.process_time() - began
            rows.append(
                {
                    "video": video.name,
                    "megabits_per_second": round(8e-6 * path.stat().st_size / seconds, 1),
                    "times_real_time": round(seconds / spent, 1),
                    "seconds_per_stretch": round(30 * spent / seconds, 1),
                }
            )
            _progress(f"cost: {video.name}")
    return rows


def _shots_of(path: Path, max_shot_seconds: float = MAX_SHOT_SECONDS) -> list[Shot]:
    seconds = video_info(path, limits=LIMITS).duration_seconds
    return decode_shots(path, 0.0, seconds, max_shot_seconds, max_side_px=512, limits=LIMITS)


@dataclass(frozen=True, slots=True)
class MomentRanks:
    """At which rank each question found its video, and its moment in that video."""

    name: str
    video_ranks: list[float]
    """One per question, from 1; infinite where it was not found."""

    moment_ranks: list[float]
    """The same where the best moment of the video is the right one, else infinite."""

    def as_row(self) -> dict[str, str]:
        """Return the figures as a line of the printed table."""
        return {
            "channels": f"{self.name} ({len(self.video_ranks)} questions)",
            **{f"video R@{k}": _share_within(self.video_ranks, k) for k in (1, 5)},
            **{f"moment R@{k}": _share_within(self.moment_ranks, k) for k in (1, 5)},
        }


def is_right_moment(hit: Hit, moment: KnownMoment) -> bool:
    """Tell whether the middle of a hit's best moment lies in the right shot."""
    start, stop = hit.moments[0].start_seconds, hit.moments[0].stop_seconds
    if start is None or stop is None:
        return False
    return moment.start_seconds <= (start + stop) / 2 < moment.stop_seconds


def measure_moments(seed: int, loader: EncoderLoader) -> list[MomentRanks]:
    """Ingest videos of known content and ask for each thing in words."""
    starter = load_collection("starter")
    channels = {name: starter.channels[name] for name in ("frames", "sounds")}
    config = msgspec.structs.replace(starter, channels=channels)
    with tempfile.TemporaryDirectory() as folder, DecodeSandbox() as sandbox:
        media = Path(folder) / "media"
        media.mkdir()
        moments = write_moment_videos(media, stamps_folder(), seed=seed)
        _progress(f"moments: {len(moments)} videos written")
        with Catalog.open(DataDir(Path(folder) / "data")) as catalog:
            summary = ingest([media], catalog, config, loader)
            _progress(f"moments: {summary.counts} in {summary.seconds:.0f} s")
            identities = channel_identities(config, loader)
            live = LiveCollection(catalog, DataDir(Path(folder) / "data"), config, identities)
            live.refresh()
            searcher = Searcher(config, live.view, LocalQueryEncoder(loader, config, sandbox))
            asked = (["frames"], ["sounds"], ["frames", "sounds"])
            return [_ranks(searcher, names, moments) for names in asked]


def _ranks(searcher: Searcher, channels: list[str], moments: Sequence[KnownMoment]) -> MomentRanks:
    ranks: list[float] = []
    moment_ranks: list[float] = []
    for moment in moments:
        request = SearchRequest(
            query=Query(text=moment.question), channels=channels, limit=len(CONCEPTS)
        )
        hits = asyncio.run(searcher.search(request)).hits
        rank = next((n for n, hit in enumerate(hits, 1) if hit.location == str(moment.video)), None)
        ranks.append(float("inf") if rank is None else rank)
        is_right = rank is not None and is_right_moment(hits[rank - 1], moment)
        moment_ranks.append(ranks[-1] if is_right else float("inf"))
    return MomentRanks(" + ".join(channels), ranks, moment_ranks)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the tables, write the JSON."""
    parser = argparse.ArgumentParser(prog="benchmarks.video", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="of everything drawn by lot")
    parser.add_argument("--threads", type=int, default=1, help="for the networks")
    parser.add_argument("--json", type=Path, default=Path("benchmark-results/video.json"))
    options = parser.parse_args(arguments)
    loader = EncoderLoader(ModelFolder.from_environment(), num_threads=options.threads)
    cuts = measure_cuts(options.seed)
    every = CutCounts(
        "all",
        sum(each.num_cuts for each in cuts),
        sum(each.num_found for each in cuts),
        sum(each.num_false for each in cuts),
    )
    costs = measure_costs(options.seed)
    moments = measure_moments(options.seed, loader)
    print(table([_cut_row(each) for each in [*cuts, every]]))
    print("\n" + table([{name: str(value) for name, value in row.items()} for row in costs]))
    print("\n" + table([each.as_row() for each in moments]))
    write_json(
        options.json,
        {
            **environment(),
            "seed": options.seed,
            "cuts": [_cut_row(each) for each in [*cuts, every]],
            "costs": costs,
            "moments": [each.as_row() for each in moments],
        },
    )
    print(f"\nwritten to {options.json}")
    return 0


def _cut_row(counts: CutCounts) -> dict[str, str]:
    return {
        "video": counts.name,
        "cuts": str(counts.num_cuts),
        "found": str(counts.num_found),
        "false": str(counts.num_false),
        "recall": f"{counts.recall:.3f}",
        "precision": f"{counts.precision:.3f}",
    }


def _share_within(ranks: Sequence[float], k: int) -> str:
    return f"{np.mean(np.array(ranks) <= k):.3f}"


def _progress(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
