"""What an operator sees of the processes that run agents."""

from dataclasses import dataclass
from typing import ClassVar

from portico.events.emit import Event


@dataclass(frozen=True, slots=True)
class AgentLoaded(Event):
    """A worker proved an agent's plan; from now on this version answers."""

    labels: ClassVar[tuple[str, ...]] = ("agent",)

    agent: str
    version: str


@dataclass(frozen=True, slots=True)
class AgentRetired(Event):
    """The site no longer names this agent; its last worker has ended."""

    labels: ClassVar[tuple[str, ...]] = ("agent",)

    agent: str


@dataclass(frozen=True, slots=True)
class AgentDiffers(Event):
    """A new worker found other code on disk than the version in force, and runs it.

    Sessions record the version that ran them; a reload makes it the one for all workers.
    """

    level: ClassVar[str] = "warning"
    labels: ClassVar[tuple[str, ...]] = ("agent",)

    agent: str
    version: str
    found: str


@dataclass(frozen=True, slots=True)
class AgentUnkept(Event):
    """What an agent is made of could not be kept, so that no replay finds this version.

    code: `changed`: a file is not what was loaded any more; else the journal's, and it is
    tried again within the hour.
    """

    level: ClassVar[str] = "warning"
    labels: ClassVar[tuple[str, ...]] = ("agent", "code")

    agent: str
    version: str
    code: str


@dataclass(frozen=True, slots=True)
class AgentQuarantined(Event):
    """An agent's workers die too often: it gets no new one for some seconds; others go on."""

    level: ClassVar[str] = "error"
    labels: ClassVar[tuple[str, ...]] = ("agent",)

    agent: str
    deaths: int
    seconds: float


@dataclass(frozen=True, slots=True)
class WorkerStarted(Event):
    """A worker process has loaded its agent's plan and can run it. seconds: since the fork."""

    level: ClassVar[str] = "debug"
    labels: ClassVar[tuple[str, ...]] = ("agent",)

    agent: str
    pid: int
    seconds: float


@dataclass(frozen=True, slots=True)
class WorkerEnded(Event):
    """A worker ended as it should. code: `replaced recycled yielded idle retired stopped
    cancelled`."""

    level: ClassVar[str] = "debug"
    labels: ClassVar[tuple[str, ...]] = ("agent", "code")

    agent: str
    pid: int
    code: str
    runs: int


@dataclass(frozen=True, slots=True)
class WorkerDied(Event):
    """A worker ended as it should not, and is replaced.

    code: `crashed` (by itself), `timeout`, `load_failed`, `nonsense` (it broke the protocol),
    `silent` (idle and deaf) or `nursery` (its parent ended). how: `exit 3`, `SIGKILL`, or what
    it said wrong; never its own words.
    """

    level: ClassVar[str] = "warning"
    labels: ClassVar[tuple[str, ...]] = ("agent", "code")

    agent: str
    pid: int
    code: str
    how: str
    runs: int


@dataclass(frozen=True, slots=True)
class CallFailed(Event):
    """What a step asked the engine could not be done; the step fails. error: its type."""

    level: ClassVar[str] = "warning"
    labels: ClassVar[tuple[str, ...]] = ("agent",)

    agent: str
    step: str
    verb: str
    error: str


@dataclass(frozen=True, slots=True)
class NurseryLost(Event):
    """The parent of all workers ended; a new one is started in that many seconds."""

    level: ClassVar[str] = "warning"

    pid: int
    seconds: float


@dataclass(frozen=True, slots=True)
class PluginStarted(Event):
    """A plugin's process answers. seconds: since it was started."""

    level: ClassVar[str] = "debug"

    plugin: str
    pid: int
    seconds: float


@dataclass(frozen=True, slots=True)
class PluginEnded(Event):
    """A plugin's process ended as it should. code: `recycled idle retired stopped`."""

    level: ClassVar[str] = "debug"
    labels: ClassVar[tuple[str, ...]] = ("code",)

    plugin: str
    pid: int
    code: str
    runs: int


@dataclass(frozen=True, slots=True)
class PluginDied(Event):
    """A plugin's process ended as it should not, and is replaced.

    code: `crashed` (by itself), `timeout` (deaf after a call's limit), `nonsense` (it broke the
    protocol), `memory` or `unready` (it did not start). how: never its own words.
    """

    level: ClassVar[str] = "warning"
    labels: ClassVar[tuple[str, ...]] = ("code",)

    plugin: str
    pid: int
    code: str
    how: str
    runs: int


@dataclass(frozen=True, slots=True)
class PluginQuarantined(Event):
    """A plugin's processes die too often: no new one for some seconds; its calls fail."""

    level: ClassVar[str] = "error"

    plugin: str
    deaths: int
    seconds: float
