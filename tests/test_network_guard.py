"""The guard in conftest.py keeps tests on this machine."""

from __future__ import annotations

import socket

import pytest


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("example.org", 443)])
def test_connection_to_another_machine_is_refused_and_named(address: tuple[str, int]) -> None:
    with socket.socket() as client, pytest.raises(OSError, match=address[0]):
        client.connect(address)
    with socket.socket() as client, pytest.raises(OSError, match=address[0]):
        client.connect_ex(address)


def test_connection_on_this_machine_is_allowed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.connect(server.getsockname())
