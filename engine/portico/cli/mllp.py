"""A plain MLLP client for one connection: send a message, wait for its answers."""

import socket

from portico.cli import exits
from portico.cli.exits import Ended
from portico.errors import MessageError
from portico.hl7 import ack, header
from portico.hl7.ack import Outcome
from portico.spec.fields import HostPort
from portico.wire import mllp
from portico.wire.mllp import MllpDecoder

_LIMIT = 16 << 20
_READ = 64 << 10


class Client:
    """One connection. Raises Ended with what is in the way; a late answer closes it (M5)."""

    def __init__(self, to: HostPort, timeout: float) -> None:
        self._to, self._timeout = to, timeout
        self._decoder = MllpDecoder(_LIMIT)
        self._frames: list[bytes] = []
        try:
            self._socket = socket.create_connection(to, timeout)
        except OSError as error:
            raise Ended(exits.UNREACHABLE, f"{to}: {error.strerror or error}") from error

    def exchange(self, content: bytes) -> list[bytes]:
        """The answers to a message: none, one, or two in enhanced mode (HL7 2.9.3)."""
        self._frames.clear()
        try:
            self._socket.sendall(mllp.START + content + mllp.END)
            return [self._answer() for _ in range(_answers_due(content))]
        except TimeoutError:
            raise Ended(
                exits.UNREACHABLE, f"{self._to}: no answer within {self._timeout:g} s"
            ) from None
        except OSError as error:
            text = f"{self._to}: {error.strerror or error}"
            raise Ended(exits.UNREACHABLE, text) from error

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _answer(self) -> bytes:
        while not self._frames:
            data = self._socket.recv(_READ)
            if not data:
                self._frames += self._decoder.settle()
                if not self._frames:
                    text = f"{self._to} closed the connection without an answer"
                    raise Ended(exits.UNREACHABLE, text)
            self._frames += self._decoder.feed(data)
            if self._decoder.fault is not None:
                raise Ended(exits.UNREACHABLE, f"{self._to}: {self._decoder.fault}")
        return self._frames.pop(0)


def _answers_due(content: bytes) -> int:
    """How many answers the message itself asks for when all goes well; at least one is read
    unless it wants silence, and one that cannot be read is owed one all the same."""
    try:
        wanted = ack.decide(header.read(content), "auto", Outcome.SUCCESS)
    except MessageError:
        return 1
    return sum(code is not None for code in wanted)
