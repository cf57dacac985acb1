"""What every test stands on: no network, quiet libraries, and the starter's real weights."""

from __future__ import annotations

import ipaddress
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from encoders.thread_defaults import THREAD_DEFAULTS

# Read by libraries when they are imported, so they have to be set before any test imports them.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.update(THREAD_DEFAULTS)

from encoders import torch_imports
from encoders.errors import DependencyMissing, ModelUnavailable
from encoders.loading import EncoderLoader
from encoders.models.folder import MODELS_DIR_VARIABLE, ModelFolder, pull

torch_imports.install()

REPOSITORY = Path(__file__).resolve().parent.parent


class NetworkBlocked(OSError):
    """A test tried to reach another machine."""


def _is_local(family: int, address: Any) -> bool:
    if family == getattr(socket, "AF_UNIX", None):
        return True
    if family not in (socket.AF_INET, socket.AF_INET6):
        return False
    host = address[0]
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True)
def _only_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse connections to other machines, naming the address."""
    for name in ("connect", "connect_ex"):
        original = getattr(socket.socket, name)

        def guarded(self: socket.socket, address: Any, _original: Any = original) -> Any:
            if not _is_local(self.family, address):
                raise NetworkBlocked(f"a test tried to connect to {address!r}")
            return _original(self, address)

        monkeypatch.setattr(socket.socket, name, guarded)


@pytest.fixture(scope="session")
def models() -> ModelFolder:
    """The starter's real weights, pulled once into a folder that stays."""
    named = os.environ.get(MODELS_DIR_VARIABLE)
    folder = ModelFolder(Path(named) if named else REPOSITORY / ".models-cache")
    try:
        pull("starter", folder)
    except (ModelUnavailable, DependencyMissing) as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"starter weights: {error}")
    return folder


@pytest.fixture(scope="session")
def loader(models: ModelFolder) -> EncoderLoader:
    """One loader for the whole run, so that each network is loaded once."""
    return EncoderLoader(models)
