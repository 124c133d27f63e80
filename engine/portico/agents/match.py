"""Which agents answer a Signal: their `on:`, indexed so that a Signal meets few of them."""

from collections.abc import Mapping

from portico.language.condition import Condition
from portico.language.context import Context
from portico.language.place import EnvelopePlace, Place

_Entries = tuple[tuple[str, Condition], ...]
_SIGNAL = "signal:"  # before the name, in the origin of what an agent emitted
_KNOWN = frozenset(("channel", "signal", "type"))  # words that need no look at the content


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

    def possible(self, origin: str, kind: str) -> frozenset[str]:
        """The agents that may answer a Signal of this origin and type, whatever it holds."""
        name = origin.removeprefix(_SIGNAL)
        if name != origin:
            words, entries = {"signal": name}, self._by_signal.get(name, self._others)
        else:
            words, entries = {"channel": name}, self._by_channel.get(name, self._others)
        context = Context(None, {**words, "type": kind})
        return frozenset(
            agent
            for agent, on in entries
            if on.tables or not _KNOWN.issuperset(map(_word, on.places)) or on.holds(context)
        )


def _word(place: Place) -> str:
    return place.word if isinstance(place, EnvelopePlace) else ""


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
