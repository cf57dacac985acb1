import numpy as np
import pytest

from search_api.grouping import MAX_MOMENTS, SegmentScore, best_per_row, group_by_item, moments_of


def window(row: int, start: float, score: float, length: float = 10.0) -> SegmentScore:
    return SegmentScore(row, score, start, start + length)


def test_each_segment_keeps_its_best_score_over_query_vectors() -> None:
    rows = np.array([[3, 1, -1], [1, 2, 3]], dtype=np.int64)
    scores = np.array([[0.9, 0.5, -np.inf], [0.7, 0.6, 0.2]], dtype=np.float32)
    found, best = best_per_row(rows, scores)
    assert found.tolist() == [3, 1, 2]
    assert best.tolist() == pytest.approx([0.9, 0.7, 0.6])


def test_no_answers_give_no_rows() -> None:
    rows, scores = best_per_row(np.full((2, 3), -1), np.full((2, 3), -np.inf, dtype=np.float32))
    assert rows.tolist() == []
    assert group_by_item(rows, scores, np.zeros(0, dtype=np.int64)) == []


def test_items_come_in_order_of_their_best_segments() -> None:
    rows = np.array([10, 20, 11, 21, 30])
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5], dtype=np.float32)
    items = np.array([7, 2, 7, 2, 0])
    groups = group_by_item(rows, scores, items)
    assert [group.item_row for group in groups] == [7, 2, 0]
    assert [group.rows.tolist() for group in groups] == [[10, 11], [20, 21], [30]]
    assert groups[0].score == pytest.approx(0.9)


def test_a_caption_of_no_length_is_a_moment_of_its_own() -> None:
    captions = [
        SegmentScore(0, 0.9, 5.0, 5.0, "now"),
        SegmentScore(1, 0.88, 60.0, 62.0, "later"),
    ]
    assert [(m.start_seconds, m.text) for m in moments_of(captions)] == [(5, "now"), (60, "later")]


def test_a_caption_of_no_length_is_shown_once() -> None:
    captions = [SegmentScore(0, 0.9, 4.0, 4.0, "one"), SegmentScore(1, 0.9, 4.9, 4.9, "two")]
    (moment,) = moments_of(captions)
    assert (moment.start_seconds, moment.stop_seconds, moment.text) == (4, 4.9, "one two")


def test_a_moment_does_not_grow_over_a_short_one_that_is_taken() -> None:
    shots = [window(1, 10, 0.84, 0.3), window(0, 6, 0.6, 4.0), window(2, 10.3, 0.6, 4.0)]
    assert [(m.start_seconds, m.stop_seconds) for m in moments_of(shots)] == [
        (10, 10.3),
        (6, 10),
        (10.3, 14.3),
    ]


def test_windows_beside_a_peak_that_match_as_well_become_one_moment() -> None:
    moments = moments_of(
        [window(1, 5, 0.61), window(0, 0, 0.60), window(5, 60, 0.41), window(9, 99, 0.2)]
    )
    assert [(m.start_seconds, m.stop_seconds, m.score) for m in moments] == [
        (0, 15, 0.61),
        (60, 70, 0.41),
    ]


def test_a_weaker_window_over_a_moment_is_not_shown_again() -> None:
    moments = moments_of([window(1, 5, 0.6), window(2, 10, 0.3)])
    assert [(m.start_seconds, m.stop_seconds) for m in moments] == [(5, 15)]


def test_a_stretch_grows_over_a_chain_of_windows_in_both_directions() -> None:
    chain = [window(2, 10, 0.62), window(4, 20, 0.61), window(0, 0, 0.60), window(3, 15, 0.60)]
    assert [(m.start_seconds, m.stop_seconds) for m in moments_of(chain)] == [(0, 30)]


def test_equal_windows_far_apart_stay_apart() -> None:
    moments = moments_of([window(0, 0, 0.5), window(9, 90, 0.5)])
    assert [(m.start_seconds, m.stop_seconds) for m in moments] == [(0, 10), (90, 100)]


def test_at_most_three_moments_are_kept() -> None:
    moments = moments_of([window(row, 20.0 * row, 0.9 - row / 100) for row in range(10)])
    assert len(moments) == MAX_MOMENTS
    assert [m.row for m in moments] == [0, 1, 2]


def test_passages_without_time_stay_single() -> None:
    passages = [SegmentScore(row, 0.5, text=f"passage {row}") for row in range(2)]
    assert moments_of(passages) == passages


def test_windows_that_match_badly_do_not_grow() -> None:
    moments = moments_of([window(0, 0, -0.1), window(1, 5, -0.1), window(3, 15, -0.2)])
    assert (moments[0].start_seconds, moments[0].stop_seconds) == (0, 10)


def test_sentences_with_a_breath_between_them_become_one_moment_with_all_words() -> None:
    said = [
        SegmentScore(1, 0.80, 12.0, 15.0, "second."),
        SegmentScore(0, 0.79, 8.0, 11.5, "First,"),
        SegmentScore(7, 0.78, 40.0, 44.0, "Elsewhere."),
    ]
    moments = moments_of(said)
    assert [(m.start_seconds, m.stop_seconds, m.text) for m in moments] == [
        (8.0, 15.0, "First, second."),
        (40.0, 44.0, "Elsewhere."),
    ]
