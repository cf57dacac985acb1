from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.moment_videos import KnownMoment
from benchmarks.shot_videos import KnownCut, ShotVideo, write_shot_video
from benchmarks.video import MomentRanks, count_cuts, is_right_moment
from encoders.media.decode_limits import DecodeLimits
from encoders.media.video_decoder import video_info
from search_api.schemas import Hit, Moment
from tests.generated_media import scene


def test_each_cut_is_counted_once_and_what_is_left_is_false() -> None:
    cuts = [KnownCut(1.0, 1.0), KnownCut(2.0, 2.6), KnownCut(5.0, 5.0)]
    counts = count_cuts("some", cuts, [1.04, 1.08, 2.5, 3.0], 0.1)
    assert (counts.num_cuts, counts.num_found, counts.num_false) == (3, 2, 2)
    assert counts.recall == pytest.approx(2 / 3)
    assert counts.precision == pytest.approx(2 / 4)


def test_finding_nothing_is_precise_and_useless() -> None:
    counts = count_cuts("none", [KnownCut(1.0, 1.0)], [], 0.1)
    assert (counts.recall, counts.precision) == (0.0, 1.0)


def test_a_moment_is_right_when_its_middle_is_in_the_shot() -> None:
    known = KnownMoment("a penguin", Path("a.mp4"), 4.0, 8.0)

    def hit(start: float | None, stop: float | None) -> Hit:
        moment = Moment(channel="frames", start_seconds=start, stop_seconds=stop, score=0.5)
        return Hit(
            item_id="a", modality="video", score=1.0, confidence=None, location="a.mp4",
            attributes={}, moments=[moment],
        )  # fmt: skip

    assert is_right_moment(hit(4.0, 8.0), known)
    assert is_right_moment(hit(3.0, 6.0), known)
    assert not is_right_moment(hit(0.0, 7.0), known)
    assert not is_right_moment(hit(None, None), known)


def test_shares_are_of_all_questions() -> None:
    ranks = MomentRanks("frames", [1, 3, float("inf"), 1], [1, float("inf"), float("inf"), 1])
    assert ranks.as_row() == {
        "channels": "frames (4 questions)",
        "video R@1": "0.500",
        "video R@5": "0.750",
        "moment R@1": "0.500",
        "moment R@5": "0.500",
    }


def test_a_video_is_as_long_as_its_shots_and_the_same_for_the_same_seed(tmp_path: Path) -> None:
    stamps = []
    for number in range(3):
        stamps.append(tmp_path / f"{number}.png")
        Image.fromarray(np.asarray(scene(number))).save(stamps[-1])
    video = ShotVideo("small", width_px=96, height_px=64, num_shots=3, shot_seconds=(0.5, 1.0))
    first = write_shot_video(tmp_path / "a.mp4", video, stamps, seed=3)
    assert first == write_shot_video(tmp_path / "b.mp4", video, stamps, seed=3)
    assert len(first) == 2
    assert all(cut.start_seconds == cut.stop_seconds for cut in first)
    seconds = video_info(tmp_path / "a.mp4", limits=DecodeLimits()).duration_seconds
    assert first[-1].stop_seconds + 0.5 <= seconds + 0.04
