"""Which addresses lie outside: reachable by anybody, and nobody's inner network."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

# The lists are our own, by IANA's registries of special addresses: what Python calls global changed between releases.
_SPECIAL_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network, the unspecified address among it
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carriers' NAT
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # a cloud's own door to its machines, though it looks public
        "169.254.0.0/16",  # link-local: clouds' metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.52.193.0/24",  # multicast tunnels
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast among it
    )
)
# All ordinary IPv6 addresses lie in one block. Outside it are loopback, the unspecified, private, link-local and multicast
# ones, and those that wrap an IPv4 address: mapped, compatible, NAT64.
_GLOBAL_V6 = IPv6Network("2000::/3")
_SPECIAL_V6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3ffe::/16",  # a test network that was given back
        "3fff::/20",  # documentation
    )
)


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """The address that a text spells in the plain way; None for anything else."""
    try:
        return ip_address(text)
    except ValueError:
        return None


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address belongs to the open internet, without a wrapping that hides another one."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _SPECIAL_V4)
    if address.scope_id is not None or address not in _GLOBAL_V6:
        return False
    return not any(address in network for network in _SPECIAL_V6)


def is_loopback(host: str) -> bool:
    """Whether a host is this very machine, by the names and addresses that are plainly loopback."""
    address = parse_address(host.strip("[]"))
    return host.lower() == "localhost" if address is None else address.is_loopback
