"""The site that drills run, and its folder."""

from dataclasses import dataclass, field
from pathlib import Path

from ports import free_port

FORWARD = """\
channel: adt
source: {{type: mllp, listen: "127.0.0.1:{inbound}", connections: 500}}
order_by: PID-3.1
acknowledge: {{when: {when}}}
---
agent: forward
goal: Send every message on to all that ask for it
on: {{channel: adt}}
steps:
  - python: transforms.stamp:stamp
{sends}
"""

CHAIN = """\
---
agent: {name}_agent
goal: Send on what the first agent emits
on: {{signal: {name}_copy}}
steps:
  - send: {name}
"""

DESTINATION = """\
---
destination: {name}
type: mllp
address: 127.0.0.1:{port}
connections: {width}
timeout: {timeout}
retry: {{first: 50ms, most: 500ms}}
{more}"""

# A disk that is nearly full is no reason to close: it is to be filled up.
TO_THE_LAST = "journal: {disk: {close: 1KiB, reopen: 2KiB}}\n"

STAMP = '''\
"""The drills' transform."""

from portico.authoring import Message


def stamp(msg: Message) -> Message:
    """Say that a worker has had it."""
    msg["ZSQ-3"] = "STAMPED"
    return msg
'''


@dataclass(frozen=True, slots=True)
class Target:
    """A destination of the site. more: further lines of its document.

    chained: it gets its messages by a second agent, from a signal that the first one emits.
    """

    name: str
    port: int
    width: int = 8
    timeout: str = "2s"
    more: str = ""
    chained: bool = False

    def step(self) -> str:
        """The first agent's last step for it."""
        verb = f"emit: {{signal: {self.name}_copy}}" if self.chained else f"send: {self.name}"
        return f"  - {verb}"


@dataclass(slots=True)
class SiteFolder:
    """A site folder whose files a drill may change while the engine runs.

    when: at what moment the channel acknowledges.
    """

    root: Path
    inbound: int
    targets: tuple[Target, ...]
    when: str = "journaled"
    metrics: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        for name in ("channels", "transforms", "config"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        (self.root / "transforms" / "__init__.py").write_text("")
        (self.root / "transforms" / "stamp.py").write_text(STAMP)
        self.write()

    def configure(self, text: str) -> None:
        """Write the engine's own options."""
        (self.root / "config" / "portico.yaml").write_text(text)

    @property
    def channels(self) -> Path:
        """The file with all documents."""
        return self.root / "channels" / "drill.yaml"

    def write(self, extra: str = "") -> None:
        """Write the documents as the targets say. extra: more steps or documents' text."""
        sends = "\n".join(target.step() for target in self.targets)
        text = FORWARD.format(inbound=self.inbound, when=self.when, sends=sends)
        for one in self.targets:
            text += DESTINATION.format(
                name=one.name,
                port=one.port,
                width=one.width,
                timeout=one.timeout,
                more=one.more,
            )
            if one.chained:
                text += CHAIN.format(name=one.name)
        self.channels.write_text(text + extra)


def fill(ballast: Path) -> None:
    """Take all the room that is left."""
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
