"""Messages whose application answers come on another connection (PROTOCOLS A12)."""

from collections.abc import Iterator

from portico.destinations.exchange import Exchange
from portico.hl7.ack import Ack

Identity = tuple[bytes, bytes]


class Elsewhere:
    """What was sent and is not answered yet, by its MSH-10, the oldest of one id first.

    Nothing is credited twice: an answer takes its exchange away.
    """

    def __init__(self) -> None:
        self._waiting: dict[bytes, list[Exchange]] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def __iter__(self) -> Iterator[Exchange]:
        return iter([exchange for same in self._waiting.values() for exchange in same])

    def add(self, exchange: Exchange) -> None:
        """It is on its way."""
        self._waiting.setdefault(exchange.control_id or b"", []).append(exchange)

    def drop(self, exchange: Exchange) -> None:
        """It is over, however it ended; harmless when it was never here."""
        key = exchange.control_id or b""
        same = self._waiting.get(key, [])
        if exchange in same:
            same.remove(exchange)
        if not same:
            self._waiting.pop(key, None)

    def take(self, told: Ack, sender: Identity | None) -> Exchange | None:
        """The oldest that this answer names. sender: of the answer, when it counts."""
        for exchange in self._waiting.get(told.control_id, ()):
            if sender is None or exchange.receiver == sender:
                self.drop(exchange)
                return exchange
        return None
