"""Ranks of right answers and how sure a mean of them is, each a few lines of arithmetic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from encoders.space import Vectors


def first_right_ranks(scores: Vectors, right: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the rank of each question's best right answer, 1 for the first place.

    Args:
        scores: ``(num_questions, num_items)``, higher is nearer.
        right: ``(num_questions, num_items)``, at least one true in each row.

    Returns:
        ``(num_questions,)``. A right answer that ties with wrong ones counts as behind them, so
        that an encoder cannot win by giving everything the same score.

    Raises:
        ValueError: the shapes differ, or a question has no right answer.
    """
    if scores.shape != right.shape:
        raise ValueError(f"scores are {scores.shape}, right answers {right.shape}")
    if not right.any(axis=1).all():
        raise ValueError(f"question {int(np.argmin(right.any(axis=1)))} has no right answer")
    best = np.where(right, scores, -np.inf).max(axis=1, keepdims=True)
    ahead = (scores >= best) & ~right
    num_ahead: NDArray[np.int64] = ahead.sum(axis=1, dtype=np.int64)
    return num_ahead + 1


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and where it lies with 95 % confidence."""

    mean: float
    low: float
    high: float


def bootstrap_interval(
    values: NDArray[np.float64],
    groups: NDArray[np.int64],
    *,
    seed: int,
    num_resamples: int = 2000,
) -> Interval:
    """Return the mean of ``values`` with its 95 % percentile bootstrap interval.

    Whole groups are drawn with replacement: questions with the same words have the same answer,
    and counting them as independent would make the interval too narrow.

    Args:
        values: ``(num_questions,)``.
        groups: ``(num_questions,)`` group numbers from 0, each used at least once.
        seed: of the random draws.
        num_resamples: how many means are drawn.
    """
    sums = np.bincount(groups, weights=values)
    counts = np.bincount(groups)
    generator = np.random.default_rng(seed)
    drawn = generator.integers(0, len(sums), size=(num_resamples, len(sums)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(np.mean(values)), float(low), float(high))
