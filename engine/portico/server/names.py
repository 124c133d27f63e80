"""What nouns were called before: what the journal has of old still means those of today."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from portico.journal.renaming import Renamed


@dataclass(slots=True)
class Names:
    """firsts: channels that were renamed, and what they were called at first."""

    firsts: dict[str, str] = field(default_factory=dict)
    _now: dict[tuple[str, str], str] = field(default_factory=dict)

    def follow(self, renamed: Iterable[Renamed]) -> None:
        """All that the journal knows of one scope."""
        for one in renamed:
            self._now[one.scope, one.old] = one.new
            if one.scope == "channel":
                self.firsts.setdefault(one.new, one.first)

    def agent(self, name: str) -> str:
        """What the agent of this name is called now."""
        return self._now.get(("agent", name), name)

    def destination(self, name: str) -> str:
        """What the destination of this name is called now."""
        return self._now.get(("destination", name), name)
