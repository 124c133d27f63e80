"""What a session decided, and all it leaves behind."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from portico.model.call import Call

LARGEST = (1 << 53) - 1  # the largest number that every JSON reader knows exactly

Text = Annotated[str, Meta(max_length=1 << 16)]  # of a worker: far above what any means
Micros = Annotated[int, Meta(ge=0, le=LARGEST)]


class Kind(StrEnum):
    """The four verdicts, and what is none yet.

    A session that ends without `send` is `deliver` with no outputs.
    """

    DELIVER = "deliver"
    DROP = "drop"  # filtered by the named step
    REFUSE = "refuse"  # the sender is told, or it is parked when that is too late
    FAULT = "fault"  # parked, or tried again when transient
    CALL = "call"  # none yet: a step waits for the engine's reply, then all runs again


class Output(Struct, frozen=True, gc=False):
    """One message owed to one destination. content None: the Signal's own bytes, unchanged."""

    destination: str
    content: bytes | None = None
    order_key: str | None = None  # None: the session's
    control_id: str = ""
    file: str = ""  # file name asked for by `send: {file: T}`; folder-like destinations use it


class Emission(Struct, frozen=True, gc=False):
    """A Signal for other agents. None: the Signal's own bytes, the session's order key."""

    signal: str
    content: bytes | None = None
    order_key: str | None = None


class Refusal(Struct, frozen=True, gc=False):
    """What the sender is told: ack AE or AR, code of HL7 table 0357, location an HL7 path.

    shown: the text for people, where `text` holds values of the message.
    """

    ack: Text = "AE"
    code: Text = "207"
    text: Text = ""
    location: Text = ""
    shown: Text = ""

    @property
    def seen(self) -> str:
        """The text without values of the message."""
        return self.shown or self.text


class Failure(Struct, frozen=True, gc=False):
    """Why a session faulted; no patient data in any part.

    code: of the error tree (`step.permanent`); text: one line; at: `file:line` of the step in
    the site's files or of the raise in a transform; location: the field path, if known.
    """

    code: Text
    text: Text
    step: Text = ""
    at: Text = ""
    location: Text = ""
    transient: bool = False


class StepRun(Struct, frozen=True, gc=False):
    """One step's run: outcome is `ok skipped dropped refused failed`; micros: microseconds."""

    name: Text
    verb: Text
    outcome: Text
    micros: Micros


class LogLine(Struct, frozen=True, gc=False):
    """What a transform wrote with `log`: level `debug info warning error`, text without PHI."""

    step: Text
    level: Text
    text: Text


class SessionResult(Struct, frozen=True):
    """All that one run of an agent on one Signal gives back.

    step: the name of the step that decided (drop, refuse, fault), else empty. hold: a fault
    that keeps its order key for a person (`on_error: stop`). value: the message as the last
    step left it, where the Signal's channel answers with it. call: of Kind.CALL, what is asked.
    """

    kind: Kind
    step: str = ""
    outputs: tuple[Output, ...] = ()
    emissions: tuple[Emission, ...] = ()
    runs: tuple[StepRun, ...] = ()
    refusal: Refusal | None = None
    failure: Failure | None = None
    hold: bool = False
    logs: tuple[LogLine, ...] = ()
    micros: int = 0
    value: bytes | None = None
    call: Call | None = None
