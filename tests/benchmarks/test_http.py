from benchmarks.http import texts


def test_queries_are_distinct_and_the_same_for_the_same_seed() -> None:
    asked = texts(2000, seed=5)
    assert len(set(asked)) == 2000
    assert asked == texts(2000, seed=5)
    assert asked != texts(2000, seed=6)
