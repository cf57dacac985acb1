"""URLs are read strictly, and only public addresses count as public."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from search_api.public_addresses import is_public
from search_api.web_address import UrlRefused, read_url, redirected

PORTS = {80, 443}

REFUSED = [
    # other schemes, and none
    "file:///etc/passwd", "ftp://example.com/a", "gopher://example.com/", "data:text/plain,a",
    "javascript:alert(1)", "dict://example.com:11211/", "//example.com/a", "example.com/a", "",
    "http:example.com", "http:///example.com/a", "http://", "https://?a", "jar:http://example.com",
    # numbers that libraries read as addresses
    "http://2130706433/", "http://0x7f000001/", "http://0x7f.0.0.1/", "http://017700000001/",
    "http://0177.0.0.1/", "http://127.1/", "http://127.0.1/", "http://0/", "http://00000000/",
    "http://127.0.0.01/", "http://127.0.0.1.2/", "http://256.0.0.1/", "http://example.0x1/",
    "http://169.254.43518/", "http://3232235521/", "http://1.2.3.4a.5/",
    # users, passwords and what looks like them
    "http://user@example.com/", "http://user:secret@example.com/", "http://example.com@127.0.0.1/",
    "http://127.0.0.1@example.com/", "http://@example.com/",
    "http://example.com:80@127.0.0.1/",
    # dots, escapes and letters that others normalise
    "http://localhost./", "http://example.com./", "http://example..com/", "http://.example.com/",
    "http://127\u30020\u30020\u30021/", "http://127\uff0e0\uff0e0\uff0e1/",
    "http://\uff4c\uff4f\uff43\uff41\uff4c\uff48\uff4f\uff53\uff54/",
    "http://\u2460\u2461\u2466.0.0.1/", "http://exam\u212aple.com/", "http://m\u00fcnchen.example/",
    "http://%31%32%37.0.0.1/", "http://127.0.0.1%00.example.com/", "http://example.com%2f@a/",
    # spaces, backslashes, control characters
    "http://example.com\\@127.0.0.1/", "http:\\\\127.0.0.1\\a", "http://example.com\\.evil.com/",
    " http://example.com/", "http://exa mple.com/", "http://example.com/a\r\nHost: b",
    "http://exa\tmple.com/", "http://example.com\x00.evil.com/", "http://example.com/a b",
    # IPv6 that is not whole
    "http://[::1/", "http://::1/", "http://[::1%25eth0]/", "http://[fe80::1%eth0]/",
    "http://[::1].example.com/", "http://[127.0.0.1]/", "http://[::ffff:127.0.0.1.1]/",
    "http://[v1.a]/", "http://[]/",
    # ports
    "http://example.com:22/", "http://example.com:6379/", "http://example.com:0/",
    "http://example.com:65536/", "http://example.com:-80/", "http://example.com:80:80/",
    "http://example.com:\uff18\uff10/", "https://example.com:8443/", "http://example.com:http/",
    # too long
    "http://example.com/" + "a" * 2_000, "http://" + "a" * 64 + ".com/",
    "http://" + ".".join(["a" * 60] * 5) + "/",
]  # fmt: skip

NOT_PUBLIC = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.0.9",
    "168.63.129.16", "169.254.169.254", "169.254.0.1", "172.16.0.1", "172.31.255.255",
    "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.19.255.255",
    "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.2.3", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:127.0.0.1",
    "64:ff9b::127.0.0.1", "64:ff9b::808:808", "64:ff9b:1::1", "100::1", "2001::1",
    "2001:0:7f00:1::", "2001:20::1", "2001:db8::1", "2002:7f00:1::1", "2002:808:808::", "3fff::1",
    "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1",
    "2a00:1450::5efe:127.0.0.1", "2a00:1450::200:5efe:10.0.0.1", "4000::1", "8000::1",
]  # fmt: skip

PUBLIC = [
    "8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "169.253.0.1", "192.167.0.1", "9.255.0.1",
    "223.255.255.1", "2606:4700:4700::1111", "2a00:1450:4001::200e", "2400:cb00::1",
]  # fmt: skip


@pytest.mark.parametrize("url", REFUSED)
def test_what_can_be_read_in_two_ways_is_refused(url: str) -> None:
    with pytest.raises(UrlRefused) as caught:
        read_url(url, PORTS)
    assert "secret" not in caught.value.message


def test_enough_forms_are_tried() -> None:
    assert len(set(REFUSED)) >= 68


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_addresses_that_are_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("http://Example.COM", ("http", "example.com", 80, "/")),
        ("HTTPS://a-b.example:443/c/d.png?e=f#g", ("https", "a-b.example", 443, "/c/d.png?e=f")),
        ("http://8.8.8.8:80/", ("http", "8.8.8.8", 80, "/")),
        ("http://[2606:4700::0001]/", ("http", "2606:4700::1", 80, "/")),
        ("http://[2606:4700::1]:443/", ("http", "2606:4700::1", 443, "/")),
        ("http://a.example/\u00fc%20b?q=\u00fc", ("http", "a.example", 80, "/%C3%BC%20b?q=%C3%BC")),
        ("http://example.com#@127.0.0.1:22@a/", ("http", "example.com", 80, "/")),
        ("http://example.com:/", ("http", "example.com", 80, "/")),
        ("http://xn--mnchen-3ya.example/", ("http", "xn--mnchen-3ya.example", 80, "/")),
        ("http://127.0.0.1/", ("http", "127.0.0.1", 80, "/")),  # is refused when connecting
    ],
)  # fmt: skip
def test_a_url_is_taken_apart(url: str, parts: tuple[str, str, int, str]) -> None:
    address = read_url(url, PORTS)
    assert (address.scheme, address.host, address.port, address.target) == parts


def test_what_may_be_a_key_is_not_shown() -> None:
    address = read_url("https://example.com:80/a/cat%20one.png?token=secret#secret", PORTS)
    assert address.shown == "https://example.com:80/a/cat%20one.png"
    assert address.whole == "https://example.com:80/a/cat%20one.png?token=secret"
    assert (address.authority, address.file_name) == ("example.com:80", "cat one.png")


def test_redirects_are_read_as_strictly() -> None:
    base = read_url("https://example.com/a/b?c", PORTS)
    assert redirected(base, "../d", PORTS).whole == "https://example.com/d"
    assert redirected(base, "//other.example/e", PORTS).whole == "https://other.example/e"
    for location in ("http://example.com/", "file:///etc/passwd", "//a@b/", "https://0x7f.1/",
                     "https://a.example:22/", "/a\r\nb", "//a\u3002b/", "//[::1"):  # fmt: skip
        with pytest.raises(UrlRefused):
            redirected(base, location, PORTS)
    assert redirected(read_url("http://a.example/", PORTS), "https://a.example/", PORTS)
