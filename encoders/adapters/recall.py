"""What an adapter is worth on pairs it never saw: recall before and after, with intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from encoders.adapters.encoded_pairs import EncodedPairs, grouped_folds
from encoders.adapters.fitting import NUM_FOLDS, fit_adapter
from encoders.retrieval_measures import Interval, bootstrap_interval

RECALL_AT = 10


@dataclass(frozen=True, slots=True)
class HeldOutRecall:
    """How often a title finds its medium among the first ten, on pairs not learnt from."""

    num_questions: int
    num_groups: int
    num_items_per_fold: tuple[int, ...]
    """How many media each question was asked over."""

    before: Interval | None
    """With the base alone; ``None`` where there is no base."""

    after: Interval

    gain: Interval | None
    """``after - before``, question by question; intervals are over titles."""

    gain_over_groups: Interval | None
    """The same mean with the wider interval that comes of drawing whole groups."""


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
    found_before, found_after, titles, groups, sizes = [], [], [], [], []
    for learnt, held_out in grouped_folds(pairs.groups, num_folds, seed=seed):
        test = pairs.rows(held_out)
        adapter = fit_adapter(pairs.rows(learnt), seed=seed)
        found_after.append(test.ranks(adapter.apply(test.features, test.base)) <= RECALL_AT)
        if test.base is not None:
            found_before.append(test.ranks(test.base) <= RECALL_AT)
        titles.append(test.question_numbers(test.titles))
        groups.append(test.question_numbers(test.groups))
        sizes.append(test.num_items)
    title_numbers = np.unique(np.concatenate(titles), return_inverse=True)[1]
    group_numbers = np.unique(np.concatenate(groups), return_inverse=True)[1]
    after = np.concatenate(found_after).astype(np.float64)
    before = np.concatenate(found_before).astype(np.float64) if found_before else None
    return HeldOutRecall(
        len(after),
        len(np.unique(group_numbers)),
        tuple(sizes),
        None if before is None else bootstrap_interval(before, title_numbers, seed=seed),
        bootstrap_interval(after, title_numbers, seed=seed),
        None if before is None else bootstrap_interval(after - before, title_numbers, seed=seed),
        None if before is None else bootstrap_interval(after - before, group_numbers, seed=seed),
    )
