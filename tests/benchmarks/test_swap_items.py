from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.swap_items import SwapItems, generation_of, wrong_in_exact_answer
from encoders.encoder import EncoderIdentity

LIMIT = 5


@pytest.fixture
def items() -> SwapItems:
    return SwapItems(EncoderIdentity("encoder", "space", 64, "text"), 30, 20)


def hit(item_id: str, score: float, generation: int = 3) -> dict[str, Any]:
    return {
        "item_id": item_id,
        "attributes": {"generation": generation},
        "moments": [{"channel": "flat", "score": score}],
    }


def right_hits(items: SwapItems, item_id: str, generation: int) -> list[dict[str, Any]]:
    ids = items.fixed_ids + items.changing_ids
    cosines = items.cosines(item_id, generation)
    nearest = np.argsort(-cosines)[:LIMIT]
    return [hit(ids[row], float(cosines[row]), generation) for row in nearest]


def test_the_nearest_of_a_changing_item_change_too(items: SwapItems) -> None:
    hits = right_hits(items, "changing-000004", 3)
    assert generation_of(hits) == {3}
    assert all(one["item_id"].startswith("changing-") for one in hits)
    assert wrong_in_exact_answer(items, "changing-000004", hits, 3, LIMIT) is None


def test_an_answer_from_another_generation_is_noticed(items: SwapItems) -> None:
    hits = right_hits(items, "changing-000004", 3)
    assert "in generation 4" in str(wrong_in_exact_answer(items, "changing-000004", hits, 4, LIMIT))


def test_a_hit_of_another_generation_among_right_ones_is_noticed(items: SwapItems) -> None:
    hits = right_hits(items, "changing-000004", 3)
    other = next(
        one
        for one in right_hits(items, "changing-000004", 2)
        if one["item_id"] not in {each["item_id"] for each in hits}
    )
    mixed = [*hits[:-1], other]
    assert generation_of(mixed) == {2, 3}
    assert wrong_in_exact_answer(items, "changing-000004", mixed, 3, LIMIT) is not None


def test_a_missing_or_a_farther_hit_is_noticed(items: SwapItems) -> None:
    hits = right_hits(items, "changing-000004", 3)
    assert wrong_in_exact_answer(items, "changing-000004", hits[:-1], 3, LIMIT) is not None
    cosines = items.cosines("changing-000004", 3)
    far = hit("fixed-000000", float(cosines[0]))
    wrong = wrong_in_exact_answer(items, "changing-000004", [*hits[:-1], far], 3, LIMIT)
    assert "none of the 5 nearest" in str(wrong)
