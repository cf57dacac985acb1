from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from search_api.access.api_key import is_secret_of, new_key, split_token
from search_api.access.key_file import KeyFile, KeyRing, KeysUnreadable, UnknownKey
from search_api.access.principal import Authenticator
from search_api.errors import NotAllowed, NotAuthenticated
from search_api.settings import Settings


def test_only_a_hash_of_the_secret_is_kept(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys.json")
    key, token = new_key("catalogue", "write")
    file.add(key)
    parts = split_token(token)
    assert parts is not None
    assert parts[0] == key.key_id
    assert parts[1] not in file.path.read_text()
    (kept,) = file.read()
    assert kept == key
    assert is_secret_of(kept, parts[1])
    assert not is_secret_of(kept, parts[1][:-1])


@pytest.mark.parametrize("token", ["", "kindred_", "kindred_0123456789ab_", "Bearer x", "ä" * 60])
def test_what_is_no_token_is_told_apart(token: str) -> None:
    assert split_token(token) is None


def test_keys_made_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys.json")
    keys = [new_key(f"key {number}", "read")[0] for number in range(20)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: KeyFile(file.path).add(key), keys))
    assert {key.key_id for key in file.read()} == {key.key_id for key in keys}


def test_revoking_names_the_keys_there_are(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys.json")
    key, _ = new_key("one", "read")
    file.add(key)
    with pytest.raises(UnknownKey, match=key.key_id):
        file.revoke("000000000000")
    first = file.revoke(key.key_id)
    assert first.revoked_at is not None
    assert file.revoke(key.key_id) == first


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"\xff",
        json.dumps({"format": 2, "keys": []}).encode(),
        json.dumps({"format": 1, "keys": [{"key_id": "short"}]}).encode(),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, content: bytes) -> None:
    file = KeyFile(tmp_path / "keys.json")
    file.path.write_bytes(content)
    with pytest.raises(KeysUnreadable):
        file.read()
    with pytest.raises(KeysUnreadable):
        KeyRing(file).current()


def test_a_ring_reads_the_file_again_once_it_was_replaced(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys.json")
    ring = KeyRing(file)
    assert ring.current() == {}
    key, _ = new_key("one", "read")
    file.add(key)
    known = ring.current()
    assert list(known) == [key.key_id]
    assert ring.current() is known


def test_scopes_open_what_those_before_them_do(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys.json")
    settings = Settings(data_dir=str(tmp_path), models_dir=str(tmp_path), host="0.0.0.0")
    authenticator = Authenticator(settings, KeyRing(file))
    with pytest.raises(NotAuthenticated):
        authenticator.principal(None)
    key, token = new_key("writer", "write", datetime.now(UTC) + timedelta(hours=1))
    file.add(key)
    principal = authenticator.principal(token)
    principal.require("read")
    principal.require("write")
    with pytest.raises(NotAllowed, match="scope admin"):
        principal.require("admin")
