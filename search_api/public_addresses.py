"""Which network addresses belong to the public internet.

From the special-purpose address registries of IANA (RFC 6890 and its updates), written out since
what the standard library calls global has changed between releases of Python. Whatever carries an
IPv4 address inside an IPv6 one is refused, whichever it carries: a gateway would unwrap it.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TypeAlias

IpAddress: TypeAlias = IPv4Address | IPv6Address

_NOT_PUBLIC_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network; 0.0.0.0 reaches this machine
        "10.0.0.0/8",
        "100.64.0.0/10",  # behind a provider's address translation, and some clouds' metadata
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's agent, inside its machines
        "169.254.0.0/16",  # link-local, and most clouds' metadata
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",  # relays from IPv4 to 6to4
        "192.168.0.0/16",
        "198.18.0.0/15",  # measuring networks
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)

# Everything else is loopback, mapped (::ffff:0:0/96), compatible (::/96), NAT64 (64:ff9b::/96 and
# 64:ff9b:1::/48), unique local, link-local, site-local, multicast, or not given out.
_GIVEN_OUT_V6 = IPv6Network("2000::/3")
_NOT_PUBLIC_V6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocols, Teredo (2001::/32) among them
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
    )
)
_ISATAP = frozenset({0x0000_5EFE, 0x0200_5EFE, 0x0100_5EFE, 0x0300_5EFE})
"""What stands before the IPv4 address in the lower half of an ISATAP address (RFC 5214)."""


def is_public(address: IpAddress) -> bool:
    """Tell whether an address is one of the public internet, of one machine."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_V4)
    return (
        address.scope_id is None
        and address in _GIVEN_OUT_V6
        and not any(address in network for network in _NOT_PUBLIC_V6)
        and (int(address) >> 32) & 0xFFFF_FFFF not in _ISATAP
    )
