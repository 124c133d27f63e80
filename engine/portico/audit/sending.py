"""The line to the repository: blocking, for a thread of its own.

Syslog has no answer. What was written counts as taken once the peer's TCP has acknowledged it
and no alert came back; a line that breaks before gives all of it once more, so the repository
may see a message twice and never too few. UDP gives each message once and knows nothing.
"""

import fcntl
import select
import socket
import ssl
import struct
import termios
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from portico.audit import syslog
from portico.spec.auditing import Repository
from portico.tls import faults
from portico.tls.certificates import Secured

PATIENCE = 10.0  # seconds for each of connecting, the handshake, and one message
_HEARD = 0.5  # seconds in which a server of TLS 1.3 may still refuse our certificate
_PAUSE = 0.01


class Refused(OSError):
    """The repository did not take it. code: a word that never changes."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Line(Protocol):
    """A way to the repository."""

    def send(self, messages: Sequence[bytes]) -> None:
        """Give it these, in order. Raises Refused."""
        ...

    def close(self) -> None:
        """Hang up."""
        ...


def line(to: Repository, secured: Secured | None, patience: float = PATIENCE) -> Line:
    """The line to it. secured: for `tls`."""
    if to.way == "udp":
        return Datagrams(to)
    assert secured is not None
    return Stream(to, secured, patience)


class Datagrams:
    """RFC 5426: a datagram each."""

    def __init__(self, to: Repository) -> None:
        self._to = to

    def send(self, messages: Sequence[bytes]) -> None:
        """Send them. Raises Refused."""
        try:
            found = socket.getaddrinfo(*self._to.where, type=socket.SOCK_DGRAM)
            family, kind, protocol, _, address = found[0]
            with socket.socket(family, kind, protocol) as out:
                for message in messages:
                    out.sendto(message[: syslog.LONGEST_DATAGRAM], address)
        except OSError as error:
            raise Refused(_word(error)) from None

    def close(self) -> None:
        """Nothing stays open."""


class Stream:
    """RFC 5425: one TLS connection, kept open. patience: seconds."""

    def __init__(self, to: Repository, secured: Secured, patience: float) -> None:
        self._to, self._secured, self._patience = to, secured, patience
        self._socket: ssl.SSLSocket | None = None

    def send(self, messages: Sequence[bytes]) -> None:
        """Write them, and wait until the other side has them. Raises Refused."""
        try:
            found = self._open()
            found.settimeout(self._patience)
            for message in messages:
                found.sendall(syslog.framed(message))
            self._settle(found)
            _listen(found)
        except OSError as error:
            self.close()
            raise Refused(_word(error)) from None

    def close(self) -> None:
        """Say goodbye, and wait for none."""
        found, self._socket = self._socket, None
        if found is not None:
            with suppress(OSError):
                found.settimeout(0)
                found.unwrap()
            found.close()

    def _open(self) -> ssl.SSLSocket:
        if self._socket is not None:
            try:
                _listen(self._socket)
            except OSError:
                self.close()
        if self._socket is None:
            self._socket = self._dial()
        return self._socket

    def _dial(self) -> ssl.SSLSocket:
        plain = socket.create_connection(self._to.where, self._patience)
        try:
            host = self._to.where.host
            made = self._secured.context.wrap_socket(plain, server_hostname=host)
        except BaseException:
            plain.close()
            raise
        select.select([made], [], [], _HEARD)
        _listen(made)
        return made

    def _settle(self, found: ssl.SSLSocket) -> None:
        """Until nothing is under way any more."""
        for _ in range(int(self._patience / _PAUSE)):
            if not _unacknowledged(found):
                return
            time.sleep(_PAUSE)
        raise TimeoutError


def _listen(found: ssl.SSLSocket) -> None:
    """Raises OSError when the other side has refused us or hung up; else what it says is for
    TLS alone."""
    found.settimeout(0)
    try:
        while found.recv(1024):
            continue
    except (ssl.SSLWantReadError, BlockingIOError):
        return
    raise ConnectionResetError


def _unacknowledged(found: socket.socket) -> int:
    """Bytes that the kernel still keeps; 0 where it does not say."""
    room = bytearray(struct.calcsize("i"))
    try:
        fcntl.ioctl(found.fileno(), termios.TIOCOUTQ, room)
    except OSError:
        return 0
    return int(struct.unpack("i", room)[0])


def _word(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"tls_{faults.of(error).word}"
    return "no_answer" if isinstance(error, TimeoutError) else "no_connection"
