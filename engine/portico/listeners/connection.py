"""One peer of a stream listener: frames up, answers down in the order of the frames (M4).

Reading stops while too many answers are owed, while the listener holds, and while the peer
does not take its answers: what one connection can keep in memory is bounded.
"""

from collections import deque
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Protocol

from msgspec.structs import replace
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol as StreamProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from portico.errors import WireError
from portico.events.emit import Event
from portico.events.intake import AnswerUnsendable, FrameRefused, NoiseDiscarded
from portico.listeners.contract import Receive
from portico.listeners.framing import Framing
from portico.model.receipt import Receipt
from portico.sockets import outlet

LOOK_AHEAD = 64  # frames of one connection that may wait for their answers
_NOTHING: Mapping[str, Any] = MappingProxyType({})
BARE_END_WAIT = 0.5  # seconds of silence that make an end mark of half an end mark


class ConnectionOwner(Protocol):
    """What a connection needs of its listener."""

    channel: str
    framing: Framing
    receive: Receive
    now: float  # seconds, counted in sweeps
    held: bool

    def opened(self, connection: "Connection") -> None:
        """The connection is up."""
        ...

    def ripe(self, connection: "Connection") -> None:
        """Its next answer is ready: call its flush() soon, once."""
        ...

    def gone(self, connection: "Connection") -> None:
        """The connection is down."""
        ...

    def later(self, seconds: float, call: Callable[[], None]) -> Any:
        """Twisted's callLater."""
        ...

    def time_ns(self) -> int:
        """Wall clock."""
        ...

    def emit(self, event: Event) -> None:
        """Say what happened."""
        ...


class Arrived:
    """An Arrival that is also its place in the connection's queue of answers."""

    __slots__ = (
        "_connection",
        "about",
        "connection",
        "content",
        "file",
        "peer",
        "receipt",
        "received",
        "told",
    )

    def __init__(self, connection: "Connection", content: bytes, received: int) -> None:
        self._connection = connection
        self.content = content
        self.received = received
        self.peer = connection.peer
        self.about = connection.about
        self.connection = connection.number
        self.file = ""
        self.receipt: Receipt | None = None
        self.told = False  # its first answer has been written

    def answer(self, receipt: Receipt) -> None:
        """Tell the sender, once all before it are told; harmless when it has gone."""
        self.receipt = receipt
        owed = self._connection.owed
        if owed and owed[0] is self:
            self._connection.owner.ripe(self._connection)

    def say(self, receipt: Receipt) -> None:
        """The answer of the second phase, now, or right after a first that still waits."""
        first = self.receipt
        if self.told or first is None:
            self._connection.say(receipt)
        else:
            self.receipt = replace(receipt, replies=first.replies + receipt.replies)


@implementer(IHalfCloseableProtocol)
class Connection(StreamProtocol):
    """One connected peer. `closing` is empty, or the word for why it will be closed. about:
    what the envelope holds of it beyond its address: the `user` of its certificate.
    """

    transport: Any

    def __init__(self, owner: ConnectionOwner, number: int, peer: str) -> None:
        self.owner = owner
        self.number = number
        self.peer = peer
        self.about: Mapping[str, Any] = _NOTHING
        self.decoder = owner.framing.decoder()
        self.owed: deque[Arrived] = deque()
        self.closing = ""
        self.gone = False  # nothing more can be told
        self.heard = False  # it has brought a message
        self.reading = True
        self.promised = 0  # second answers that are still to come
        self.touched = owner.now
        self._waiting: deque[bytes] = deque()  # frames read, not yet handed up
        self._bare: Any = None  # the pending call of _settle

    def connectionMade(self) -> None:
        """Twisted: the peer is connected."""
        self._outlet = outlet(self.transport, self.pace)
        if user := getattr(self.transport, "user", ""):
            self.about = {"user": user}
        self.owner.opened(self)
        self.pace()

    def dataReceived(self, data: bytes) -> None:
        """Twisted: one read."""
        if self.closing:
            return
        decoder = self.decoder
        self.touched = self.owner.now
        if self._bare is not None:
            self._bare.cancel()
            self._bare = None
        contents = decoder.feed(data)
        if contents:
            self._waiting.extend(contents)
            self._offer()
        if decoder.discarded:
            self.owner.emit(NoiseDiscarded(self.owner.channel, self.peer, decoder.discarded))
            decoder.discarded = 0
        if decoder.fault is not None:
            self.refuse(decoder.fault.code, str(decoder.fault))
        elif decoder.ends_bare:
            self._bare = self.owner.later(BARE_END_WAIT, self._settle)
        if self.owner.held:
            self.pace()

    def refuse(self, code: str, text: str) -> None:
        """Read no more; close once what came before is answered."""
        self.owner.emit(FrameRefused(self.owner.channel, self.peer, code, text))
        self.finish("timeout" if code == "timeout" else "broken")

    def finish(self, why: str) -> None:
        """Read no more; close once every answer that is owed has left."""
        self.closing = self.closing or why
        self.pace()
        self._close_when_told()

    def flush(self) -> None:
        """Write every answer whose turn has come, in one write."""
        owed, pieces, told = self.owed, [], False
        closing = self.owner.framing.closing
        while owed and (receipt := owed[0].receipt) is not None and not told:
            owed.popleft().told = True
            told = receipt.close or (not receipt.replies and receipt.told in closing)
            self.promised += receipt.more
            try:
                pieces.append(self.owner.framing.answer(receipt))
            except WireError as error:
                told = True
                self._cannot_say(error)
        if answers := b"".join(pieces):
            self._outlet.write(answers)
        if told:
            self._end("told")
        elif self._waiting:
            self._offer()
        if not self.reading or self._outlet.pulling:
            self.pace()
            self._close_when_told()

    def say(self, receipt: Receipt) -> None:
        """Write a further answer at once, if there still is somebody to hear it."""
        self.promised -= 1
        if self.gone:
            return
        try:
            if more := self.owner.framing.more(receipt):
                self._outlet.write(more)
        except WireError as error:
            self._cannot_say(error)
            self._end("told")
            return
        if receipt.close:
            self._end("told")
        else:
            self._close_when_told()

    def pace(self) -> None:
        """Read when and only when there is room for what comes."""
        wanted = not (
            self.closing
            or self.owner.held
            or self._outlet.pulling
            or self._waiting
            or len(self.owed) >= LOOK_AHEAD
        )
        if wanted == self.reading:
            return
        self.reading = wanted
        self.touched = self.owner.now
        if wanted:
            self.transport.resumeProducing()
        else:
            self.transport.pauseProducing()

    def release(self) -> None:
        """The listener holds no more: go on with what was read, then read."""
        self._offer()
        self.pace()

    def silent_for(self, seconds: float) -> bool:
        """No byte for at least that long, as far as sweeps can tell."""
        return self.owner.now - self.touched >= seconds

    def expire(self) -> None:
        """Silent for too long: close, unless it is we who do not read."""
        if self._outlet.pulling:
            self.abort("idle")
        elif self.reading:
            self.finish("idle")

    def abort(self, why: str) -> None:
        """Close now; bytes not yet written are dropped."""
        self.closing = why
        self.gone = True
        self.owed.clear()
        self._waiting.clear()
        self.transport.abortConnection()

    def readConnectionLost(self) -> None:
        """Twisted: the peer sends no more, and may still listen (`nc -N`)."""
        self._waiting.extend(self.decoder.settle())
        self._offer()
        self.finish("peer")

    def writeConnectionLost(self) -> None:
        """Twisted: our half is closed; only we close it."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Twisted: it is over. Answers that come later reach nobody."""
        self.closing = self.closing or "peer"
        self.gone = True
        self.owed.clear()
        self._waiting.clear()
        if self._bare is not None:
            self._bare.cancel()
            self._bare = None
        self.owner.gone(self)

    def _offer(self) -> None:
        """Hand frames up while there is room for their answers."""
        waiting, owed, owner = self._waiting, self.owed, self.owner
        if waiting:
            self.heard = True
            received = owner.time_ns()
            while waiting and len(owed) < LOOK_AHEAD and not owner.held:
                arrived = Arrived(self, waiting.popleft(), received)
                owed.append(arrived)
                owner.receive(arrived)
            if len(owed) >= LOOK_AHEAD or waiting:
                self.pace()

    def _settle(self) -> None:
        self._bare = None
        self._waiting.extend(self.decoder.settle())
        self._offer()

    def _cannot_say(self, error: WireError) -> None:
        owner = self.owner
        owner.emit(AnswerUnsendable(owner.channel, self.peer, error.code, str(error)))

    def _close_when_told(self) -> None:
        if self.closing and not (self.owed or self._waiting or self.promised):
            self._end(self.closing)

    def _end(self, why: str) -> None:
        self.closing = self.closing or why
        self.gone = True
        self.owed.clear()
        self._waiting.clear()
        self.transport.loseConnection()
