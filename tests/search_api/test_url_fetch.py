"""Fetching leads nowhere but to the public internet, and ends."""

from __future__ import annotations

import gzip
import shutil
import socket as socket_module
import ssl
import subprocess
import threading
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from search_api import url_fetch
from search_api.errors import UploadTooLarge
from search_api.public_addresses import IpAddress, is_public
from search_api.url_fetch import FetchFailed, FetchLimits, fetch
from search_api.web_address import UrlRefused
from tests.search_api.url_server import UrlServer, dripping, endless, moved, ok, serving

LOOPBACK = ip_address("127.0.0.1")


class Names:
    """A resolver that knows some names; each may answer otherwise the next time."""

    def __init__(self, answers: Mapping[str, Sequence[Sequence[str]]]) -> None:
        self._answers = {name: list(each) for name, each in answers.items()}
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> Sequence[IpAddress]:
        self.asked.append(host)
        if host not in self._answers:
            return [ip_address(host)]
        answers = self._answers[host]
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        if not found:
            raise socket_module.gaierror("not known")
        return [ip_address(each) for each in found]


NAMES: Mapping[str, Sequence[Sequence[str]]] = {
    "files.example": [["127.0.0.1"]],
    "private.example": [["10.0.0.7"]],
    "mixed.example": [["127.0.0.1", "169.254.169.254"]],
    "rebinding.example": [["127.0.0.1"], ["127.0.0.2"]],
    "mapped.example": [["::ffff:127.0.0.1"]],
    "unknown.example": [[]],
    "empty.example": [[]],
}


def limits_for(server: UrlServer, names: Names | None = None, **changed: Any) -> FetchLimits:
    """Return limits under which 127.0.0.1 stands for the public internet, and nothing else does."""
    limits: dict[str, Any] = {
        "max_bytes": 100_000,
        "max_seconds": 20.0,
        "ports": frozenset({server.port}),
        "allows": lambda address: address == LOOPBACK,
        "resolve": names or Names(NAMES),
        **changed,
    }
    return FetchLimits(**limits)


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that connections went to."""
    seen: list[str] = []
    connect = socket_module.create_connection

    def noted(address: tuple[str, int], *arguments: Any, **named: Any) -> socket_module.socket:
        seen.append(address[0])
        return connect(address, *arguments, **named)

    monkeypatch.setattr(socket_module, "create_connection", noted)
    return seen


def test_a_file_is_fetched_from_the_address_that_was_checked(
    tmp_path: Path, connected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    with serving({"/a/cat.png?key=1": ok(b"a cat", "Content-Type: text/html")}) as server:
        names = Names(NAMES)
        url = f"http://Files.Example:{server.port}/a/cat.png?key=1#x"
        done = fetch(url, tmp_path / "got", limits_for(server, names))
        (request,) = server.requests
    assert (tmp_path / "got").read_bytes() == b"a cat"
    assert (done.size_bytes, done.address.file_name) == (5, "cat.png")
    assert done.address.shown == f"http://files.example:{server.port}/a/cat.png"
    assert names.asked == ["files.example"]
    assert connected == ["127.0.0.1"]
    assert f"Host: files.example:{server.port}\r\n" in request
    assert "Accept-Encoding: identity\r\n" in request


@pytest.mark.parametrize(
    "host",
    ["private.example", "mixed.example", "mapped.example", "127.0.0.2", "169.254.169.254",
     "10.0.0.1", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[fd00:ec2::254]",
     "100.100.100.200", "168.63.129.16"],
)  # fmt: skip
def test_no_connection_is_opened_to_what_is_not_public(
    host: str, tmp_path: Path, connected: list[str]
) -> None:
    with serving({"/": ok(b"secret")}) as server:
        limits = limits_for(server)
        with pytest.raises(UrlRefused, match="public internet") as caught:
            fetch(f"http://{host}:{server.port}/", tmp_path / "got", limits)
        # The same by a redirect, on the second hop.
        with serving({"/": moved(f"http://{host}:{server.port}/")}) as first:
            limits = limits_for(server, ports=frozenset({server.port, first.port}))
            with pytest.raises(UrlRefused, match="public internet"):
                fetch(f"http://files.example:{first.port}/", tmp_path / "got", limits)
        assert server.requests == []
    assert connected == ["127.0.0.1"]  # of the redirect alone
    assert "10.0.0.7" not in caught.value.message
    assert not (tmp_path / "got").exists()


def test_the_rule_of_the_server_itself_refuses_loopback(tmp_path: Path) -> None:
    with serving({"/": ok(b"secret")}) as server:
        limits = limits_for(server, allows=is_public)
        for host in ("files.example", "127.0.0.1", "localhost"):
            names = Names({**NAMES, "localhost": [["127.0.0.1", "::1"]]})
            with pytest.raises(UrlRefused):
                fetch(
                    f"http://{host}:{server.port}/",
                    tmp_path / "got",
                    limits_for(server, names, allows=limits.allows),
                )
        assert server.requests == []


def test_a_name_that_is_bound_anew_is_checked_anew(tmp_path: Path, connected: list[str]) -> None:
    """Allowed at the first hop, refused at the second; within a hop nobody asks twice."""
    answers: dict[str, Any] = {"/plain": ok(b"fine")}
    with serving(answers) as server:
        base = f"http://rebinding.example:{server.port}"
        answers["/"] = moved(f"{base}/plain")
        names = Names(NAMES)
        with pytest.raises(UrlRefused):
            fetch(f"{base}/", tmp_path / "got", limits_for(server, names))
        assert names.asked == ["rebinding.example"] * 2
        names = Names(NAMES)
        fetch(f"{base}/plain", tmp_path / "got", limits_for(server, names))
        assert names.asked == ["rebinding.example"]
    assert connected == ["127.0.0.1", "127.0.0.1"]


@pytest.mark.parametrize(
    ("location", "match"),
    [
        ("file:///etc/passwd", "neither http nor https"),
        ("gopher://files.example/", "neither http nor https"),
        ("http://user:pass@files.example/", "user or password"),
        ("http://files.example:22/", "port 22"),
        ("http://0x7f000001/", "no host"),
        ("http://127.0.0.1\\@files.example/", "backslash"),
    ],
)
def test_redirects_elsewhere_are_refused(location: str, match: str, tmp_path: Path) -> None:
    with serving({"/": moved(location)}) as server, pytest.raises(UrlRefused, match=match):
        fetch(f"http://files.example:{server.port}/", tmp_path / "got", limits_for(server))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed_to_an_end(status: int, tmp_path: Path) -> None:
    answers = {"/a": moved("b?c", status), "/b?c": ok(b"b"), "/loop": moved("/loop", status)}
    with serving(answers) as server:
        base = f"http://files.example:{server.port}"
        done = fetch(f"{base}/a", tmp_path / "got", limits_for(server))
        assert done.address.shown == f"{base}/b"
        with pytest.raises(FetchFailed, match="more than 5 redirects"):
            fetch(f"{base}/loop", tmp_path / "other", limits_for(server))
        assert len(server.requests) == 2 + 6


@pytest.mark.parametrize(
    "answer",
    [
        ok(b"x" * 100_001),
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        endless,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"8000\r\n" + b"y" * 0x8000
        + b"\r\n" + (b"8000\r\n" + b"y" * 0x8000 + b"\r\n") * 4 + b"0\r\n\r\n",
    ],
    ids=["announced", "announced only", "endless", "chunked"],
)  # fmt: skip
def test_no_more_is_taken_than_the_limit(answer: Any, tmp_path: Path) -> None:
    with serving({"/": answer}) as server, pytest.raises(UploadTooLarge, match="100000"):
        fetch(f"http://files.example:{server.port}/", tmp_path / "got", limits_for(server))
    path = tmp_path / "got"
    assert not path.exists() or path.stat().st_size <= 100_000


def test_what_is_compressed_is_not_unpacked(tmp_path: Path) -> None:
    bomb = ok(gzip.compress(b"\0" * 10_000_000), "Content-Encoding: gzip")
    with serving({"/": bomb}) as server, pytest.raises(FetchFailed, match="compressed"):
        fetch(f"http://files.example:{server.port}/", tmp_path / "got", limits_for(server))
    assert not (tmp_path / "got").exists()


@pytest.mark.parametrize(
    "head",
    [b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"HTTP/1.1 200 OK\r\nX-", b"H"],
    ids=["body", "header", "status"],
)
def test_a_server_that_drips_is_left_in_time(head: bytes, tmp_path: Path) -> None:
    with serving({"/": dripping(head)}) as server:
        limits = limits_for(server, max_seconds=0.5)
        with pytest.raises(FetchFailed, match=r"0\.5 s"):
            fetch(f"http://files.example:{server.port}/", tmp_path / "got", limits)


def test_a_resolver_that_hangs_is_left_in_time(tmp_path: Path) -> None:
    hanging = threading.Event()

    def resolve(_host: str, _port: int) -> Sequence[IpAddress]:
        hanging.wait(30)
        return [LOOPBACK]

    with serving({}) as server:
        limits = limits_for(server, max_seconds=0.2, resolve=resolve)
        with pytest.raises(FetchFailed, match=r"0\.2 s"):
            fetch(f"http://files.example:{server.port}/", tmp_path / "got", limits)
    hanging.set()


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "answered 404"),
        (b"HTTP/1.1 206 Partial\r\nContent-Length: 1\r\n\r\na", "answered 206"),
        (b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", "answered 302"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", "could not be read"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "could not be"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "could not be read"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000, "could not be read"),
        (b"", "could not be read"),
    ],
)
def test_a_file_that_cannot_be_had_says_why(answer: bytes, match: str, tmp_path: Path) -> None:
    with serving({"/?key=secret": answer}) as server:
        url = f"http://files.example:{server.port}/?key=secret"
        with pytest.raises(FetchFailed, match=match) as caught:
            fetch(url, tmp_path / "got", limits_for(server))
    assert "secret" not in caught.value.message


def test_unknown_hosts_and_closed_ports_are_named(tmp_path: Path) -> None:
    with serving({}) as server:
        limits = limits_for(server)
        for host in ("unknown.example", "empty.example"):
            with pytest.raises(FetchFailed, match=host):
                fetch(f"http://{host}:{server.port}/", tmp_path / "got", limits)
    with pytest.raises(FetchFailed, match="files"):  # it is closed by now
        fetch(f"http://files.example:{server.port}/", tmp_path / "got", limits)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes the certificate")
def test_tls_is_checked_against_the_name_and_not_the_address(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30"]
    command += ["-subj", "/CN=files.example", "-addext", "subjectAltName=DNS:files.example"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    asked: list[str | None] = []
    tls.sni_callback = lambda _socket, name, _context: asked.append(name)
    names = Names({**NAMES, "other.example": [["127.0.0.1"]]})

    def trusting() -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(certificate))

    with serving({"/": ok(b"safe")}, tls) as server:
        limits = limits_for(server, names, make_ssl_context=trusting)
        fetch(f"https://files.example:{server.port}/", tmp_path / "got", limits)
        with pytest.raises(FetchFailed):
            fetch(f"https://other.example:{server.port}/", tmp_path / "other", limits)
        untrusting = limits_for(server, names)
        with pytest.raises(FetchFailed):
            fetch(f"https://files.example:{server.port}/", tmp_path / "other", untrusting)
    assert (tmp_path / "got").read_bytes() == b"safe"
    assert asked == ["files.example", "other.example", "files.example"]


def test_the_resolver_of_the_machine_is_asked_for_every_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def getaddrinfo(host: str, port: int, *_: Any) -> list[Any]:
        found = ["1.1.1.1", "2606:4700::1111", "1.1.1.1"]
        return [(0, 0, 0, "", (each, port)) for each in found]

    monkeypatch.setattr(url_fetch, "getaddrinfo", getaddrinfo)
    assert [str(each) for each in url_fetch.resolved("one.example", 80)] == [
        "1.1.1.1",
        "2606:4700::1111",
    ]
