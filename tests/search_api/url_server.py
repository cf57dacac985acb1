"""A server on loopback that answers as badly as it is told, byte by byte."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from socket import AF_INET, SOCK_STREAM, socket
from typing import TypeAlias

Answer: TypeAlias = bytes | Callable[[socket], None]
"""What is sent, or what is done with the connection."""


class UrlServer:
    """Answers requests by their path and remembers them."""

    def __init__(self, answers: Mapping[str, Answer], tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[str] = []
        """The heads of the requests."""

        self._answers = answers
        self._tls = tls
        self._closed = False
        self._listening = socket(AF_INET, SOCK_STREAM)
        self._listening.bind(("127.0.0.1", 0))
        self._listening.listen(16)
        self._listening.settimeout(0.1)
        self.port: int = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        self._closed = True
        self._thread.join()
        self._listening.close()

    def _run(self) -> None:
        while not self._closed:
            try:
                connection, _ = self._listening.accept()
            except TimeoutError:
                continue
            with connection:
                connection.settimeout(10)
                try:
                    self._answer(connection)
                except OSError:  # the client has gone, which is what some tests are about
                    continue

    def _answer(self, connection: socket) -> None:
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_side=True)
        with connection:
            head = b""
            while b"\r\n\r\n" not in head:
                more = connection.recv(4096)
                if not more:
                    return
                head += more
            self.requests.append(head.decode())
            answer = self._answers[head.split()[1].decode()]
            if isinstance(answer, bytes):
                connection.sendall(answer)
            else:
                answer(connection)


@contextmanager
def serving(
    answers: Mapping[str, Answer], tls: ssl.SSLContext | None = None
) -> Iterator[UrlServer]:
    """Serve for as long as the context lasts."""
    server = UrlServer(answers, tls)
    try:
        yield server
    finally:
        server.close()


def ok(body: bytes, *headers: str) -> bytes:
    """Return an answer that holds a body."""
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def moved(location: str, status: int = 302) -> bytes:
    """Return an answer that leads elsewhere."""
    return f"HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()


def endless(connection: socket) -> None:
    """Send a body without an end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(b"x" * 65536)


def dripping(head: bytes) -> Callable[[socket], None]:
    """Return an answer that sends a byte now and then, after a head."""

    def drip(connection: socket) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(b"x")
            time.sleep(0.05)

    return drip
