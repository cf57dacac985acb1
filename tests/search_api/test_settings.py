from pathlib import Path

import msgspec
import pytest

from encoders.errors import ConfigError
from search_api.settings import (
    SETTINGS_VARIABLE,
    Settings,
    is_loopback,
    load_worker_settings,
)


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KINDRED_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("KINDRED_MODELS_DIR", str(tmp_path / "models"))
    for name in ("HOST", "PORT", "WORKERS", "ALLOW_ANONYMOUS", "COLLECTION"):
        monkeypatch.delenv(f"KINDRED_{name}", raising=False)


def test_arguments_win_over_the_environment_and_that_over_defaults(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KINDRED_PORT", "9000")
    monkeypatch.setenv("KINDRED_WORKERS", "5")
    settings = Settings.from_environment(workers=3, host=None)
    assert (settings.port, settings.workers, settings.host) == (9000, 3, "127.0.0.1")
    assert settings.data.root == tmp_path / "data"
    assert settings.models.root == tmp_path / "models"


def test_a_value_that_does_not_fit_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KINDRED_PORT", "eighty")
    with pytest.raises(ConfigError, match="port"):
        Settings.from_environment()
    monkeypatch.delenv("KINDRED_PORT")
    with pytest.raises(ConfigError, match="workers"):
        Settings.from_environment(workers=0)
    with pytest.raises(ConfigError, match="colour"):
        Settings.from_environment(colour="red")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_loopback_needs_no_permission(host: str) -> None:
    assert is_loopback(host)
    Settings.from_environment(host=host).check_exposure()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "192.168.0.9", "kindred.example"])
def test_other_addresses_are_refused_until_anonymous_access_is_allowed(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="KINDRED_ALLOW_ANONYMOUS=1"):
        Settings.from_environment(host=host).check_exposure()
    monkeypatch.setenv("KINDRED_ALLOW_ANONYMOUS", "1")
    Settings.from_environment(host=host).check_exposure()


def test_workers_read_what_the_supervisor_wrote(tmp_path: Path) -> None:
    settings = Settings.from_environment(port=9001).replace(encoder_sockets="sockets")
    path = tmp_path / "settings.json"
    path.write_bytes(msgspec.json.encode(settings))
    assert load_worker_settings({SETTINGS_VARIABLE: str(path)}) == settings


def test_a_wrong_variable_is_named_as_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KINDRED_REFRESH_SECONDS", "-1")
    with pytest.raises(ConfigError, match=r"KINDRED_REFRESH_SECONDS.*> 0"):
        Settings.from_environment()


def test_the_address_of_ipv6_has_brackets() -> None:
    assert Settings.from_environment(host="::1", port=80).url == "http://[::1]:80"
