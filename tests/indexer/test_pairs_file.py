import json
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from indexer.errors import AttributesError
from indexer.pairs_file import read_pairs

ROWS: list[dict[str, str | None]] = [
    {"path": "a.png", "title": "A cat.", "group": "pets"},
    {"path": "sub/b.png", "title": " A sun ", "group": None},
]


def write_pairs(path: Path, rows: list[dict[str, str | None]]) -> Path:
    if path.suffix == ".parquet":
        parquet.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(row) for row in rows))
    else:
        lines = [",".join(value or "" for value in row.values()) for row in rows]
        path.write_text("\n".join([",".join(rows[0]), *lines]))
    return path


@pytest.fixture
def media(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    for name in ("a.png", "sub/b.png"):
        (tmp_path / name).write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_pairs_of_every_kind_of_file_are_read(media: Path, suffix: str) -> None:
    found = read_pairs(write_pairs(media / f"pairs{suffix}", ROWS))
    assert found.skipped == ()
    assert [(pair.path, pair.title, pair.group) for pair in found.pairs] == [
        (media / "a.png", "A cat.", "pets"),
        (media / "sub" / "b.png", "A sun", None),
    ]


def test_paths_may_be_relative_to_another_folder_or_absolute(media: Path) -> None:
    (media / "lists").mkdir()
    rows: list[dict[str, str | None]] = [
        {"path": "a.png", "title": "cat"},
        {"path": str(media / "sub/b.png"), "title": "sun"},
    ]
    found = read_pairs(write_pairs(media / "lists" / "pairs.jsonl", rows), folder=media)
    assert [pair.path for pair in found.pairs] == [media / "a.png", media / "sub" / "b.png"]


def test_every_row_that_cannot_be_used_is_listed_and_stops_nothing(media: Path) -> None:
    file = media / "pairs.jsonl"
    file.write_text(
        "\n".join(
            [
                '{"path": "a.png", "title": "cat"}',
                '{"title": "cat"}',
                '{"path": "a.png"}',
                '{"path": "a.png", "title": "  "}',
                '{"path": "a.png", "title": ["cat"]}',
                '{"path": "gone.png", "title": "cat"}',
                '{"path": "sub", "title": "a folder"}',
                '{"path": "a\\u0000.png", "title": "cat"}',
                '{"path": "a.png", "title": "cat"}',
                '{"path": "a.png", "title": "kitten", "group": ["x"]}',
                "{",
                '{"path": "sub/b.png", "title": "sun"}',
            ]
        )
    )
    found = read_pairs(file)
    assert [pair.row for pair in found.pairs] == [1, 12]
    reasons = {each.row: each.reason for each in found.skipped}
    assert list(reasons) == [2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
    assert reasons[2] == "column 'path' should be a path, got None"
    assert reasons[3] == "column 'title' should be words, got None"
    assert reasons[5] == "column 'title' should be words, got ['cat']"
    assert reasons[6] == f"there is no file {media / 'gone.png'}"
    assert reasons[9] == "the same path and title as row 1"
    assert reasons[10] == "column 'group' should be text, got ['x']"
    assert "line 11" in reasons[11]


def test_csv_row_with_too_many_cells_is_listed(media: Path) -> None:
    file = media / "pairs.csv"
    file.write_text("path,title\na.png,a cat, asleep\nsub/b.png,sun\n")
    found = read_pairs(file)
    assert [pair.title for pair in found.pairs] == ["sun"]
    assert "more cells than the header names" in found.skipped[0].reason


def test_file_of_another_kind_is_refused(media: Path) -> None:
    (media / "pairs.txt").write_text("")
    with pytest.raises(AttributesError, match=r"files end in \.csv, \.jsonl, \.parquet"):
        read_pairs(media / "pairs.txt")
