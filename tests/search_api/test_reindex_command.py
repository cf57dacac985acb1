"""`kindred reindex` as a nightly job: one line, exit codes, metrics, no half-published state."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from indexer import pipeline
from indexer.catalog.catalog import Catalog
from indexer.catalog.records import Outcome
from indexer.data_dir import DataDir
from indexer.lock import writer_lock
from indexer.publish import read_pointer
from indexer.reindex_report import STAGES
from search_api.cli.main import run
from tests.indexer.stored_items import COLLECTION, YAML, identities, tiny_config, write_of

ROOT = Path(__file__).resolve().parents[2]

# The command with the identities of made-up encoders; it says when indexes are about to be built.
PROCESS = """
import sys, time
from indexer import pipeline, snapshot
from search_api.cli.main import main
from tests.indexer.stored_items import identities

def slow(*arguments, **named):
    print("building", flush=True)
    time.sleep(600)

snapshot.build_index = slow
pipeline.channel_identities = lambda *_: identities()
main(sys.argv[1:])
"""


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataDir:
    monkeypatch.setenv("KINDRED_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("KINDRED_COLLECTION", str(tmp_path / "tiny.yaml"))
    monkeypatch.setattr(pipeline, "channel_identities", lambda *_: identities())
    (tmp_path / "tiny.yaml").write_text(YAML)
    return DataDir(tmp_path / "data")


@pytest.fixture
def catalog(data_dir: DataDir) -> Iterator[Catalog]:
    with Catalog.open(data_dir) as opened:
        opened.register_collection(tiny_config())
        yield opened


@pytest.fixture
def metrics_file(tmp_path: Path) -> Path:
    (tmp_path / "textfile").mkdir()
    return tmp_path / "textfile" / "kindred.prom"


def reindex(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    code = run(["reindex", "--if-changed", *arguments, "--json"])
    (line,) = capsys.readouterr().out.splitlines()
    return code, json.loads(line)


def metrics(path: Path) -> dict[str, float]:
    """Return each sample by name and its labels but the collection."""
    found = {}
    for family in text_string_to_metric_families(path.read_text()):
        assert family.type == "gauge"
        assert family.documentation
        for sample in family.samples:
            assert sample.timestamp is None
            labels = dict(sample.labels)
            assert labels.pop("collection") == COLLECTION
            short = sample.name.removeprefix("kindred_reindex_")
            found["/".join([short, *labels.values()])] = sample.value
    return found


def fail(catalog: Catalog, num_files: int) -> None:
    catalog.write(
        COLLECTION,
        (),
        [
            Outcome(f"/bad/{number}", None, "failed", reason="truncated")
            for number in range(num_files)
        ],
    )


def test_one_line_says_what_was_done_and_why(
    catalog: Catalog, capsys: pytest.CaptureFixture[str]
) -> None:
    code, told = reindex(capsys)
    assert (code, told["built"], told["because"], told["snapshot"]) == (0, False, [], None)
    catalog.write(COLLECTION, [write_of("a"), write_of("b", seed=1)])
    fail(catalog, 1)
    code, told = reindex(capsys)
    assert (code, told["built"], told["because"]) == (0, True, ["there is no snapshot yet"])
    assert (told["collection"], told["items"], told["segments"], told["failed"]) == (
        "tiny",
        2,
        4,
        1,
    )
    assert tuple(told["stages"]) == STAGES
    assert all(seconds > 0 for seconds in told["stages"].values())
    assert told["seconds"] == pytest.approx(sum(told["stages"].values()), abs=0.01)
    assert told["peak_memory_bytes"] > 10_000_000
    assert told["recall"] == {"passages": 1.0}
    assert told["gate"]["channels"]["passages"]["known_item_share"] == 1.0
    assert (told["overruled"], told["warnings"], told["delta"]) == ([], [], 0)
    code, again = reindex(capsys)
    assert (code, again["built"], again["because"]) == (0, False, [])
    assert again["snapshot"] == told["snapshot"]
    catalog.write(COLLECTION, [write_of("c", seed=2)])
    code, later = reindex(capsys)
    assert later["because"] == ["changes of items since the live snapshot: 1"]
    assert later["gate"]["channels"]["passages"]["overlap_at_10"] == 1.0


def test_too_many_failed_files_are_refused_and_force_is_recorded(
    catalog: Catalog, metrics_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    catalog.write(COLLECTION, [write_of("a")])
    _, first = reindex(capsys)
    catalog.write(COLLECTION, [write_of("b", seed=1)])
    fail(catalog, 100)
    code, refused = reindex(capsys, "--metrics-file", str(metrics_file))
    assert (code, refused["error"]["code"]) == (3, "gate_refused")
    assert "100 of 102 files failed (98.0%)" in refused["error"]["message"]
    assert refused["error"]["detail"]["failed"] == 100
    assert metrics(metrics_file)["exit_code"] == 3
    assert run(["snapshots", "--json"]) == 0
    (kept,) = json.loads(capsys.readouterr().out)["snapshots"]
    assert (kept["id"], kept["live"]) == (first["snapshot"], True)
    code, forced = reindex(capsys, "--force")
    assert (code, len(forced["overruled"])) == (0, 1)
    run(["snapshots", "--json"])
    newest, _ = json.loads(capsys.readouterr().out)["snapshots"]
    assert newest["gate"]["reasons"] == newest["overruled"] == forced["overruled"]
    run(["snapshots"])
    shown = capsys.readouterr().out
    assert "recall@10 1.000 · own item 1.000 · overlap@10 1.000 · failed files 100 (98.0%)" in shown


def test_the_metrics_of_a_run_that_did_its_work(
    catalog: Catalog, metrics_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    catalog.write(COLLECTION, [write_of("a"), write_of("b", seed=1)])
    reindex(capsys, "--metrics-file", str(metrics_file))
    found = metrics(metrics_file)
    assert (found["exit_code"], found["published"]) == (0, 1)
    assert (found["items"], found["segments"], found["delta_items"]) == (2, 4, 0)
    assert found["recall_at_10/passages"] == found["known_item_share/passages"] == 1
    assert found["last_success_timestamp_seconds"] == found["last_run_timestamp_seconds"] > 1.7e9
    assert {f"stage_seconds/{stage}" for stage in STAGES} <= set(found)
    assert list(metrics_file.parent.iterdir()) == [metrics_file]


def test_the_metrics_of_a_failed_run_keep_what_still_holds(
    catalog: Catalog, data_dir: DataDir, metrics_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with writer_lock(data_dir, COLLECTION, "a test"):
        code, _ = reindex(capsys, "--metrics-file", str(metrics_file))
    assert code == 3
    assert metrics(metrics_file)["last_success_timestamp_seconds"] == 0
    catalog.write(COLLECTION, [write_of("a")])
    reindex(capsys, "--metrics-file", str(metrics_file))
    good = metrics(metrics_file)
    with writer_lock(data_dir, COLLECTION, "a test"):
        reindex(capsys, "--metrics-file", str(metrics_file))
    failed = metrics(metrics_file)
    changed = {"exit_code", "duration_seconds", "last_run_timestamp_seconds"}
    assert {name for name in good if good[name] != failed[name]} == changed
    assert set(failed) == set(good)
    reindex(capsys, "--metrics-file", str(metrics_file))
    idle = metrics(metrics_file)
    assert (idle["exit_code"], idle["published"]) == (0, 0)
    assert idle["known_item_share/passages"] == 1
    assert idle["last_success_timestamp_seconds"] > good["last_success_timestamp_seconds"]


def test_a_folder_that_is_not_there_is_wrong_usage(
    catalog: Catalog, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, told = reindex(capsys, "--metrics-file", str(tmp_path / "nowhere" / "kindred.prom"))
    assert (code, told["error"]["code"]) == (2, "usage")
    assert "nowhere" in told["error"]["message"]


def test_sigterm_leaves_the_live_snapshot_and_says_so_in_the_metrics(
    catalog: Catalog,
    data_dir: DataDir,
    metrics_file: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    catalog.write(COLLECTION, [write_of("a")])
    _, first = reindex(capsys)
    catalog.write(COLLECTION, [write_of("b", seed=1)])
    arguments = ["reindex", "--if-changed", "--json", "--metrics-file", str(metrics_file)]
    process = subprocess.Popen(
        [sys.executable, "-c", PROCESS, *arguments],
        cwd=ROOT,
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "building\n"
        process.terminate()
        try:
            printed, _ = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 1
    assert json.loads(printed)["error"]["code"] == "interrupted"
    found = metrics(metrics_file)
    assert (found["exit_code"], found["last_success_timestamp_seconds"]) == (1, 0)
    pointer = read_pointer(data_dir, COLLECTION)
    assert pointer is not None
    assert pointer.snapshot_id == first["snapshot"]
    names = {path.name for path in data_dir.snapshots(COLLECTION).iterdir()}
    assert names == {"live", first["snapshot"]}
    assert reindex(capsys)[1]["built"]
