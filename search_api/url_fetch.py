"""Fetching a file from a URL that somebody sent, without being led where they cannot go themselves.

A host is resolved once, in the moment of connecting; every address it has must be public, and the
connection goes to one of those very addresses under the host's name. Each redirect begins anew.
Proxies that the environment names are not used: they would resolve the host a second time.
"""

from __future__ import annotations

import queue
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from socket import AF_UNSPEC, SOCK_STREAM, getaddrinfo

import httpcore
import structlog

from encoders.errors import KindredError
from search_api.errors import UploadTooLarge
from search_api.public_addresses import IpAddress, is_public
from search_api.web_address import UrlRefused, WebAddress, read_url, redirected

MAX_REDIRECTS = 5
MAX_ADDRESSES = 4
"""Addresses of a host that are tried, one after the other."""

REDIRECTS = frozenset({301, 302, 303, 307, 308})
USER_AGENT = b"kindred"

log = structlog.get_logger("kindred.fetch")


class FetchFailed(KindredError):
    """A URL whose file could not be had."""

    code = "fetch_failed"


def resolved(host: str, port: int) -> list[IpAddress]:
    """Return the addresses of a host.

    Raises:
        OSError: it has none.
    """
    found = getaddrinfo(host, port, AF_UNSPEC, SOCK_STREAM)
    return list(dict.fromkeys(ip_address(each[4][0]) for each in found))


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """What may be fetched, and how much it may cost."""

    max_bytes: int
    max_seconds: float
    """For everything: resolving, redirects, and the last byte."""

    ports: frozenset[int] = frozenset({80, 443})

    allows: Callable[[IpAddress], bool] = is_public
    """Tells which addresses may be connected to."""

    resolve: Callable[[str, int], Sequence[IpAddress]] = resolved
    make_ssl_context: Callable[[], ssl.SSLContext] = httpcore.default_ssl_context


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that was fetched."""

    address: WebAddress
    """Where it lay in the end, after redirects."""

    size_bytes: int


def fetch(url: str, path: Path, limits: FetchLimits) -> Fetched:
    """Write what lies at a URL into a new file; blocks for at most ``limits.max_seconds``.

    What the answer says of its type is not looked at.

    Args:
        url: as somebody sent it.
        path: where the file goes; its folder is there. Left half-written on failure.
        limits: what may be fetched.

    Raises:
        UrlRefused: the URL, or what it redirects to, is not fetched from here.
        UploadTooLarge: the file is larger than is taken.
        FetchFailed: it cannot be had now.
    """
    deadline = time.monotonic() + limits.max_seconds
    address = read_url(url, limits.ports)
    for _ in range(MAX_REDIRECTS + 1):
        with _answer(address, limits, deadline) as answer:
            headers = {name.lower(): value for name, value in answer.headers}
            if answer.status in REDIRECTS and b"location" in headers:
                location = headers[b"location"].decode("utf-8", "replace")
                address = redirected(address, location, limits.ports)
                continue
            if answer.status != 200:
                raise FetchFailed(f"{address.shown} answered {answer.status}", status=answer.status)
            return Fetched(address, _saved(answer, headers, path, address, limits))
    raise FetchFailed(f"{address.shown}: more than {MAX_REDIRECTS} redirects")


@contextmanager
def _answer(
    address: WebAddress, limits: FetchLimits, deadline: float
) -> Iterator[httpcore.Response]:
    """Ask for a URL and yield the answer, whose body is still to be read."""
    headers = [
        (b"Host", address.authority.encode()),
        (b"User-Agent", USER_AGENT),
        (b"Accept", b"*/*"),
        # What is compressed would have to be unpacked before its size is known.
        (b"Accept-Encoding", b"identity"),
        (b"Connection", b"close"),
    ]
    url = httpcore.URL(
        scheme=address.scheme.encode(),
        host=address.host.encode(),
        port=address.port,
        target=address.target.encode(),
    )
    seconds = {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), limits.max_seconds)}
    with httpcore.ConnectionPool(
        ssl_context=limits.make_ssl_context() if address.scheme == "https" else None,
        max_connections=1,
        network_backend=_PinnedNetwork(limits, deadline),
    ) as pool:
        try:
            with pool.stream("GET", url, headers=headers, extensions=seconds) as answer:
                yield answer
        except httpcore.TimeoutException as error:
            raise FetchFailed(
                f"{address.shown} took longer than {limits.max_seconds:g} s",
                max_seconds=limits.max_seconds,
            ) from error
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            log.info("fetch failed", url=address.shown, error=f"{type(error).__name__}: {error}")
            raise FetchFailed(f"{address.shown} could not be read") from error


def _saved(
    answer: httpcore.Response,
    headers: dict[bytes, bytes],
    path: Path,
    address: WebAddress,
    limits: FetchLimits,
) -> int:
    """Write the body of an answer and return its size."""
    encoding = headers.get(b"content-encoding", b"identity").strip().lower()
    if encoding not in (b"", b"identity"):
        raise FetchFailed(f"{address.shown} sends its file compressed, which was not asked for")
    announced = headers.get(b"content-length", b"")
    if announced.isdigit() and int(announced) > limits.max_bytes:
        raise _too_large(address, limits)
    size_bytes = 0
    with path.open("xb") as file:
        for chunk in answer.iter_stream():
            size_bytes += len(chunk)
            if size_bytes > limits.max_bytes:
                raise _too_large(address, limits)
            file.write(chunk)
    return size_bytes


def _too_large(address: WebAddress, limits: FetchLimits) -> UploadTooLarge:
    return UploadTooLarge(
        f"{address.shown}: the file is larger than the {limits.max_bytes} bytes that are taken",
        max_bytes=limits.max_bytes,
    )


class _PinnedNetwork(httpcore.NetworkBackend):
    """Connects to addresses that were checked, and to nothing else."""

    def __init__(self, limits: FetchLimits, deadline: float) -> None:
        self._limits = limits
        self._deadline = deadline
        self._network = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception | None = None
        for address in self._checked(host, port)[:MAX_ADDRESSES]:
            try:
                # An address and no name: nothing is resolved any more.
                stream = self._network.connect_tcp(
                    str(address), port, _seconds_until(self._deadline), None, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _TimedStream(stream, self._deadline)
        raise failure or httpcore.ConnectError("the host has no address")

    def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        raise httpcore.ConnectError("no sockets of this machine are opened")

    def _checked(self, host: str, port: int) -> Sequence[IpAddress]:
        """Resolve a host once; refuse it unless every address it has is allowed."""
        addresses = _resolved_in_time(
            lambda: self._limits.resolve(host, port), _seconds_until(self._deadline)
        )
        refused = [str(address) for address in addresses if not self._limits.allows(address)]
        if refused:
            # For the log alone: whoever asks is not told how names are resolved in here.
            log.warning("refused to fetch", host=host, addresses=refused)
            raise UrlRefused(f"the host {host} is not one of the public internet", host=host)
        return addresses


class _TimedStream(httpcore.NetworkStream):
    """A connection that ends at a moment, however little the other side sends at a time."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _seconds_until(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _seconds_until(self._deadline))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        seconds = _seconds_until(self._deadline)
        return _TimedStream(
            self._stream.start_tls(ssl_context, server_hostname, seconds), self._deadline
        )

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)


def _seconds_until(deadline: float) -> float:
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise httpcore.ReadTimeout("no time is left")
    return seconds


def _resolved_in_time(
    resolve: Callable[[], Sequence[IpAddress]], seconds: float
) -> Sequence[IpAddress]:
    """Resolve a host in a thread that is left alone when it takes too long: it cannot be ended."""
    answers: queue.SimpleQueue[Sequence[IpAddress] | Exception] = queue.SimpleQueue()

    def work() -> None:
        try:
            answers.put(resolve())
        except (OSError, ValueError) as error:
            answers.put(error)

    threading.Thread(target=work, name="resolve", daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise httpcore.ConnectTimeout("resolving the host takes too long") from None
    if isinstance(answer, Exception):
        raise httpcore.ConnectError("the host is not known") from answer
    return answer
