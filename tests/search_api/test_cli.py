"""The `kindred` command with the starter's real weights: output, exit codes, guards."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from encoders.models.folder import ModelFolder
from indexer.data_dir import DataDir
from indexer.lock import writer_lock
from search_api.cli.main import run

pytestmark = pytest.mark.weights

TEXTS = {
    "bread.txt": "Knead the dough, let it rise, and bake the loaf in a hot oven.",
    "stars.md": "# Night sky\n\nTelescopes gather the faint light of distant galaxies and stars.",
    "tides.html": "<html><body><p>The moon pulls the ocean and makes the tides.</p></body></html>",
}


@pytest.fixture
def kindred(
    models: ModelFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., tuple[int, Any]]:
    monkeypatch.setenv("KINDRED_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("KINDRED_MODELS_DIR", str(models.root))

    def call(*arguments: str) -> tuple[int, Any]:
        code = run([*arguments, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return call


@pytest.fixture
def media(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    folder.mkdir()
    for name, text in TEXTS.items():
        (folder / name).write_text(text)
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[16:48, 16:48] = (220, 30, 30)
    Image.fromarray(pixels).save(folder / "square.png")
    (folder / "square.json").write_text(
        json.dumps({"title": "A red square", "tags": ["shape", "red"], "language": "en"})
    )
    seconds = np.arange(3 * 16_000) / 16_000
    soundfile.write(folder / "tone.wav", 0.4 * np.sin(2 * np.pi * 440 * seconds), 16_000)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(30))
    return folder


def test_ingest_search_and_status_agree(
    kindred: Callable[..., tuple[int, Any]], media: Path
) -> None:
    code, summary = kindred("ingest", str(media))
    assert code == 0
    assert summary["planned"] == 6
    assert (summary["encoded"], summary["failed"]) == (5, 1)
    assert summary["failures"][0]["location"].endswith("broken.jpg")
    code, state = kindred("status")
    assert code == 0
    assert (state["collection"], state["items"], state["failed"], state["delta"]) == (
        "starter", 5, 1, 0,
    )  # fmt: skip
    assert state["snapshot"]["segments"] == state["segments"] == summary["segments"]
    for question, expected in (
        ("baking bread", "bread.txt"),
        ("astronomy", "stars.md"),
        ("sea and moon", "tides.html"),
    ):
        code, answer = kindred("search", question, "--modality", "text")
        assert code == 0
        assert answer["hits"][0]["location"].endswith(expected)
        assert answer["snapshot"] == state["snapshot"]["id"]
    code, answer = kindred("search", "red square", "--channel", "titles")
    assert answer["hits"][0]["attributes"]["title"] == "A red square"
    code, answer = kindred("search", "red", "--filter", '{"field": "tags", "equals": "shape"}')
    assert [hit["modality"] for hit in answer["hits"]] == ["image"]


def test_asking_with_a_stored_file_finds_it_first(
    kindred: Callable[..., tuple[int, Any]], media: Path
) -> None:
    kindred("ingest", str(media))
    for name in ("square.png", "tone.wav", "bread.txt"):
        code, answer = kindred("search", "--file", str(media / name))
        assert code == 0
        assert answer["hits"][0]["location"].endswith(name)
        assert answer["hits"][0]["moments"][0]["score"] == pytest.approx(1.0, abs=5e-3)


def test_a_second_ingest_calls_no_encoder_and_keeps_the_snapshot(
    kindred: Callable[..., tuple[int, Any]], media: Path
) -> None:
    _, first = kindred("ingest", str(media))
    code, second = kindred("ingest", str(media))
    assert code == 0
    assert second["encoder_calls"] == 0
    assert second["unchanged"] == 5
    assert second["published"]["snapshot"] == first["published"]["snapshot"]


def test_deleted_items_vanish_at_once_and_unknown_ids_are_named(
    kindred: Callable[..., tuple[int, Any]], media: Path
) -> None:
    kindred("ingest", str(media))
    _, answer = kindred("search", "baking bread", "--modality", "text")
    item_id = answer["hits"][0]["item_id"]
    code, deleted = kindred("delete", item_id)
    assert (code, deleted) == (0, {"deleted": [item_id], "unknown": []})
    _, answer = kindred("search", "baking bread", "--modality", "text")
    assert item_id not in [hit["item_id"] for hit in answer["hits"]]
    code, deleted = kindred("delete", item_id)
    assert (code, deleted["unknown"]) == (1, [item_id])


def files_holding(folder: Path, *needles: bytes) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in files if any(one in path.read_bytes() for one in needles)]


def ids_by_name(kindred: Callable[..., tuple[int, Any]], *question: str) -> dict[str, str]:
    _, answer = kindred("search", *question, "--limit", "50")
    return {Path(hit["location"]).name: hit["item_id"] for hit in answer["hits"]}


def test_taken_down_from_ingest_to_receipt(
    kindred: Callable[..., tuple[int, Any]], media: Path, tmp_path: Path
) -> None:
    """Two files of equal bytes: one is taken down, then both, and no byte of them is left."""
    (media / "loaf.txt").write_text(TEXTS["bread.txt"])
    (media / "bread.json").write_text(json.dumps({"title": "Grandmother's handwriting"}))
    kindred("ingest", str(media))
    ids = ids_by_name(kindred, "baking bread")
    needles = (b"Knead the dough", b"Grandmother")
    assert files_holding(tmp_path / "data", *needles)

    code, receipt = kindred("takedown", ids["bread.txt"], "nobody", "--reason", "a claim")
    assert code == 0
    assert (receipt["unknown"], receipt["same_content"]) == (["nobody"], [ids["loaf.txt"]])
    assert (receipt["reason"], receipt["erased_at"]) == ("a claim", None)
    assert len(receipt["erased_by"]["snapshots"]) == 1
    names = ids_by_name(kindred, "baking bread")
    assert "bread.txt" not in names
    assert "loaf.txt" in names

    shutil.copy(media / "bread.txt", media / "toast.txt")
    code, summary = kindred("ingest", str(media))
    skipped = {Path(file["location"]).name: file["reason"] for file in summary["skipped_files"]}
    assert skipped == {"bread.txt": "taken_down", "toast.txt": "taken_down"}
    states = ("encoded", "unchanged", "moved", "failed", "skipped")
    assert summary["planned"] == sum(summary[state] for state in states) == 8
    assert "loaf.txt" in ids_by_name(kindred, "baking bread")

    code, receipt = kindred("takedown", ids["bread.txt"], "--same-content", "--purge")
    assert code == 0
    assert (receipt["held_by"], receipt["erased_by"]) == ([], None)
    assert {item["item_id"]: item["state"] for item in receipt["items"]} == {
        ids["bread.txt"]: "deleted_before",
        ids["loaf.txt"]: "same_content",
    }
    assert files_holding(tmp_path / "data", *needles) == []
    assert "loaf.txt" not in ids_by_name(kindred, "baking bread")
    assert kindred("takedown", "--receipt", receipt["takedown_id"])[1] == receipt


def test_a_takedown_is_lifted_on_purpose(
    kindred: Callable[..., tuple[int, Any]], media: Path
) -> None:
    kindred("ingest", str(media))
    item_id = ids_by_name(kindred, "baking bread")["bread.txt"]
    _, receipt = kindred("takedown", item_id)
    code, lifted = kindred("takedown", "--lift", receipt["takedown_id"])
    assert code == 0
    assert lifted["lifted_at"] is not None
    assert lifted["lifted_by"]
    assert "bread.txt" not in ids_by_name(kindred, "baking bread")
    _, summary = kindred("ingest", str(media))
    assert (summary["encoded"], summary["skipped"]) == (1, 0)
    assert ids_by_name(kindred, "baking bread")["bread.txt"] == item_id
    code, answer = kindred("takedown", "--lift", "takedown-0")
    assert (code, answer["error"]["code"]) == (1, "unknown_takedown")


def test_a_purge_that_must_wait_is_refused_after_the_takedown(
    kindred: Callable[..., tuple[int, Any]], media: Path, tmp_path: Path
) -> None:
    kindred("ingest", str(media))
    item_id = ids_by_name(kindred, "baking bread")["bread.txt"]
    with writer_lock(DataDir(tmp_path / "data"), "starter", "a test"):
        code, answer = kindred("takedown", item_id, "--purge")
    assert (code, answer["error"]["code"]) == (3, "purge_refused")
    assert "a test" in answer["error"]["message"]
    assert "bread.txt" not in ids_by_name(kindred, "baking bread")
    takedown_id = answer["error"]["detail"]["takedown"]
    assert kindred("takedown", "--receipt", takedown_id)[1]["erased_at"] is None


@pytest.mark.parametrize(
    "arguments",
    [[], ["an-id", "--lift", "x"], ["--lift", "x", "--purge"], ["--receipt", "x", "--lift", "y"]],
)
def test_a_takedown_says_one_thing(
    kindred: Callable[..., tuple[int, Any]], arguments: list[str]
) -> None:
    code, answer = kindred("takedown", *arguments)
    assert (code, answer["error"]["code"]) == (2, "usage")


def test_a_receipt_reads_well(
    kindred: Callable[..., tuple[int, Any]], media: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kindred("ingest", str(media))
    item_id = ids_by_name(kindred, "baking bread")["bread.txt"]
    assert run(["takedown", item_id, "nobody"]) == 0
    told = capsys.readouterr().out
    assert "2 ids blocked, 1 items hidden" in told
    assert "no item 'nobody'" in told
    assert "still held by snapshot" in told
    assert "3 more published snapshots" in told
    assert run(["takedown", item_id, "--purge"]) == 0
    assert "nothing holds it since" in capsys.readouterr().out


def test_rolling_back_and_forward(kindred: Callable[..., tuple[int, Any]], media: Path) -> None:
    _, first = kindred("ingest", str(media))
    code, refused = kindred("rollback")
    assert (code, refused["error"]["code"]) == (3, "no_such_snapshot")
    (media / "rain.txt").write_text("Rain falls on the roof all night.")
    _, second = kindred("ingest", str(media))
    code, back = kindred("rollback")
    assert (code, back) == (0, {"snapshot": first["published"]["snapshot"], "delta": 1})
    _, listed = kindred("snapshots")
    newest, oldest = listed["snapshots"]
    assert (newest["live"], oldest["live"]) == (False, True)
    assert oldest["id"] == first["published"]["snapshot"]
    _, answer = kindred("search", "rain on the roof", "--limit", "1")
    assert answer["snapshot"] == oldest["id"]
    assert answer["hits"][0]["location"].endswith("rain.txt")
    code, forward = kindred("rollback", second["published"]["snapshot"])
    assert (code, forward["delta"]) == (0, 0)


def test_failures_are_listed_and_retried(
    kindred: Callable[..., tuple[int, Any]], media: Path
) -> None:
    kindred("ingest", str(media))
    _, listed = kindred("failures")
    assert [Path(entry["location"]).name for entry in listed["failures"]] == ["broken.jpg"]
    Image.new("RGB", (8, 8), "green").save(media / "broken.jpg")
    code, listed = kindred("failures", "--retry")
    assert (code, listed["failures"]) == (0, [])
    _, state = kindred("status")
    assert (state["items"], state["failed"], state["delta"]) == (6, 0, 1)


def test_exit_codes_say_what_happened(
    kindred: Callable[..., tuple[int, Any]], media: Path, tmp_path: Path
) -> None:
    code, _ = kindred("ingest", str(media), "--strict")
    assert code == 1
    code, answer = kindred("ingest", str(tmp_path / "nowhere"))
    assert (code, answer["error"]["code"]) == (1, "source_missing")
    code, answer = kindred("search", "a", "--item", "b")
    assert (code, answer["error"]["code"]) == (2, "usage")
    code, answer = kindred("search", "a", "--collection", "nothing")
    assert (code, answer["error"]["code"]) == (1, "bad_config")
    code, answer = kindred("search", "--item", "nobody")
    assert (code, answer["error"]["code"]) == (1, "item_not_found")
    with writer_lock(DataDir(tmp_path / "data"), "starter", "a test"):
        code, answer = kindred("reindex")
    assert (code, answer["error"]["code"]) == (3, "lock_held")
    assert "a test" in answer["error"]["message"]


def test_missing_models_say_what_to_run(
    kindred: Callable[..., tuple[int, Any]],
    media: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KINDRED_MODELS_DIR", str(tmp_path / "no-models"))
    code, answer = kindred("ingest", str(media))
    assert (code, answer["error"]["code"]) == (1, "model_missing")
    assert "kindred models pull starter" in answer["error"]["message"]


def test_status_and_search_of_an_empty_collection_answer(
    kindred: Callable[..., tuple[int, Any]],
) -> None:
    code, state = kindred("status")
    assert (code, state["items"], state["snapshot"]) == (0, 0, None)
    code, answer = kindred("search", "anything")
    assert (code, answer["hits"]) == (0, [])


def test_doctor_finds_nothing_wrong_here(
    kindred: Callable[..., tuple[int, Any]], media: Path
) -> None:
    kindred("ingest", str(media))
    code, answer = kindred("doctor")
    assert [check for check in answer["checks"] if check["state"] == "failed"] == []
    assert code == 0
    assert {"faiss", "torch", "decoders", "model minilm", "catalog", "live index"} <= {
        check["name"] for check in answer["checks"]
    }


def test_models_list_names_licence_and_origin(
    kindred: Callable[..., tuple[int, Any]],
) -> None:
    _, answer = kindred("models", "list")
    by_name = {model["name"]: model for model in answer["models"]}
    assert {"minilm", "efficientnet_lite2", "yamnet"} <= set(by_name)
    assert all(model["licence"] and model["origin"] for model in by_name.values())
    assert by_name["minilm"]["installed"]
