"""Pairs of a medium and its title as vectors, and how they are held apart for measuring.

What is measured on a title that was learnt from says nothing about the next title. So pairs that
share a title, or a group such as a folder, are always on the same side of a split; and since
sharing is passed on (a title in two folders ties these folders together), what is split are the
connected parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from encoders.errors import ConfigError
from encoders.retrieval_measures import first_right_ranks
from encoders.space import Vectors


@dataclass(frozen=True, slots=True, eq=False)
class EncodedPairs:
    """Media and their titles in vectors, one row per segment of a medium."""

    features: Vectors
    """``(num_rows, feature_dim)`` what the feature encoder gives."""

    base: Vectors | None
    """``(num_rows, dim)`` where the media lie in the titles' space already; ``None``: nowhere."""

    targets: Vectors
    """``(num_rows, dim)`` the title's vector of each row."""

    titles: NDArray[np.int64]
    """``(num_rows,)`` number of each row's title; equal numbers, equal rows of `targets`."""

    groups: NDArray[np.int64]
    """``(num_rows,)`` number of the connected part of each row, see `linked_groups`."""

    items: NDArray[np.int64]
    """``(num_rows,)`` ascending number of the medium that each row is a segment of."""

    def __post_init__(self) -> None:
        rows = {
            "features": len(self.features),
            "targets": len(self.targets),
            "titles": len(self.titles),
            "groups": len(self.groups),
            "items": len(self.items),
        }
        if self.base is not None:
            rows["base"] = len(self.base)
            if self.base.shape != self.targets.shape:
                raise ValueError(f"base is {self.base.shape}, targets are {self.targets.shape}")
        if len(set(rows.values())) != 1:
            raise ValueError(f"numbers of rows differ: {rows}")
        if not np.isfinite(self.features).all():
            raise ValueError("features hold values that are not finite numbers")

    def __len__(self) -> int:
        return len(self.titles)

    @property
    def num_items(self) -> int:
        """How many media there are."""
        return len(np.unique(self.items))

    def rows(self, chosen: NDArray[np.int64]) -> EncodedPairs:
        """Return some of the rows, in the order of ``chosen``, which must keep items ascending."""
        return EncodedPairs(
            self.features[chosen],
            None if self.base is None else self.base[chosen],
            self.targets[chosen],
            self.titles[chosen],
            self.groups[chosen],
            self.items[chosen],
        )

    def ranks(self, vectors: Vectors) -> NDArray[np.int64]:
        """Return where each medium's title, asked as a question, finds its first right medium.

        Args:
            vectors: ``(num_rows, dim)`` the media; a medium's score is its best segment's.

        Returns:
            ``(num_items,)``; any medium with the same title is right.
        """
        _, starts = np.unique(self.items, return_index=True)
        scores = np.maximum.reduceat(self.targets[starts] @ vectors.T, starts, axis=1)
        titles = self.titles[starts]
        return first_right_ranks(scores, titles[:, np.newaxis] == titles)

    def title_ranks(self, vectors: Vectors) -> NDArray[np.int64]:
        """Return where each medium, asked as a question, finds its own title among all of them.

        Args:
            vectors: ``(num_rows, dim)`` the media; a medium's score is its best segment's.

        Returns:
            ``(num_items,)``.
        """
        _, starts = np.unique(self.items, return_index=True)
        distinct, first_rows = np.unique(self.titles, return_index=True)
        scores = np.maximum.reduceat(vectors @ self.targets[first_rows].T, starts, axis=0)
        return first_right_ranks(scores, self.titles[starts][:, np.newaxis] == distinct)

    def question_numbers(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return one of ``(num_rows,)`` numbers per medium: that of its first row."""
        _, starts = np.unique(self.items, return_index=True)
        return numbers[starts]


def linked_groups(*keys: Sequence[str]) -> NDArray[np.int64]:
    """Return for each pair the number of the connected part it belongs to.

    Args:
        *keys: what links pairs, each with one entry per pair: their titles, their folders.

    Returns:
        ``(num_pairs,)`` numbers from 0 in order of first appearance. Two pairs with the same entry
        in any of ``keys`` have the same number.
    """
    parent: dict[tuple[int, str], tuple[int, str]] = {}

    def root(key: tuple[int, str]) -> tuple[int, str]:
        parent.setdefault(key, key)
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for first, *others in zip(*keys, strict=True):
        for column, other in enumerate(others, 1):
            parent[root((0, first))] = root((column, other))
    roots = [root((0, first)) for first in keys[0]]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(roots))}
    return np.array([numbers[key] for key in roots], dtype=np.int64)


def grouped_folds(
    groups: NDArray[np.int64], num_folds: int, *, seed: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield the rows to learn from and the rows held out, for each fold.

    Whole groups are dealt out, the largest first, each to the fold with the fewest rows; groups
    of equal size in an order drawn from ``seed``.

    Args:
        groups: ``(num_rows,)``.
        num_folds: at least 2; no more folds are made than there are groups.
        seed: of the order.

    Raises:
        ConfigError: there is one group only, so nothing can be held out.
    """
    distinct, number_of_row, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if len(distinct) < 2:
        raise ConfigError(
            f"all {len(groups)} pairs hang together by their titles and groups, so none can be "
            "held out to measure on; give them other groups, or none",
            num_pairs=len(groups),
        )
    num_folds = min(num_folds, len(distinct))
    shuffled = np.random.default_rng(seed).permutation(len(distinct))
    fold_of_group = np.empty(len(distinct), dtype=np.int64)
    filled = np.zeros(num_folds, dtype=np.int64)
    for group in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
        fold_of_group[group] = np.argmin(filled)
        filled[fold_of_group[group]] += sizes[group]
    fold_of_row = fold_of_group[number_of_row]
    for fold in range(num_folds):
        yield np.flatnonzero(fold_of_row != fold), np.flatnonzero(fold_of_row == fold)
