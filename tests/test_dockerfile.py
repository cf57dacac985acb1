"""The Dockerfile says nothing that is not true of the project; building it needs Docker."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from search_api.cli.main import kindred

ROOT = Path(__file__).parents[1]


def steps() -> list[tuple[str, str]]:
    """Return instruction and arguments of each step, continued lines joined."""
    text = (ROOT / "Dockerfile").read_text()
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    return [
        (name, arguments)
        for name, _, arguments in (line.partition(" ") for line in text.splitlines() if line)
    ]


def test_everything_that_is_copied_exists_and_is_let_through() -> None:
    let_through = (ROOT / ".dockerignore").read_text().splitlines()
    copied = [
        source
        for name, arguments in steps()
        if name == "COPY" and not arguments.startswith("--from")
        for source in arguments.split()[:-1]
    ]
    assert {"encoders", "indexer", "search_api", "index_configs"} <= set(copied)
    for source in copied:
        assert (ROOT / source).exists()
        assert f"!{source}" in let_through


def test_the_server_is_started_by_a_command_that_exists() -> None:
    (command,) = [json.loads(arguments) for name, arguments in steps() if name == "CMD"]
    assert command[0] == "kindred"
    options = {name for each in kindred.commands[command[1]].params for name in each.opts}
    assert set(command[2:]) <= options


def test_the_health_check_is_a_program() -> None:
    (check,) = [arguments for name, arguments in steps() if name == "HEALTHCHECK"]
    command = json.loads(check[check.index("[") :])
    assert command[:2] == ["python", "-c"]
    compile(command[2], "healthcheck", "exec")


def test_what_is_not_python_is_installed_too() -> None:
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    shipped = {
        file
        for package, patterns in tools["package-data"].items()
        for pattern in patterns
        for file in ROOT.joinpath(*package.split(".")).glob(pattern)
    }
    packages = [ROOT / name.removesuffix("*") for name in tools["packages"]["find"]["include"]]
    files = {file for package in packages for file in package.rglob("*") if file.is_file()}
    assert {file for file in files - shipped if file.suffix not in (".py", ".pyc")} == set()


@pytest.mark.parametrize("instruction", ["USER", "EXPOSE", "VOLUME", "HEALTHCHECK"])
def test_the_image_says_what_a_host_asks(instruction: str) -> None:
    assert [arguments for name, arguments in steps() if name == instruction]


def test_nothing_runs_as_root_in_the_end() -> None:
    users = [arguments for name, arguments in steps() if name == "USER"]
    assert users[-1].isdigit()
    assert int(users[-1]) > 0
