"""What an adapter is worth on pairs it never saw: recall before and after, with intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from encoders.adapters.encoded_pairs import EncodedPairs, grouped_folds
from encoders.adapters.fitting import NUM_FOLDS, fit_adapter
from encoders.retrieval_measures import Interval, bootstrap_interval
from encoders.space import Vectors

RECALL_AT = 10


@dataclass(frozen=True, slots=True)
class RecallGain:
    """Recall@10 of one direction on pairs that were not learnt from; intervals are over titles."""

    before: Interval | None
    """With the base alone; ``None`` where there is no base."""

    after: Interval

    gain: Interval | None
    """``after - before``, question by question."""

    gain_over_groups: Interval | None
    """The same mean with the wider interval that comes of drawing whole groups."""


@dataclass(frozen=True, slots=True)
class HeldOutRecall:
    """How often titles and media find each other among the first ten."""

    num_questions: int
    """Media; each asks once itself and is asked for once by its title."""

    num_groups: int
    num_items_per_fold: tuple[int, ...]
    """How many media each question was asked over."""

    titles_to_media: RecallGain
    media_to_titles: RecallGain


def held_out_recall(
    pairs: EncodedPairs, *, num_folds: int = NUM_FOLDS, seed: int = 0
) -> HeldOutRecall:
    """Return recall@10 before and after, each pair measured by an adapter that never saw its group.

    Settings are chosen anew, by cross-validation, inside what each fold learns from. Two folds are
    halves, each learnt from once and measured once.

    Args:
        pairs: what an adapter would be fitted from.
        num_folds: each is held out once, and is what its own questions are asked over.
        seed: of the folds and of the bootstrap.

    Raises:
        ConfigError: the pairs cannot be told apart by title and group.
    """
    before, after, titles, groups, sizes = [], [], [], [], []
    for learnt, held_out in grouped_folds(pairs.groups, num_folds, seed=seed):
        test = pairs.rows(held_out)
        adapter = fit_adapter(pairs.rows(learnt), seed=seed)
        after.append(_found(test, adapter.apply(test.features, test.base)))
        if test.base is not None:
            before.append(_found(test, test.base))
        titles.append(test.question_numbers(test.titles))
        groups.append(test.question_numbers(test.groups))
        sizes.append(test.num_items)
    title_numbers = np.unique(np.concatenate(titles), return_inverse=True)[1]
    group_numbers = np.unique(np.concatenate(groups), return_inverse=True)[1]
    found_after = np.concatenate(after, axis=1)
    found_before = np.concatenate(before, axis=1) if before else [None, None]
    to_media, to_titles = (
        _gain(was, now, title_numbers, group_numbers, seed)
        for was, now in zip(found_before, found_after, strict=True)
    )
    return HeldOutRecall(
        len(title_numbers), len(np.unique(group_numbers)), tuple(sizes), to_media, to_titles
    )


def _found(pairs: EncodedPairs, vectors: Vectors) -> NDArray[np.float64]:
    """Return ``(2, num_items)`` 1 where a title finds its medium, and a medium its title."""
    ranks = np.stack([pairs.ranks(vectors), pairs.title_ranks(vectors)])
    return (ranks <= RECALL_AT).astype(np.float64)


def _gain(
    before: NDArray[np.float64] | None,
    after: NDArray[np.float64],
    titles: NDArray[np.int64],
    groups: NDArray[np.int64],
    seed: int,
) -> RecallGain:
    reached = bootstrap_interval(after, titles, seed=seed)
    if before is None:
        return RecallGain(None, reached, None, None)
    return RecallGain(
        bootstrap_interval(before, titles, seed=seed),
        reached,
        bootstrap_interval(after - before, titles, seed=seed),
        bootstrap_interval(after - before, groups, seed=seed),
    )
