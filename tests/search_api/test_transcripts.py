"""What is said: with hits, over HTTP and on the command line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from litestar.testing import TestClient

from encoders.media.content import Utterance, Word
from search_api.cli.main import run
from tests.search_api.small_collection import SmallCollection

SAID = [
    Utterance("the red fox", 1.0, 2.0, (Word("the", 1, 1.2), Word("red", 1.2, 1.5, 0.9))),
    Utterance("a blue moon rises", 61.0, 63.5),
]


@pytest.fixture
def talk(small: SmallCollection) -> str:
    small.talk("talk-1", SAID)
    return "talk-1"


def test_words_find_the_moment_at_which_they_are_said(talk: str, client: TestClient[Any]) -> None:
    body = {"query": {"text": "blue moon rises"}, "channels": ["speech"]}
    (hit,) = client.post("/v1/search", json=body).json()["hits"]
    best = hit["moments"][0]
    assert hit["item_id"] == talk
    assert (best["start_seconds"], best["stop_seconds"]) == (61.0, 63.5)
    assert best["text"] == "a blue moon rises"


def test_a_transcript_is_read_with_every_word(client: TestClient[Any], talk: str) -> None:
    answer = client.get(f"/v1/items/{talk}/transcript").json()
    assert (answer["language"], answer["origin"]) == ("en", "recognized")
    assert [said["text"] for said in answer["utterances"]] == [said.text for said in SAID]
    assert answer["utterances"][0]["words"][1] == {
        "text": "red",
        "start_seconds": 1.2,
        "stop_seconds": 1.5,
        "probability": 0.9,
    }


@pytest.mark.parametrize(
    ("form", "media_type", "timing"),
    [
        ("srt", "application/x-subrip", "00:01:01,000 --> 00:01:03,500"),
        ("vtt", "text/vtt", "00:01:01.000 --> 00:01:03.500"),
    ],
)
def test_a_transcript_comes_as_subtitles(
    client: TestClient[Any], talk: str, form: str, media_type: str, timing: str
) -> None:
    answer = client.get(f"/v1/items/{talk}/transcript?format={form}")
    assert answer.headers["content-type"].startswith(media_type)
    assert f"{timing}\na blue moon rises" in answer.text


def test_an_item_in_which_nobody_listened_says_so(client: TestClient[Any]) -> None:
    answer = client.get("/v1/items/red-1/transcript")
    assert (answer.status_code, answer.json()["code"]) == (404, "no_transcript")


def test_the_command_line_prints_a_transcript(
    small: SmallCollection,
    talk: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("KINDRED_DATA_DIR", str(small.data_dir.root))
    monkeypatch.setenv("KINDRED_COLLECTION", str(small.config_path))
    assert run(["export", "--transcript", talk]) == 0
    assert "00:00:01,000 --> 00:00:02,000\nthe red fox" in capsys.readouterr().out
    assert run(["export", "--transcript", talk, "--format", "text"]) == 0
    assert capsys.readouterr().out == "the red fox\na blue moon rises\n"
    assert run(["export", "--transcript", talk, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["segments"]) == 2
    assert run(["export", "--transcript", "red-1", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "no_transcript"
    assert run(["export", "--transcript", "nobody", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "item_not_found"


@pytest.mark.parametrize(
    "arguments",
    [("--channel", "nowhere"), ("--modality", "smell"), ("--filter", '{"field": "nothing"}')],
)
def test_asking_for_what_does_not_exist_is_wrong_usage(
    small: SmallCollection,
    arguments: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("KINDRED_DATA_DIR", str(small.data_dir.root))
    monkeypatch.setenv("KINDRED_COLLECTION", str(small.config_path))
    assert run(["search", "x", *arguments, "--json"]) == 2
    assert "error" in json.loads(capsys.readouterr().out)
