from __future__ import annotations

import numpy as np
import pytest

from encoders.media.content import Keyframe, Picture, Shot
from indexer.pieces import ShotJoiner, consecutive_stretches


def picture(grey: int) -> Picture:
    return Picture(np.full((2, 2, 3), grey, np.uint8))


def shot(start: float, stop: float, *greys: int) -> Shot:
    return Shot(start, stop, tuple(Keyframe(picture(grey), start) for grey in greys))


def times_and_greys(joined: list) -> list[tuple[float, float, int]]:
    return [(each.start_seconds, each.stop_seconds, int(p.pixels[0, 0, 0])) for each, p in joined]


def test_a_shot_that_goes_on_unchanged_makes_the_segment_before_longer() -> None:
    join = ShotJoiner()
    first = join.add([shot(0, 10, 1, 2), shot(10, 20)])
    second = join.add([shot(20, 30), shot(30, 40, 3)])
    assert first == []
    assert times_and_greys(second) == [(0, 30, 1), (0, 30, 2)]
    assert times_and_greys(join.finish()) == [(30, 40, 3)]
    assert join.finish() == []


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.0, []),
        (5.0, [(0.0, 5.0)]),
        (60.0, [(0.0, 60.0)]),
        (130.5, [(0.0, 60.0), (60.0, 120.0), (120.0, 130.5)]),
    ],
)
def test_stretches_cover_a_recording_without_holes(
    seconds: float, expected: list[tuple[float, float]]
) -> None:
    assert consecutive_stretches(seconds, 60.0) == expected
