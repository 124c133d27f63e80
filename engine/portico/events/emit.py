"""The event sink: what the engine says about itself, and never about a patient."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Event:
    """One log line and its counters. Subclasses are named in past tense: `ChannelStarted`.

    level: INFO an operator's act or a life-cycle step; WARNING we recovered; ERROR a human is
    needed; DEBUG for development. labels: the fields that become metric labels (never an id).
    """

    level: ClassVar[str] = "info"
    labels: ClassVar[tuple[str, ...]] = ()


Emit = Callable[[Event], None]
