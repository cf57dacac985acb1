from __future__ import annotations

import json
import math
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from indexer.attributes import (
    AttributeFile,
    read_sidecar,
    sidecar_attributes,
    sidecar_of,
    typed_attributes,
)
from indexer.config import AttributeType
from indexer.errors import AttributesError

SCHEMA: dict[str, AttributeType] = {
    "title": "text",
    "tags": "keyword",
    "year": "int",
    "gain": "float",
    "live": "bool",
    "released": "datetime",
}


def test_values_come_back_in_the_schema_s_types() -> None:
    values = {
        "title": "Rain",
        "tags": "calm",
        "year": "1999",
        "gain": "-1.5",
        "live": "yes",
        "released": "2020-01-02T03:04:05+02:00",
        "producer": {"name": "kept as it is"},
        "empty": "",
    }
    assert typed_attributes(values, SCHEMA, origin="row 1") == {
        "title": "Rain",
        "tags": ["calm"],
        "year": 1999,
        "gain": -1.5,
        "live": True,
        "released": "2020-01-02T01:04:05+00:00",
        "producer": {"name": "kept as it is"},
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", 3),
        ("tags", [1]),
        ("year", "soon"),
        ("year", 1.5),
        ("year", True),
        ("year", 1 << 63),
        ("gain", "nan"),
        ("live", "maybe"),
        ("released", "yesterday"),
    ],
)
def test_a_value_of_the_wrong_type_is_named_with_what_was_expected(
    field: str, value: object
) -> None:
    with pytest.raises(AttributesError, match=f"a.png: attribute '{field}' should be") as caught:
        typed_attributes({field: value}, SCHEMA, origin="a.png")
    assert caught.value.detail["expected"] == SCHEMA[field]


def test_sidecar_with_the_full_name_wins_over_the_stem() -> None:
    path = Path("music/a.png")
    assert sidecar_of(path, frozenset({"a.png", "a.json"})) == Path("music/a.json")
    assert sidecar_of(path, frozenset({"a.png", "a.json", "a.png.json"})) == Path(
        "music/a.png.json"
    )
    assert sidecar_of(path, frozenset({"a.png"})) is None
    assert sidecar_of(Path("a.json"), frozenset({"a.json"})) is None
    assert sidecar_of(Path("a.jsonl"), frozenset({"a.jsonl", "a.json"})) is None


@pytest.mark.parametrize("content", ["{", "[1]", "3"])
def test_a_sidecar_that_is_no_object_is_refused_by_name(tmp_path: Path, content: str) -> None:
    sidecar = tmp_path / "a.json"
    sidecar.write_text(content)
    with pytest.raises(AttributesError, match=r"sidecar a\.json"):
        sidecar_attributes(read_sidecar(sidecar), sidecar)


def write_rows(path: Path, rows: list[dict[str, object]]) -> None:
    if path.suffix == ".csv":
        names = list(rows[0])
        lines = [",".join(names)]
        lines += [",".join(json.dumps(str(row[name])) for name in names) for row in rows]
        path.write_text("\n".join(lines).replace('\\"', '""'))
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(row) for row in rows))
    else:
        parquet.write_table(pa.Table.from_pylist(rows), path)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_rows_are_found_by_relative_path_absolute_path_and_id(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"rows{suffix}"
    write_rows(
        file,
        [
            {"item_id": "", "path": "a/b.png", "title": "relative"},
            {"item_id": "", "path": "/media/c.png", "title": "absolute"},
            {"item_id": "song-1", "path": "", "title": "by id"},
            {"item_id": "song-2", "path": "", "title": "of nobody"},
        ],
    )
    rows = AttributeFile(file)
    assert rows.get("x", "a/b.png", "/media/a/b.png")["title"] == "relative"
    assert rows.get("x", "c.png", "/media/c.png")["title"] == "absolute"
    assert rows.get("song-1", "d.png", "/media/d.png")["title"] == "by id"
    assert rows.get("x", "e.png", "/media/e.png") is None
    assert rows.num_unused == 1


def test_a_csv_cell_may_hold_several_keywords(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text('path,tags\na.png,"[""red"", ""blue""]"\n')
    assert AttributeFile(file).get("", "a.png", "")["tags"] == ["red", "blue"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("rows.jsonl", '{"path": "a"}\n{', "line 2"),
        ("rows.jsonl", '{"title": "no key"}', "row 1: needs a value"),
        ("rows.csv", "path,title\na,b,c\n", "row 2: more cells"),
        ("rows.txt", "", "attribute files end in"),
        ("rows.parquet", "not parquet", "rows.parquet"),
    ],
)
def test_a_broken_attribute_file_says_where(
    tmp_path: Path, name: str, content: str, said: str
) -> None:
    file = tmp_path / name
    file.write_text(content)
    with pytest.raises(AttributesError, match=said):
        AttributeFile(file)


def test_values_come_as_the_catalog_gives_them_back() -> None:
    values = {"sum": Decimal("1.5"), "day": date(2020, 1, 2), "pair": (1, 2), "gap": math.nan}
    typed = typed_attributes(values, SCHEMA, origin="row 1")
    assert typed == {"sum": "1.5", "day": "2020-01-02", "pair": [1, 2]}


def test_text_that_is_not_unicode_is_refused() -> None:
    with pytest.raises(AttributesError, match="row 1: attributes that JSON cannot hold"):
        typed_attributes({"title": "\ud800"}, SCHEMA, origin="row 1")


def test_a_bottomless_sidecar_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[" * 200_000)
    with pytest.raises(AttributesError, match=r"a\.json"):
        read_sidecar(tmp_path / "a.json")


def test_a_csv_title_may_stand_in_brackets(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('path,title,tags\na.png,[Live] at home,"[""x"", ""y""]"\n')
    row = AttributeFile(path).get("", "a.png", "")
    assert row == {"title": "[Live] at home", "tags": ["x", "y"]}
