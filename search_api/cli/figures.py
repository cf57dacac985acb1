"""Speed and recall of models, for tables and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from encoders.admission.speed import Speed
    from encoders.models.figures import Recall

NOT_MEASURED = "-"


def speed_phrase(speed: Speed) -> str:
    """Return "84 pictures/s", with the device where it is no processor, and ~ if not from here."""
    # Two digits: more would differ from run to run.
    rounded = float(f"{speed.per_second:.2g}")
    device = "" if speed.device == "cpu" else f" on {speed.device}"
    return f"{'~' if speed.measured is None else ''}{rounded:g} {speed.unit}{device}"


def speeds_cell(speeds: Sequence[Speed]) -> str:
    """Return the cell of a table."""
    return ", ".join(map(speed_phrase, speeds)) or NOT_MEASURED


def recall_cell(recall: Recall | None) -> str:
    """Return the cell of a table."""
    if recall is None:
        return NOT_MEASURED
    without = "" if recall.before is None else f" (without {recall.before:.3f})"
    return f"{recall.question} R@{recall.at} {recall.value:.3f}{without}"


def speed_json(speed: Speed | None) -> dict[str, object] | None:
    """Return a speed for programs; ``measured`` is ``None`` for a figure that was shipped."""
    if speed is None:
        return None
    return {
        "encoder_id": speed.encoder_id,
        "per_second": round(speed.per_second, 3),
        "unit": speed.unit,
        "device": speed.device,
        "measured": speed.measured,
    }


def speeds_json(speeds: Sequence[Speed]) -> list[dict[str, object] | None] | None:
    """Return the speeds of a model for programs; ``None`` where none was measured."""
    return [speed_json(speed) for speed in speeds] or None


def recall_json(recall: Recall | None) -> dict[str, object] | None:
    """Return a recall for programs."""
    if recall is None:
        return None
    return {
        "question": recall.question,
        "at": recall.at,
        "value": round(recall.value, 3),
        "before": None if recall.before is None else round(recall.before, 3),
    }
