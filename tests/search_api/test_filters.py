import pytest

from search_api.filters import (
    MAX_CONDITIONS,
    MAX_DEPTH,
    And,
    Exists,
    FilterError,
    Not,
    OneOf,
    Range,
    filter_fields,
    parse_filter,
)

FIELDS = filter_fields(
    {
        "language": "keyword",
        "year": "int",
        "gain": "float",
        "live": "bool",
        "released": "datetime",
        "title": "text",
        "format": "keyword",
    }
)


def parse(data: object) -> object:
    return parse_filter(data, FIELDS)


def test_equals_is_the_set_of_one_value() -> None:
    assert parse({"field": "language", "equals": "en"}) == OneOf(FIELDS["language"], ("en",))
    assert parse({"field": "language", "in": ["en", "de"]}) == OneOf(
        FIELDS["language"], ("en", "de")
    )


def test_operators_nest() -> None:
    parsed = parse(
        {
            "and": [
                {"not": {"field": "live", "equals": True}},
                {"field": "title", "exists": False},
            ]
        }
    )
    assert parsed == And(
        (Not(OneOf(FIELDS["live"], (True,))), Exists(FIELDS["title"], exists=False))
    )


def test_range_keeps_every_bound() -> None:
    parsed = parse({"field": "year", "range": {"lt": 2000, "gte": 1990}})
    assert parsed == Range(FIELDS["year"], (("gte", 1990), ("lt", 2000)))


def test_a_date_without_a_zone_is_utc() -> None:
    plain = parse({"field": "released", "equals": "2024-05-01"})
    assert plain == parse({"field": "released", "equals": "2024-05-01T00:00:00Z"})
    assert plain == parse({"field": "released", "equals": "2024-05-01T02:00:00+02:00"})


def test_an_attribute_that_shares_a_built_in_name_is_reached_by_its_prefix() -> None:
    assert FIELDS["format"].column == "format"
    assert FIELDS["attributes.format"].column == "attributes.format"


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        ("en", ["expected an object", "'en'"]),
        ([], ["expected an object"]),
        ({}, ["and, or, not"]),
        ({"nor": []}, ["and, or, not", "nor"]),
        ({"and": [], "or": []}, ["and, or"]),
        ({"and": []}, ["filter.and", "at least one"]),
        ({"or": {"field": "year", "equals": 1}}, ["filter.or", "list"]),
        ({"and": [{"field": "year", "equals": 1}, 3]}, ["filter.and[1]", "3"]),
        ({"field": "yeer", "equals": 1}, ["'yeer'", "language", "year", "duration_seconds"]),
        ({"field": ["year"], "equals": 1}, ["no field"]),
        ({"field": "year"}, ["'year'", "exactly one of", "none"]),
        ({"field": "year", "equals": 1, "in": [1]}, ["exactly one of", "equals, in"]),
        ({"field": "year", "like": 1}, ["exactly one of", "like"]),
        ({"field": "year", "equals": "1990"}, ["'year' is int", "whole number", "'1990'"]),
        ({"field": "year", "equals": 1.5}, ["whole number", "1.5"]),
        ({"field": "year", "equals": True}, ["whole number", "True"]),
        ({"field": "year", "equals": 2**63}, ["64 bits"]),
        ({"field": "gain", "equals": "loud"}, ["'gain' is float", "a number"]),
        ({"field": "gain", "equals": 10**400}, ["64 bits"]),
        ({"field": "live", "equals": 1}, ["true or false"]),
        ({"field": "language", "equals": None}, ["a string", "None"]),
        ({"field": "language", "in": []}, ["at least one value"]),
        ({"field": "language", "in": "en"}, ["list"]),
        ({"field": "language", "in": ["en", 3]}, ["a string", "3"]),
        ({"field": "language", "range": {"gte": "a"}}, ["keyword", "int, float, datetime"]),
        ({"field": "year", "range": {}}, ["gte, gt, lte, lt"]),
        ({"field": "year", "range": {"above": 3}}, ["gte, gt, lte, lt"]),
        ({"field": "year", "range": {"gte": "x"}}, ["range.gte", "whole number"]),
        ({"field": "released", "equals": "soon"}, ["ISO 8601", "'soon'"]),
        ({"field": "released", "equals": 2024}, ["ISO 8601", "2024"]),
        ({"field": "released", "equals": "0001-01-01T00:00:00+10:00"}, ["ISO 8601"]),
        ({"field": "year", "exists": "yes"}, ["true or false", "'yes'"]),
    ],
)
def test_a_wrong_filter_is_refused_with_place_expected_and_got(
    data: object, parts: list[str]
) -> None:
    with pytest.raises(FilterError) as caught:
        parse(data)
    for part in parts:
        assert part in caught.value.message


def nested(depth: int) -> object:
    data: object = {"field": "year", "equals": 1}
    for _ in range(depth - 1):
        data = {"not": data}
    return data


def test_nesting_is_bounded() -> None:
    parse(nested(MAX_DEPTH))
    with pytest.raises(FilterError, match="nested deeper than 16"):
        parse(nested(MAX_DEPTH + 1))
    with pytest.raises(FilterError, match="nested deeper than 16"):
        parse(nested(100_000))


def test_conditions_are_bounded_and_listed_values_count() -> None:
    condition = {"field": "year", "equals": 1}
    parse({"or": [condition] * MAX_CONDITIONS})
    with pytest.raises(FilterError, match="more than 256 conditions"):
        parse({"or": [condition] * (MAX_CONDITIONS + 1)})
    with pytest.raises(FilterError, match="more than 256 conditions"):
        parse({"field": "year", "in": list(range(MAX_CONDITIONS + 1))})


def test_messages_stay_short_whatever_is_sent() -> None:
    with pytest.raises(FilterError) as caught:
        parse({"field": "year", "equals": "x" * 100_000})
    assert len(caught.value.message) < 500
