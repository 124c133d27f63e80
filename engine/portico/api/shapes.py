"""JSON of /v1. Times are ISO 8601 in UTC; masked unless the caller asked for patient data."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field, computed_field


class Shape(BaseModel):
    """A frozen JSON object. A reader skips keys that it does not know."""

    model_config = ConfigDict(frozen=True)


class ChannelBook(Shape):
    """Promise P2 for one channel: every Signal received is in exactly one of the states.

    oldest: when the oldest Signal that waits arrived.
    """

    received: int = 0
    waiting: int = 0
    running: int = 0
    done: int = 0
    filtered: int = 0
    refused: int = 0
    duplicate: int = 0
    parked: int = 0
    discarded: int = 0
    oldest: datetime | None = None

    @computed_field  # type: ignore[prop-decorator]  # pydantic's way to publish a property
    @property
    def balanced(self) -> bool:
        """The sum of the states is what was received."""
        ended = self.done + self.filtered + self.refused + self.duplicate + self.discarded
        return self.received == ended + self.waiting + self.running + self.parked


class DestinationBook(Shape):
    """Promise P2 for one destination: every Delivery owed is in exactly one of the states.

    oldest: when the Signal of the oldest queued Delivery arrived.
    """

    owed: int = 0
    queued: int = 0
    sending: int = 0
    delivered: int = 0
    parked: int = 0
    discarded: int = 0
    oldest: datetime | None = None

    @computed_field  # type: ignore[prop-decorator]  # pydantic's way to publish a property
    @property
    def balanced(self) -> bool:
        """The sum of the states is what is owed."""
        ended = self.delivered + self.discarded
        return self.owed == ended + self.queued + self.sending + self.parked


class Channel(ChannelBook):
    """A channel. state: `open`, `failed`, `closed`, what the operator wants (`paused`,
    `draining`, `stopped`; since when and by whom), or empty when no engine runs.

    where: its address. A channel whose name begins with `signal:` is what agents emit, with
    `caller:` what a user made for agents.
    """

    state: str = ""
    type: str = ""
    where: str = ""
    connections: int = 0
    detail: str = ""
    since: datetime | None = None
    by: str = ""


class Destination(DestinationBook):
    """A destination. state: `up`, `down`, `removed` from the site, what the operator wants as
    in Channel, or empty when no engine runs. detail: why what failed last is to be tried again.
    """

    state: str = ""
    type: str = ""
    where: str = ""
    detail: str = ""
    since: datetime | None = None
    by: str = ""


class Alarm(Shape):
    """An alarm that is open. scope: `channel destination agent plugin tls engine`."""

    kind: str
    scope: str
    name: str
    since: datetime
    text: str


class Wished(Shape):
    """What an operator wants of a channel or destination, now stored."""

    scope: str
    name: str
    wish: str
    since: datetime
    by: str


class Agent(Shape):
    """An agent in force. version: the content hash of its plan; waiting: Signals for which no
    worker has been free yet, or that wait until it is resumed. state: `ready`, `paused`,
    `quarantined`, or `full`: some wait, and it may have no more workers.
    """

    version: str = ""
    owner: str = ""
    state: str = ""
    workers: int = 0
    busy: int = 0
    waiting: int = 0


class Plugin(Shape):
    """A plugin. state: `ready` or `quarantined`; queue: calls that wait; memory: resident
    bytes; cpu: seconds, of processes that ended too.
    """

    version: str = ""
    state: str = ""
    processes: int = 0
    busy: int = 0
    queue: int = 0
    memory: int = 0
    cpu: float = 0.0


class Journal(Shape):
    """The database. kind: `embedded` or `url`; version: PostgreSQL's. free: bytes, where its
    disk is watched; full: too few, so that the sources are closed.
    """

    kind: str = ""
    version: str = ""
    up: bool = True
    free: int | None = None
    full: bool = False


class Status(Shape):
    """The engine at one instant. state: `starting ready draining`, `stopped` without one."""

    version: str
    state: str
    at: datetime
    started: datetime | None = None
    pid: int = 0
    site: str = ""
    data: str = ""
    journal: Journal = Field(default_factory=Journal)
    channels: dict[str, Channel] = Field(default_factory=dict)
    destinations: dict[str, Destination] = Field(default_factory=dict)
    agents: dict[str, Agent] = Field(default_factory=dict)
    plugins: dict[str, Plugin] = Field(default_factory=dict)
    alarms: tuple[Alarm, ...] = ()

    @computed_field  # type: ignore[prop-decorator]  # pydantic's way to publish a property
    @property
    def balanced(self) -> bool:
        """Every book adds up."""
        channels = all(book.balanced for book in self.channels.values())
        return channels and all(book.balanced for book in self.destinations.values())


class Finding(Shape):
    """What `check` has to say: `channels/adt.yaml:14 source.limit: ...  [config.size]`."""

    severity: str
    text: str


class Reloaded(Shape):
    """A reload: swapped, or kept as it was because of the findings."""

    swapped: bool
    findings: tuple[Finding, ...] = ()


class SignalRow(Shape):
    """A Signal in a list. patient, order_key: masked unless patient data were asked for."""

    id: str
    channel: str
    received: datetime
    type: str
    control_id: str
    sender: str
    patient: str
    order_key: str
    peer: str
    size: int
    flags: tuple[str, ...]
    state: str
    ended: str = ""


class SignalPage(Shape):
    """Signals, newest first. next: the `before` of the next page, None at the end."""

    signals: tuple[SignalRow, ...]
    next: str | None = None


class Message(Shape):
    """Content, one line a segment. base64: the exact bytes, only with patient data."""

    size: int
    lines: tuple[str, ...]
    base64: str | None = None


class StepRun(Shape):
    """One step of a session."""

    name: str
    verb: str
    outcome: str
    micros: int


class Session(Shape):
    """One agent's run on a Signal."""

    number: int
    agent: str
    version: str
    verdict: str
    step: str
    error: str
    micros: int
    concluded: datetime
    runs: tuple[StepRun, ...] = ()
    detail: dict[str, object] = Field(default_factory=dict)


class Attempt(Shape):
    """One try of a Delivery."""

    number: int
    at: datetime
    outcome: str
    code: str
    micros: int
    detail: str
    answer: Message


class Delivery(Shape):
    """One message owed to one destination."""

    number: int
    session: int
    destination: str
    lane: str
    control_id: str
    file: str
    state: str
    message: Message
    attempts: tuple[Attempt, ...]


class Parked(Shape):
    """Why something waits for a person. kind: `signal` or `delivery`."""

    kind: str
    number: int
    name: str
    agent: str
    hold: bool
    code: str
    reason: str
    step: str
    at: str
    location: str
    tries: int
    since: datetime


class ActItem(Shape):
    """What a person did to a message. other: the Signal that came of it."""

    at: datetime
    who: str
    what: str
    id: str
    reason: str = ""
    other: str | None = None
    job: str = ""


class TurnEvent(Shape):
    """What a model reasoned or did. event: `turn.started llm.generation tool.started
    tool.completed turn.completed review.asked review.decided`. outcome: `ok` or a code."""

    at: datetime
    event: str
    agent: str
    step: str
    target: str = ""
    outcome: str = ""
    micros: int = 0


class SignalDetail(Shape):
    """One Signal whole."""

    signal: SignalRow
    sha256: str
    parent: str | None
    message: Message
    sessions: tuple[Session, ...]
    deliveries: tuple[Delivery, ...]
    parked: tuple[Parked, ...]
    acts: tuple[ActItem, ...] = ()
    events: tuple[TurnEvent, ...] = ()


class Look(Shape):
    """One thing that doctor looked at. verdict: `good`, `warning` or `bad`."""

    subject: str
    verdict: str
    text: str


class Doctor(Shape):
    """All that doctor looked at."""

    looks: tuple[Look, ...]

    @computed_field  # type: ignore[prop-decorator]  # pydantic's way to publish a property
    @property
    def well(self) -> bool:
        """Nothing is bad."""
        return all(look.verdict != "bad" for look in self.looks)
