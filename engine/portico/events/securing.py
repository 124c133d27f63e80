"""What TLS says: handshakes that failed, certificates that changed; no word of a peer's."""

from dataclasses import dataclass
from typing import ClassVar

from portico.events.emit import Event


@dataclass(frozen=True, slots=True)
class HandshakeFailed(Event):
    """A peer of a source did not get in (node authentication failed, ATNA). channel: empty for
    the API; code: `no_certificate untrusted expired wrong_name wrong_pin`, or `not_tls
    old_version no_suite refused timeout closed broken`; text says it in a sentence.
    """

    level: ClassVar[str] = "warning"
    labels: ClassVar[tuple[str, ...]] = ("channel", "code")

    channel: str
    peer: str
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class CertificateReloaded(Event):
    """The files of a `tls:` changed: new handshakes use them. expires: the certificate's
    last day, empty where we show none.
    """

    name: str
    expires: str


@dataclass(frozen=True, slots=True)
class CertificateKept(Event):
    """The files of a `tls:` changed and cannot be used: those that were read before stay in
    force. text: why.
    """

    level: ClassVar[str] = "error"

    name: str
    text: str
