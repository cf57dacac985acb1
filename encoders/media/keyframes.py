"""Which frames stand for a part of a shot; arithmetic, no decoding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from encoders.media.content import Keyframe, Picture
from encoders.media.shots import BLEND_HALF_SECONDS, SAME_PICTURE, Thumbs, difference, is_blank

MAX_KEYFRAMES = 3
"""Of one part."""

DISTINCT_PICTURE = 20.0
"""Mean difference of thumbs, of 255, from which a second picture of the same part is worth it."""

CENTRALITY_WEIGHT = 0.5
"""What lying in the middle of the part counts beside being sharp, which counts up to 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A frame that may become a keyframe."""

    keyframe: Keyframe

    thumb: Thumbs
    """``(3, THUMB_HEIGHT_PX, THUMB_WIDTH_PX)``."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a shot."""

    start_seconds: float
    stop_seconds: float

    shot_start_seconds: float
    """Where the shot begins that it is a part of."""

    shot_stop_seconds: float


def choose_keyframes(
    part: Part, candidates: Sequence[Candidate], shown_before: Sequence[Thumbs]
) -> list[Candidate]:
    """Return up to `MAX_KEYFRAMES` distinct candidates, in order of time.

    The first choice is sharp, central, not blank and not in the middle of a dissolve; further ones
    are those that look least like what was chosen, if they look different enough.

    Args:
        part: what they stand for.
        candidates: frames shown in the part, in order of time.
        shown_before: thumbs of what stood for the part before; pictures like these are not chosen
            again.
    """
    if not candidates:
        return []
    thumbs = np.stack([each.thumb for each in candidates])
    is_fit = _fit(part, candidates, thumbs)
    farness = np.full(len(candidates), np.inf, dtype=np.float32)
    for thumb in shown_before:
        farness = np.minimum(farness, difference(thumbs, thumb))
    first = int(np.where(is_fit, _quality(part, candidates), -np.inf).argmax())
    chosen = [first] if farness[first] >= SAME_PICTURE else []
    farness = np.minimum(np.where(is_fit, farness, 0.0), difference(thumbs, thumbs[first]))
    while len(chosen) < MAX_KEYFRAMES:
        farthest = int(farness.argmax())
        if farness[farthest] < DISTINCT_PICTURE:
            break
        chosen.append(farthest)
        farness = np.minimum(farness, difference(thumbs, thumbs[farthest]))
    return [candidates[index] for index in sorted(chosen)]


def _fit(part: Part, candidates: Sequence[Candidate], thumbs: Thumbs) -> NDArray[np.bool_]:
    """Return which candidates can be taken: neither blank nor where a dissolve may be.

    Where there are no such ones, blank ones alone are left out, and then none.
    """
    at = np.array([each.keyframe.at_seconds for each in candidates])
    to_edge = np.minimum(at - part.shot_start_seconds, part.shot_stop_seconds - at)
    is_seen = ~is_blank(thumbs)
    is_inside = is_seen & (to_edge >= BLEND_HALF_SECONDS)
    if is_inside.any():
        return is_inside
    return is_seen if is_seen.any() else np.ones(len(candidates), dtype=np.bool_)


def _quality(part: Part, candidates: Sequence[Candidate]) -> NDArray[np.float64]:
    """Return how sharp and central each candidate is; higher is better."""
    at = np.array([each.keyframe.at_seconds for each in candidates])
    sharpness = np.array([_sharpness(each.keyframe.picture) for each in candidates])
    center = (part.start_seconds + part.stop_seconds) / 2
    half = max((part.stop_seconds - part.start_seconds) / 2, 1e-6)
    centrality = 1 - np.abs(at - center) / half
    quality: NDArray[np.float64] = (
        sharpness / max(float(sharpness.max()), 1e-6) + CENTRALITY_WEIGHT * centrality
    )
    return quality


def _sharpness(picture: Picture) -> float:
    """Return how strongly neighbouring pixels differ."""
    green = picture.pixels[..., 1].astype(np.int16)
    across = np.abs(np.diff(green, axis=1)).mean() if green.shape[1] > 1 else 0.0
    down = np.abs(np.diff(green, axis=0)).mean() if green.shape[0] > 1 else 0.0
    return float(across + down)
