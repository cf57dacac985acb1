"""A page's address and the search that it stands for."""

from urllib.parse import parse_qsl, urlsplit

import pytest

from search_api.schemas import MAX_LIMIT
from search_api.web.page_query import DEFAULT_LIMIT, PageQuery


def read(query: str) -> PageQuery:
    return PageQuery.from_params(parse_qsl(query, keep_blank_values=True))


@pytest.mark.parametrize(
    "query",
    [
        "",
        "q=red+%26+blue",
        "q=caf%C3%A9&medium=image&medium=text&a.year.from=2001&a.tags=x%2Cy&limit=48",
        "item=a%3Ab%40c&medium=video",
        f"file={'0' * 64}&name=my+cat.png",
    ],
)
def test_an_address_comes_back_from_what_was_read(query: str) -> None:
    url = urlsplit(read(query).url)
    assert url.path == "/"
    assert parse_qsl(url.query) == parse_qsl(query)


def test_words_come_before_a_file_and_a_file_before_an_item() -> None:
    assert read("q=red&file=abc&item=x").question_params == [("q", "red")]
    assert read("q=+&file=abc&name=n&item=x").question_params == [("file", "abc"), ("name", "n")]
    assert not read("q=++").asks


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("10", 10),
        ("0", 1),
        ("9999", MAX_LIMIT),
        ("-5", DEFAULT_LIMIT),
        ("many", DEFAULT_LIMIT),
        ("9" * 5000, DEFAULT_LIMIT),
        ("", DEFAULT_LIMIT),
    ],
)
def test_a_limit_is_always_one_that_can_be_answered(text: str, limit: int) -> None:
    assert read(f"q=a&limit={text}").limit == limit


def test_more_doubles_until_there_is_no_more() -> None:
    query, limits = read("q=a"), []
    while (more := query.more()) is not None:
        query = more
        limits.append(query.limit)
    assert limits == [48, 96, 192, 200]


def test_going_on_from_an_item_keeps_the_filters() -> None:
    query = read("q=a&medium=image&a.year.from=2001&limit=96")
    assert query.like("x y").url == "/?item=x+y&medium=image&a.year.from=2001"
    assert query.without("a.year.from").url == "/?q=a&medium=image&limit=96"
    assert query.unfiltered().url == "/?q=a&limit=96"
