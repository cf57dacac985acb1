from collections import defaultdict
from collections.abc import Mapping, Sequence

import pytest

from search_api.fusion import FusedItem, RankedItem, fuse_ranks, merge_channels


def ranked(*entries: tuple[int, float]) -> list[RankedItem]:
    return [RankedItem(row, f"item-{row}", score) for row, score in entries]


def fused_alike(spaces: Mapping[str, Sequence[RankedItem]]) -> list[FusedItem]:
    """Fuse items that could all be found in two spaces."""
    return fuse_ranks(spaces, defaultdict(lambda: 2))


def test_means_of_reciprocal_ranks_are_those_worked_out_by_hand() -> None:
    fused = fused_alike({"a": ranked((1, 0.9), (2, 0.8)), "b": ranked((2, 0.4), (3, 0.3))})
    assert [item.item_row for item in fused] == [2, 1, 3]
    assert fused[0].score == pytest.approx((1 / 62 + 1 / 61) / 2)
    assert fused[1].score == pytest.approx(1 / 61 / 2)
    assert fused[2].score == pytest.approx(1 / 62 / 2)
    assert fused[0].ranks == {"a": 2, "b": 1}


def test_in_one_space_an_item_counts_with_its_best_cosine_in_any_channel() -> None:
    pictures, speech = ranked((1, 0.8), (2, 0.5)), ranked((2, 0.6), (3, 0.2))
    merged = merge_channels([pictures, speech])
    assert [(item.item_row, item.score) for item in merged] == [(1, 0.8), (2, 0.6), (3, 0.2)]
    assert merge_channels([]) == []


def test_one_space_keeps_its_order() -> None:
    fused = fused_alike({"a": ranked((5, 0.9), (1, 0.9), (3, 0.1))})
    assert [item.item_row for item in fused] == [5, 1, 3]


def test_a_space_without_items_does_not_matter() -> None:
    channels = {"a": ranked((1, 0.9), (2, 0.8))}
    assert fused_alike({**channels, "empty": []}) == fused_alike(channels)


def test_equal_sums_are_ordered_by_cosine_then_by_id() -> None:
    fused = fused_alike({"a": ranked((2, 0.5)), "b": ranked((1, 0.5)), "c": ranked((3, 0.6))})
    assert [item.item_row for item in fused] == [3, 1, 2]


def test_the_order_of_spaces_does_not_matter() -> None:
    a, b, c = ranked((1, 0.9), (2, 0.1)), ranked((2, 0.7), (3, 0.2)), ranked((3, 0.8), (1, 0.3))
    first = fused_alike({"a": a, "b": b, "c": c})
    second = fused_alike({"c": c, "b": b, "a": a})
    assert [(item.item_id, item.score) for item in first] == [
        (item.item_id, item.score) for item in second
    ]


def test_nothing_gives_nothing() -> None:
    assert fused_alike({}) == []


def test_an_item_of_one_space_is_not_behind_for_want_of_another() -> None:
    video, picture, other = 1, 2, 3
    spaces = {
        "words": ranked((video, 1.0), (picture, 0.3)),
        "looks": ranked((picture, 0.4), (other, 0.2)),
    }
    fused = fuse_ranks(spaces, {video: 1, picture: 2, other: 2})
    assert [item.item_row for item in fused] == [video, picture, other]
    assert fused[0].score == pytest.approx(1 / 61)
