"""The event sink: what the engine says about itself, and never about a patient."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Event:
    """One log line and its counters. Subclasses are named in past tense: `ChannelStarted`.

    level: INFO an operator's act or a life-cycle step; WARNING we recovered; ERROR a human is
    needed; DEBUG for development. labels: the fields that become metric labels (never an id).
    names: of fields that a line calls by the name that a standard has for them.
    """

    level: ClassVar[str] = "info"
    labels: ClassVar[tuple[str, ...]] = ()
    names: ClassVar[Mapping[str, str]] = MappingProxyType({})


Emit = Callable[[Event], None]
