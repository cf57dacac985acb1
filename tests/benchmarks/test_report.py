import json
from pathlib import Path

from benchmarks.report import environment, table, write_json


def test_table_columns_line_up() -> None:
    rows = [{"question": "text", "R@1": "0.5"}, {"question": "a long one", "R@1": "0.25"}]
    assert table(rows).splitlines() == [
        "| question   | R@1  |",
        "| ---------- | ---- |",
        "| text       | 0.5  |",
        "| a long one | 0.25 |",
    ]


def test_report_is_readable_json_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    path = tmp_path / "results/retrieval.json"
    write_json(path, {"seed": 0, "caption": "“quoted”"})
    assert json.loads(path.read_text(encoding="utf-8")) == {"seed": 0, "caption": "“quoted”"}
    assert [each.name for each in path.parent.iterdir()] == ["retrieval.json"]


def test_environment_names_versions() -> None:
    assert environment()["versions"]["numpy"][0].isdigit()  # type: ignore[index]
