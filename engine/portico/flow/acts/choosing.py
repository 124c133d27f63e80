"""Which Signals a replay takes, and by which agents: the part of a job that is written down."""

import msgspec
from msgspec import Struct

from portico import ids
from portico.ids import SignalId
from portico.journal.found import Query


class ReplayChoice(Struct, frozen=True, omit_defaults=True):
    """What a person asks to have replayed.

    signals: ids as text; without them all that fit the other parts, which are as in
    journal/found.py's Query. before: the id that ends it, so that what a replay makes is not
    replayed. as_recorded: by the agents, and in the versions, that ran them. rate: Signals a
    second.
    """

    signals: tuple[str, ...] = ()
    channel: str = ""
    type: str = ""
    control_id: str = ""
    patient: str = ""
    since: int | None = None
    until: int | None = None
    state: str = ""
    before: str = ""
    as_recorded: bool = False
    rate: float = 100.0

    def query(self) -> Query:
        """For the search."""
        return Query(
            self.channel,
            self.type,
            self.control_id,
            self.patient,
            self.since,
            self.until,
            self.state,
        )

    def told(self) -> str:
        """For people; no patient's id."""
        if self.signals:
            return f"{len(self.signals)} Signals by id"
        parts = [
            f"{name} {value}"
            for name, value in (
                ("channel", self.channel),
                ("type", self.type),
                ("control id", self.control_id),
                ("one patient", self.patient and "given"),
                ("state", self.state),
            )
            if value
        ]
        return ", ".join(parts) or "all Signals"


def dump(wanted: ReplayChoice) -> str:
    """As the journal keeps it."""
    return msgspec.json.encode(wanted).decode()


def load(text: str) -> ReplayChoice:
    """What the journal has kept."""
    return msgspec.json.decode(text.encode(), type=ReplayChoice)


def listed(wanted: ReplayChoice, after: SignalId | None, limit: int) -> list[SignalId]:
    """The next of those that are named by id, in the order of their arrival."""
    named = sorted({ids.parse(text) for text in wanted.signals})
    return [one for one in named if after is None or one > after][:limit]
