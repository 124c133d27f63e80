"""Which agents answer a Signal: their `on:`, indexed so that a Signal meets few of them."""

from collections.abc import Mapping

from portico.language.condition import Condition
from portico.language.context import Context

_Entries = tuple[tuple[str, Condition], ...]


class Matcher:
    """The `on:` of all agents by name. A condition that reads content may raise MessageError.

    An agent that names channels or signals is asked only about theirs. names: all of them.
    """

    __slots__ = ("_by_channel", "_by_signal", "_others", "names")

    def __init__(self, agents: Mapping[str, Condition]) -> None:
        self._others: _Entries = tuple(
            (name, on) for name, on in agents.items() if not _named(on)
        )
        self.names = frozenset(agents)
        self._by_channel = _index(agents, "channel")
        self._by_signal = _index(agents, "signal")

    def matching(self, context: Context) -> tuple[str, ...]:
        """The agents whose `on:` holds, in the order they were given."""
        signal = context.envelope.get("signal")
        if signal is None:
            channel = context.envelope.get("channel")
            entries = self._by_channel.get(channel, self._others)
        else:
            entries = self._by_signal.get(signal, self._others)
        return tuple([name for name, on in entries if on.holds(context)])


def _named(on: Condition) -> bool:
    return "channel" in on.allowed or "signal" in on.allowed


def _index(agents: Mapping[str, Condition], word: str) -> dict[str | None, _Entries]:
    names = {name for on in agents.values() for name in on.allowed.get(word, ())}
    return {
        name: tuple(
            (agent, on)
            for agent, on in agents.items()
            if name in on.allowed.get(word, () if _named(on) else names)
        )
        for name in names
    }
