"""Measures of retrieval, each a few lines of arithmetic that can be checked by hand."""

from __future__ import annotations

from math import comb

import numpy as np
from numpy.typing import NDArray

from encoders.retrieval_measures import Interval, bootstrap_interval, first_right_ranks

__all__ = [
    "Interval",
    "bootstrap_interval",
    "chance_recall_at_k",
    "first_right_ranks",
    "mean_reciprocal_rank",
    "recall_at_k",
]


def recall_at_k(ranks: NDArray[np.int64], k: int) -> float:
    """Return the share of questions with a right answer among the first ``k``."""
    return float(np.mean(ranks <= k))


def mean_reciprocal_rank(ranks: NDArray[np.int64]) -> float:
    """Return the mean of 1 / rank."""
    return float(np.mean(1 / ranks))


def chance_recall_at_k(num_right: NDArray[np.int64], num_items: int, k: int) -> float:
    """Return the recall@k of an order drawn at random.

    Args:
        num_right: ``(num_questions,)`` how many items are right for each.
        num_items: how many there are.
        k: how many are looked at.
    """
    every = comb(num_items, min(k, num_items))
    misses = [comb(num_items - int(each), min(k, num_items)) / every for each in num_right]
    return float(1 - np.mean(misses))
