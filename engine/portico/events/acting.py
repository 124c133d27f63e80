"""Events of people's acts on messages; the journal's table `act` has each of them."""

from dataclasses import dataclass

from portico.events.emit import Event


@dataclass(frozen=True, slots=True)
class MessagesActed(Event):
    """A person released, discarded, edited or resent messages. what: which of these; messages:
    how many; signals: the ids of theirs, the first fifty.
    """

    what: str
    who: str
    messages: int
    signals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReplayBegun(Event):
    """A replay of many Signals begins, or goes on after a restart."""

    job: str
    who: str
    total: int
    made: int


@dataclass(frozen=True, slots=True)
class ReplayEnded(Event):
    """A replay of many Signals has ended. state: `done cancelled failed`."""

    job: str
    state: str
    made: int
    skipped: int
