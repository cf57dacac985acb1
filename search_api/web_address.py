"""URLs that may be fetched, read strictly: what two programs could read differently is refused."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote, unquote, urljoin, urlsplit

from encoders.errors import KindredError

MAX_URL_CHARS = 2_000
DEFAULT_PORTS = {"http": 80, "https": 443}

_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*")
# A host that ends like a number is one, says WHATWG; so do C libraries: 0x7f.1 is 127.0.0.1.
_NUMBER_AT_THE_END = re.compile(r"(^|\.)(0x[0-9a-f]*|[0-9]+)$")
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f-\xa0\\]")
# Everything that may stand in a path or a query as it is, and the sign of what is escaped already.
_KEPT_CHARS = "/%:@!$&'()*+,;=~-._?"


class UrlRefused(KindredError):
    """A URL that is not fetched, whatever lies there."""

    code = "url_refused"


@dataclass(frozen=True, slots=True)
class WebAddress:
    """A URL in its parts."""

    scheme: str
    """``http`` or ``https``."""

    host: str
    """A name in lower case, or a whole IP address without brackets."""

    port: int

    target: str
    """Path and query, percent-encoded."""

    @property
    def authority(self) -> str:
        """Host, and port unless it is the scheme's own: what the header ``Host`` says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def whole(self) -> str:
        """The URL."""
        return f"{self.scheme}://{self.authority}{self.target}"

    @property
    def shown(self) -> str:
        """The URL without its query, which may be a key: for logs, errors and the catalog."""
        return self.whole.partition("?")[0]

    @property
    def file_name(self) -> str:
        """The last part of the path; empty if there is none."""
        return PurePosixPath(unquote(self.target.partition("?")[0], errors="replace")).name


def read_url(url: str, ports: Collection[int]) -> WebAddress:
    """Read a URL.

    Args:
        url: as somebody sent it.
        ports: those that may be asked.

    Raises:
        UrlRefused: saying which part is refused, without repeating what may be secret.
    """
    if len(url) > MAX_URL_CHARS:
        raise UrlRefused(f"the URL has {len(url)} characters; at most {MAX_URL_CHARS} are taken")
    if _UNPRINTABLE.search(url):
        raise _refused("holds a space, a backslash or a control character")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _refused("is not well formed") from error
    scheme = parts.scheme.lower()
    if scheme not in DEFAULT_PORTS:
        raise _refused("is neither http nor https", expected=sorted(DEFAULT_PORTS), got=scheme)
    if "@" in parts.netloc:
        raise _refused("names a user or password; none is sent")
    host = _host(parts.netloc)
    port = DEFAULT_PORTS[scheme] if port is None else port
    if port not in ports:
        raise _refused(f"asks port {port}", expected=sorted(ports), got=port)
    path = quote(parts.path or "/", safe=_KEPT_CHARS.replace("?", ""))
    query = f"?{quote(parts.query, safe=_KEPT_CHARS)}" if parts.query else ""
    return WebAddress(scheme, host, port, path + query)


def redirected(address: WebAddress, location: str, ports: Collection[int]) -> WebAddress:
    """Return where an answer sends us, read as strictly as the first URL.

    Raises:
        UrlRefused: it may not be fetched, or would be fetched without encryption now.
    """
    if _UNPRINTABLE.search(location):
        raise _refused("leads to one with a space, a backslash or a control character")
    try:
        joined = urljoin(address.whole, location)
    except ValueError as error:
        raise _refused("leads to something that is not a URL") from error
    target = read_url(joined, ports)
    if (address.scheme, target.scheme) == ("https", "http"):
        raise _refused("leads from https to http")
    return target


def _host(netloc: str) -> str:
    """Return the host of ``host[:port]`` or ``[address][:port]``."""
    if not netloc.isascii():  # "\N{KELVIN SIGN}" in lower case is a "k"
        raise _bad_host()
    if netloc.startswith("["):
        text, closed, rest = netloc[1:].partition("]")
        # "%" would name a network interface.
        if not closed or "%" in text or rest[:1] not in ("", ":"):
            raise _bad_host()
        try:
            return str(IPv6Address(text))
        except AddressValueError:
            raise _bad_host() from None
    host = netloc.partition(":")[0].lower()
    if _NUMBER_AT_THE_END.search(host):
        try:
            return str(IPv4Address(host))
        except AddressValueError:
            raise _bad_host() from None
    if len(host) > 253 or _NAME.fullmatch(host) is None:
        raise _bad_host()
    return host


def _bad_host() -> UrlRefused:
    return _refused(
        "has no host that is taken: a name in ASCII (write others in punycode) without a dot at "
        "the end, four decimal numbers, or an IPv6 address in brackets"
    )


def _refused(what: str, **detail: Any) -> UrlRefused:
    return UrlRefused(f"the URL {what}", **detail)
