"""``kindred keys``: output and exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search_api.access.api_key import split_token
from search_api.access.key_file import KeyFile, KeyRing
from search_api.access.principal import Authenticator
from search_api.cli.main import run
from search_api.settings import Settings


@pytest.fixture
def kindred(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, Any]]:
    monkeypatch.setenv("KINDRED_DATA_DIR", str(tmp_path))

    def call(*arguments: str) -> tuple[int, Any]:
        code = run(["keys", *arguments, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return call


def test_a_key_is_made_listed_and_revoked(
    kindred: Callable[..., tuple[int, Any]], tmp_path: Path
) -> None:
    code, made = kindred("create", "catalogue", "--scope", "write", "--expires-in", "90d")
    assert code == 0
    parts = split_token(made.pop("key"))
    assert parts is not None
    assert made["scope"] == "write"
    code, listed = kindred("list")
    assert (code, listed) == (0, {"keys": [made]})
    assert parts[1] not in str(listed)
    code, revoked = kindred("revoke", made["key_id"])
    assert code == 0
    assert revoked["revoked_at"] is not None
    code, refused = kindred("revoke", "000000000000")
    assert (code, refused["error"]["code"]) == (1, "unknown_key")
    settings = Settings(data_dir=str(tmp_path), models_dir=str(tmp_path))
    assert settings.has_keys
    assert list(KeyRing(KeyFile(settings.data.keys)).current()) == [made["key_id"]]


def test_people_get_the_key_alone_on_stdout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KINDRED_DATA_DIR", str(tmp_path))
    assert run(["keys", "create", "a reader"]) == 0
    token = capsys.readouterr().out.strip()
    settings = Settings(data_dir=str(tmp_path), models_dir=str(tmp_path), host="0.0.0.0")
    principal = Authenticator(settings, KeyRing(KeyFile(settings.data.keys))).principal(token)
    assert principal.scope == "read"
    settings.check_exposure()
    assert run(["keys", "list"]) == 0
    shown = capsys.readouterr().out
    assert "a reader" in shown
    assert token.split("_")[2] not in shown


@pytest.mark.parametrize("age", ["0d", "9", "-3h", "3w", ""])
def test_an_age_of_another_form_is_wrong_usage(
    kindred: Callable[..., tuple[int, Any]], age: str
) -> None:
    code, refused = kindred("create", "x", "--expires-in", age)
    assert (code, "like 12h or 90d" in str(refused)) == (2, True)
