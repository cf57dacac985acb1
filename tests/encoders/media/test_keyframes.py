from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from encoders.media.content import Keyframe, Picture
from encoders.media.keyframes import Candidate, Part, choose_keyframes
from encoders.media.shots import THUMB_HEIGHT_PX, THUMB_WIDTH_PX
from tests.generated_media import scene

PART = Part(10.0, 20.0, 10.0, 20.0)


def candidate(at_seconds: float, pixels: NDArray[np.uint8]) -> Candidate:
    rows = np.linspace(0, pixels.shape[0] - 1, THUMB_HEIGHT_PX).astype(int)
    columns = np.linspace(0, pixels.shape[1] - 1, THUMB_WIDTH_PX).astype(int)
    thumb = pixels[rows][:, columns].transpose(2, 0, 1).astype(np.float32)
    return Candidate(Keyframe(Picture(pixels), at_seconds), thumb)


def blurred(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    level = pixels.mean(axis=(0, 1))
    return (0.5 * pixels + 0.5 * level).astype(np.uint8)


def chosen_times(
    candidates: list[Candidate], *, before: list[Candidate] | None = None
) -> list[float]:
    shown_before = [each.thumb for each in before or []]
    chosen = choose_keyframes(PART, candidates, shown_before)
    return [each.keyframe.at_seconds for each in chosen]


def test_of_what_looks_the_same_the_middle_is_taken() -> None:
    assert chosen_times([candidate(at, scene(1)) for at in (11.0, 13.0, 15.0, 19.0)]) == [15.0]


def test_a_sharp_frame_is_better_than_a_dim_one() -> None:
    dim = blurred(scene(1))
    frames = [candidate(13.0, scene(1)), candidate(15.0, dim), candidate(17.0, dim)]
    assert chosen_times(frames)[0] == 13.0


def test_black_is_taken_only_where_there_is_nothing_else() -> None:
    black = np.zeros_like(scene(1))
    assert chosen_times([candidate(15.0, black), candidate(19.0, scene(1))]) == [19.0]
    assert chosen_times([candidate(15.0, black), candidate(17.0, black)]) == [15.0]


def test_frames_at_the_edge_of_a_shot_may_be_in_a_dissolve_and_are_avoided() -> None:
    assert chosen_times([candidate(10.1, scene(2)), candidate(12.0, blurred(scene(1)))]) == [12.0]
    inner = Part(10.0, 20.0, 0.0, 30.0)  # the edge of a part is no edge of the shot
    frames = [candidate(10.1, scene(2)), candidate(12.0, blurred(scene(2)))]
    (first, *_) = choose_keyframes(inner, frames, [])
    assert first.keyframe.at_seconds == 10.1


def test_pictures_that_differ_much_are_all_taken_up_to_three() -> None:
    frames = [candidate(11.0 + number, scene(number)) for number in range(6)]
    times = chosen_times(frames)
    assert len(times) == 3
    assert times == sorted(times)


def test_what_was_shown_before_is_not_taken_again() -> None:
    before = [candidate(9.0, scene(1))]
    same = [candidate(at, scene(1)) for at in (12.0, 15.0)]
    assert chosen_times(same, before=before) == []
    assert chosen_times([*same, candidate(17.0, scene(2))], before=before) == [17.0]
    assert chosen_times(same, before=[candidate(9.0, scene(3))]) == [15.0]


def test_without_candidates_there_are_no_keyframes() -> None:
    assert chosen_times([]) == []
