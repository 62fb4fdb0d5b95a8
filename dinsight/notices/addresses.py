"""Which addresses a webhook may lead to: public ones, and the networks that a setting names.

A user's URL must not let the server reach what only the server can: itself, its neighbours, a
cloud's metadata service. What is judged is the address that is then connected to, never the name:
a name may lead elsewhere a moment later (DNS rebinding), and 0177.1 or 2130706433 are names of
127.0.0.1 as well.
"""

from __future__ import annotations

import ipaddress
import queue
import socket
import threading
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from dinsight.notices.attempt import Undelivered

Address = IPv4Address | IPv6Address
Networks = tuple[IPv4Network | IPv6Network, ...]
# Host and port, and within how many seconds; gives addresses, raises OSError.
Resolver = Callable[[str, int, float], Sequence[str]]

NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address, by way of a translator
# Global by the letter of the registries, yet they lead to other addresses or to nowhere.
REFUSED: Networks = (
    IPv4Network("192.88.99.0/24"),  # relays of 6to4
    IPv6Network("::/96"),  # IPv4-compatible, given up
    IPv6Network("64:ff9b:1::/48"),  # translators of a site
    IPv6Network("2001::/32"),  # Teredo
    IPv6Network("2002::/16"),  # 6to4
    IPv6Network("3fff::/20"),  # documentation
    IPv6Network("5f00::/16"),  # segment routing
    IPv6Network("fec0::/10"),  # site-local, given up
)
LOW_32 = 0xFFFFFFFF


def parse_networks(text: str) -> Networks:
    """Networks with commas between them, such as `10.0.0.0/8, fd00::/8`; raises ValueError."""
    return tuple(ipaddress.ip_network(each.strip()) for each in text.split(",") if each.strip())


def meant(address: Address) -> Address:
    """The address that packets reach in the end: an IPv4 address may be wrapped in an IPv6 one.

    >>> meant(ipaddress.ip_address("::ffff:10.0.0.1")), meant(IPv6Address("64:ff9b::7f00:1"))
    (IPv4Address('10.0.0.1'), IPv4Address('127.0.0.1'))
    """
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in NAT64:
            return IPv4Address(int(address) & LOW_32)
    return address


def permitted(text: str, networks: Networks = ()) -> bool:
    """Whether a webhook may be connected to this address.

    >>> permitted("93.184.215.14"), permitted("127.0.0.1"), permitted("fe80::1%eth0")
    (True, False, False)
    >>> permitted("10.1.2.3", parse_networks("10.0.0.0/8"))
    True
    """
    address = meant(ipaddress.ip_address(text))
    if any(address in network for network in networks):
        return True
    if address.is_multicast or address.is_reserved or any(address in each for each in REFUSED):
        return False
    return address.is_global


def look_up(host: str, port: int, seconds: float) -> list[str]:
    """All addresses of a host, by the system's resolver, which knows no limit of its own."""
    answer: queue.SimpleQueue[list[str] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answer.put([str(each[4][0]) for each in found])
        except (OSError, UnicodeError) as error:
            answer.put(error if isinstance(error, OSError) else OSError(str(error)))

    threading.Thread(target=ask, name="resolve", daemon=True).start()
    try:
        found = answer.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError("the name could not be resolved in time") from None
    if isinstance(found, OSError):
        raise found
    return found


def find(
    host: str, port: int, networks: Networks, seconds: float, resolve: Resolver = look_up
) -> list[str]:
    """The addresses of a host, each once, all of them permitted.

    Raises Undelivered where there is none, or one that is refused.
    """
    try:
        found = list(dict.fromkeys(resolve(host, port, seconds)))
    except OSError as error:
        raise Undelivered(f"{host} has no address: {error.strerror or error}.") from error
    for address in found:
        if not permitted(address, networks):
            raise Undelivered(refusal(host, address), again=False)
    if not found:
        raise Undelivered(f"{host} has no address.")
    return found


def refusal(host: str, address: str) -> str:
    leads = f"{host} leads to {address}, " if host.strip("[]") != address else f"{address} is "
    return f"{leads}which is not a public address: DINSIGHT_WEBHOOK_NETWORKS can allow its network."
