"""Who may connect, and how many: decided from values, before a byte is read.

A refused peer is closed at once, so that it sees a connection which opens and ends (M7).
"""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from portico.spec.fields import ONE_OR_MANY

Network = IPv4Network | IPv6Network

NOT_ALLOWED = "not_allowed"
TOO_MANY = "too_many"

# Loopback and the private networks of RFC 1918 and RFC 4193.
NEAR: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "::1/128",
        "fc00::/7",
    )
)
ANY: tuple[Network, ...] = (ip_network("0.0.0.0/0"), ip_network("::/0"))

ANYBODY: tuple[Network, ...] = (ip_network("0.0.0.0/0"), ip_network("::/0"))


def network(text: str) -> Network:
    """`10.1.0.0/16`, `192.0.2.7`, `fd00::/8`. Raises ValueError with what would be right."""
    try:
        return ip_network(text)
    except ValueError:
        pass
    try:
        near = str(ip_network(text, strict=False))
    except ValueError:
        near = "10.1.0.0/16"
    raise ValueError(f"{text!r} is not a network; try {near!r}")


def _network(value: Any) -> Any:
    return network(value) if isinstance(value, str) else value


Networks = Annotated[
    tuple[
        Annotated[
            Network,
            BeforeValidator(_network),
            WithJsonSchema({"type": "string", "examples": ["10.1.0.0/16"]}),
        ],
        ...,
    ],
    ONE_OR_MANY,
]


def admitted(options: Any) -> Networks:
    """Who may connect by these options: as `allow` says; by default those that are near, and
    anybody where `tls` requires a certificate of them.
    """
    proven = options.tls is not None and options.tls.clients == "required"
    by_default = "allow" not in options.model_fields_set
    allow: Networks = ANYBODY if proven and by_default else options.allow
    return allow


@dataclass(frozen=True, slots=True)
class Gate:
    """allow: networks that may connect; connections: the most at a time."""

    allow: tuple[Network, ...]
    connections: int

    def refusal(self, host: str, connected: int) -> str | None:
        """Why this peer may not connect, or None. connected: how many are in."""
        if not self._allowed(host):
            return NOT_ALLOWED
        return TOO_MANY if connected >= self.connections else None

    def _allowed(self, host: str) -> bool:
        address = ip_address(host)
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return any(address in net for net in self.allow)


def is_ip(text: str) -> bool:
    """Whether it is an address as it stands, not a name to look up."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
