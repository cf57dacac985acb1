"""The filter form and the filters that it stands for."""

from typing import Any

import pytest

from indexer.config import AttributeType
from search_api.filters import FilterError, filter_fields, parse_filter
from search_api.web.filter_form import active_conditions, filter_inputs, filter_of

ATTRIBUTES: dict[str, AttributeType] = {
    "title": "text",
    "tags": "keyword",
    "year": "int",
    "stars": "float",
    "is_live": "bool",
    "released": "datetime",
}


@pytest.mark.parametrize(
    ("param", "text", "condition"),
    [
        ("a.title", "Deep Sea", {"equals": "Deep Sea"}),
        ("a.tags", "live, remix", {"in": ["live", "remix"]}),
        ("a.tags", ",", {"in": [","]}),
        ("a.year.from", "2001", {"range": {"gte": 2001}}),
        ("a.year.to", "-3", {"range": {"lte": -3}}),
        ("a.stars.to", "4.5", {"range": {"lte": 4.5}}),
        ("a.is_live", "no", {"equals": False}),
        ("a.released.from", "2020-02-28", {"range": {"gte": "2020-02-28"}}),
        ("a.released.to", "2020-02-28", {"range": {"lt": "2020-02-29T00:00:00+00:00"}}),
    ],
)
def test_each_type_has_its_condition(param: str, text: str, condition: Any) -> None:
    made = filter_of(ATTRIBUTES, {param: text})
    name = param.split(".")[1]
    assert made == {"and": [{"field": f"attributes.{name}", **condition}]}
    parse_filter(made, filter_fields(ATTRIBUTES))


@pytest.mark.parametrize(
    ("param", "text", "said"),
    [
        ("a.year.from", "abc", "Year: expected a whole number, got 'abc'"),
        ("a.stars.to", "many", "Stars: expected a number"),
        ("a.is_live", "perhaps", "Is live: expected yes or no"),
        ("a.released.to", "9999-12-31", "Released: expected a date"),
        ("a.released.from", "soon", "Released: expected a date"),
        ("a.colour", "red", "no filter 'colour' here; there are: title, tags"),
        ("a.year", "2001", "no filter 'year'"),
        ("a.tags.from", "x", "no filter 'tags.from'"),
    ],
)
def test_what_does_not_fit_is_named_with_what_would(param: str, text: str, said: str) -> None:
    with pytest.raises(FilterError, match=said):
        filter_of(ATTRIBUTES, {param: text})


def test_an_empty_form_filters_nothing() -> None:
    assert filter_of(ATTRIBUTES, {}) is None


def test_the_form_shows_what_was_filled_in() -> None:
    conditions = {"a.tags": "live", "a.year.from": "abc", "a.released.to": "2020-01-01"}
    inputs = {each.name: each for each in filter_inputs(ATTRIBUTES, conditions, {"tags": ["live"]})}
    assert inputs["tags"].value == "live"
    assert inputs["tags"].suggestions == ["live"]
    year, released = inputs["year"], inputs["released"]
    assert (year.lower, year.input_type(year.lower), year.input_type(year.upper)) == (
        "abc",
        "text",
        "number",
    )
    assert released.input_type(released.upper) == "date"
    assert [each.text for each in active_conditions(list(inputs.values()))] == [
        "Tags: live",
        "Year from abc",
        "Released to 2020-01-01",
    ]
