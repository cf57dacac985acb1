"""The `kindred` command when something is wrong: one line or one JSON value, never a traceback."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import pytest

from search_api import server
from search_api.cli import items
from search_api.cli.main import run
from search_api.settings import Settings


@pytest.fixture(autouse=True)
def _folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KINDRED_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("KINDRED_MODELS_DIR", str(tmp_path / "models"))


def failed(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any, str]:
    code = run([*arguments, "--json"])
    printed = capsys.readouterr()
    return code, json.loads(printed.out)["error"], printed.err


@pytest.mark.parametrize(
    ("variable", "command"),
    [
        ("KINDRED_DATA_DIR", ("status",)),
        ("KINDRED_DATA_DIR", ("search", "x")),
        ("KINDRED_MODELS_DIR", ("search", "x")),
        ("KINDRED_MODELS_DIR", ("models", "pull", "starter")),
    ],
)
def test_a_file_in_place_of_a_folder_is_an_error_without_traceback(
    variable: str,
    command: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv(variable, str(tmp_path / "file"))
    code, error, told = failed(capsys, *command)
    assert (code, told) == (1, "")
    assert error["code"] in {"system_error", "model_missing"}


def test_the_doctor_reports_folders_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("KINDRED_DATA_DIR", str(tmp_path / "file"))
    monkeypatch.setenv("KINDRED_MODELS_DIR", str(tmp_path / "file"))
    assert run(["doctor", "--json"]) == 1
    checks = json.loads(capsys.readouterr().out)["checks"]
    states = {check["name"]: check["state"] for check in checks}
    assert states["data folder"] == states["model minilm"] == "failed"


def test_a_filter_nested_without_end_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    code, error, _ = failed(capsys, "search", "x", "--filter", "[" * 100_000)
    assert (code, error["code"]) == (2, "usage")


def test_a_fault_of_the_program_is_one_json_value_and_a_traceback_beside_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_work: object) -> None:
        raise ZeroDivisionError("one over nothing")

    monkeypatch.setattr(items, "collection_status", broken)
    code, error, told = failed(capsys, "status")
    assert (code, error["code"]) == (1, "internal_error")
    assert "one over nothing" in error["message"]
    assert "Traceback" in told


def test_a_rejected_question_says_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "nothing.png").touch()
    code, error, _ = failed(capsys, "search", "--file", str(tmp_path / "nothing.png"))
    assert (code, error["code"], error["detail"]["reason"]) == (1, "media_rejected", "empty")


def test_variables_of_the_server_count_and_arguments_win(monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Settings] = []

    def keep(settings: Settings, _announce: object) -> int:
        served.append(settings)
        return 0

    monkeypatch.setattr(server, "serve", keep)
    monkeypatch.setenv("KINDRED_PORT", "9001")
    monkeypatch.setenv("KINDRED_WORKERS", "5")
    assert run(["serve"]) == 0
    assert run(["serve", "--port", "9002"]) == 0
    assert [(one.port, one.workers) for one in served] == [(9001, 5), (9002, 5)]


def test_serve_announces_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def announce(settings: Settings, tell: Any) -> int:
        tell(settings)
        return 0

    monkeypatch.setattr(server, "serve", announce)
    assert run(["serve", "--json", "--port", "9003"]) == 0
    assert json.loads(capsys.readouterr().out)["url"] == "http://127.0.0.1:9003"


def test_every_command_takes_json_and_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    from search_api.cli.main import kindred

    commands = [
        (*path, name)
        for path, group in (((), kindred), (("models",), kindred.commands["models"]))
        if isinstance(group, click.Group)
        for name, command in group.commands.items()
        if not isinstance(command, click.Group)
    ]
    assert len(commands) > 10
    for command in commands:
        assert run([*command, "--help"]) == 0
        assert "--json" in capsys.readouterr().out, command


def test_a_table_in_a_pipe_keeps_paths_on_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from search_api.cli import output

    path = "/somewhere/" + "long/" * 40 + "file.png"
    shown = output.table("file", "reason")
    shown.add_row(path, "corrupt")
    output.console().print(shown)
    assert path in capsys.readouterr().out


def test_ctrl_c_ends_a_command_without_a_traceback(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "working\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert json.loads(out)["error"]["code"] == "interrupted"
    assert "Traceback" not in err


INTERRUPTED = """
import signal, time
# A job started in the background of a shell is told to ignore the signal that is tested here.
signal.signal(signal.SIGINT, signal.default_int_handler)
from search_api.cli import items
from search_api.cli.main import main

def wait(work):
    print("working", flush=True)
    time.sleep(60)

items.collection_status = wait
main(["status", "--json"])
"""
