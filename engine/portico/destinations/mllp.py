"""The MLLP destination: `type: mllp`, `address: HOST:PORT`.

Source: MLLP Releases 1 and 2; PROTOCOLS M5, M6, A11, A12, R2.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from portico.destinations.contract import DestinationType, Done
from portico.destinations.elsewhere import Elsewhere
from portico.destinations.exchange import Exchange, Terms
from portico.destinations.line import Line
from portico.destinations.pool import STOPPED, LinePool
from portico.errors import FrameBroken
from portico.hl7.ack import Ack
from portico.model.delivery import Answered, Attempt, Delivery
from portico.spec.fields import Address, Duration, Name, Options
from portico.spec.tls import TlsField
from portico.wire.mllp import MllpDecoder

_ANSWER_LIMIT = 64 << 20  # a query's answer can be a whole record


class MllpTarget(Options):
    """Options of an MLLP destination.

    ack: `any` takes the first answer; `application` waits on after a CA; `none` asks for no
    answer: a Delivery is done when the kernel has taken its bytes, which promises nothing
    about the peer (with release 2: when the peer's commit block came). ack_on: the channel to
    which the peer's application ACK comes; a CA on the line is not the end then.
    """

    address: Address
    tls: TlsField = None
    release: Literal["1", "2"] = "1"
    probe: Duration = 60.0
    ack: Literal["any", "application", "none"] = "any"
    ack_on: Name | None = None


class MllpDestination(LinePool):
    """The lines to one peer, and what still waits for an answer on another connection."""

    _elsewhere: Elsewhere

    aside: Callable[[int], None] = staticmethod(lambda change: None)

    def _take(self, spec: Any) -> None:
        super()._take(spec)
        options: MllpTarget = spec.options
        self._elsewhere = getattr(self, "_elsewhere", None) or Elsewhere()
        self.ack_on = options.ack_on or ""
        self._terms = Terms(options.ack, options.release == "2", bool(self.ack_on))

    def _exchange(self, delivery: Delivery, done: Done) -> Exchange | None:
        try:
            exchange = Exchange(delivery.content, self._terms, done, self.seconds())
        except FrameBroken as error:
            done(Attempt(Answered.ANSWERED, "unsendable", detail=str(error)))
            return None
        if self._terms.elsewhere:
            if exchange.control_id is None:
                text = "no MSH-10 by which its answer could be known"
                done(Attempt(Answered.ANSWERED, "unsendable", detail=text))
                return None
            exchange.done = partial(self._ended, exchange, done)
        return exchange

    def _line(self) -> Line:
        return Line(self, self._terms, MllpDecoder(_ANSWER_LIMIT))

    def _stale(self, line: Line) -> bool:
        return line.terms is not self._terms

    async def stop(self, grace: float) -> None:
        """The same; what waits for another connection is then unclear too."""
        await super().stop(grace)
        for exchange in self._elsewhere:
            self._give_up(exchange, "closed", STOPPED)

    def passed(self, exchange: Any) -> None:
        """A line has no more to say of it: from now on the other connection's answer counts."""
        exchange.passed = True
        exchange.deadline = self.seconds() + self._spec.timeout
        self._watch()
        self.aside(1)

    def credit(self, told: Ack, content: bytes, sender: tuple[bytes, bytes] | None) -> bool:
        """An answer came on the other connection (Creditor)."""
        exchange = self._elsewhere.take(told, sender)
        if exchange is None:
            return False
        for line in tuple(self._lines):
            line.release(exchange)
        exchange.done(exchange.credited(told.code, content, self.seconds()))
        return True

    def _ended(self, exchange: Exchange, done: Done, attempt: Attempt) -> None:
        """An exchange whose answer was to come on the other connection has ended."""
        self._elsewhere.drop(exchange)
        if exchange.passed:
            self.aside(-1)
        done(attempt)
        self._say_quiet()

    def _give_up(self, exchange: Exchange, code: str, text: str) -> None:
        exchange.done(exchange.failed(Answered.UNCLEAR, code, text, self.seconds()))

    def _send(self, line: Line, exchange: Exchange) -> None:
        if self._terms.elsewhere:
            self._elsewhere.add(exchange)
        super()._send(line, exchange)

    def _busy(self) -> bool:
        return super()._busy() or bool(self._elsewhere)

    def _sweep(self, now: float) -> None:
        for exchange in self._elsewhere:
            if now >= exchange.deadline:
                self._give_up(exchange, "timeout", "no application answer in time")
        super()._sweep(now)

    def _over(self) -> bool:
        return super()._over() and not self._elsewhere


MLLP = DestinationType(
    name="mllp",
    summary="HL7 messages over MLLP, releases 1 and 2; we connect",
    options=MllpTarget,
    build=MllpDestination,
)
