"""Back-pressure of a destination's `queue.limit`: its channels stop reading, others go on."""

from collections.abc import Mapping

from portico.check import references
from portico.check.site import Site
from portico.events.operating import QueueEased, QueueFull
from portico.policy.alarms import EASED
from portico.server.parts import House
from portico.spec.agent import Agent
from portico.spec.rules import GROUP, walk


class Pressure:
    """Holds channels while a queue that they feed is full."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._limits: dict[str, int] = {}
        self._feeders: Mapping[str, frozenset[str]] = {}
        self.full: set[str] = set()

    def follow(self, site: Site) -> None:
        """Decide by this site's limits from now on."""
        self._limits = {
            name: spec.queue.limit
            for name, spec in site.destinations.items()
            if spec.queue.limit
        }
        self._feeders = feeders(site) if self._limits else {}
        self.full &= self._limits.keys()
        self._hold()
        self.look()

    def look(self) -> None:
        """Compare the books with the limits; after every flush, so it is cheap."""
        for name, limit in self._limits.items():
            count = self._house.books["destination", name, "queued"]
            if name not in self.full and count >= limit:
                self.full.add(name)
                told = tuple(sorted(self._feeders.get(name, ())))
                self._house.base.emit(QueueFull(name, count, told))
                self._hold()
            elif name in self.full and count <= limit * EASED:
                self.full.discard(name)
                self._house.base.emit(QueueEased(name, count))
                self._hold()

    def _hold(self) -> None:
        held = {channel for name in self.full for channel in self._feeders.get(name, ())}
        for name, channel in self._house.channels.items():
            if name in held:
                channel.hold("queue")
            else:
                channel.release("queue")


def feeders(site: Site) -> dict[str, frozenset[str]]:
    """By destination, the channels whose Signals may end up there, also by way of signals that
    agents emit."""
    heard = {name: references.heard(agent, site) for name, agent in site.agents.items()}
    signals: dict[str, frozenset[str]] = {}
    for _ in site.agents:  # a chain of signals is no longer than there are agents
        for name, agent in site.agents.items():
            asked = agent.on.allowed.get("signal", frozenset())
            of_signals = (signals.get(one, frozenset()) for one in asked)
            heard[name] = heard[name].union(*of_signals)
            for emitted in _named(agent, "emit", "signal"):
                signals[emitted] = signals.get(emitted, frozenset()) | heard[name]
    found: dict[str, frozenset[str]] = {}
    for name, agent in site.agents.items():
        for destination in _named(agent, "send", "to"):
            found[destination] = found.get(destination, frozenset()) | heard[name]
    return found


def _named(agent: Agent, verb: str, key: str) -> set[str]:
    """What the agent's steps of that verb name."""
    found: set[str] = set()
    steps = list(agent.steps)
    if isinstance(agent.on_error, dict):
        steps += agent.on_error.get(GROUP, ())
    for form in walk(steps):
        if form["verb"] == verb:
            args = form["args"]
            told = args[key] if isinstance(args, dict) else args
            found.update([told] if isinstance(told, str) else told)
    return found
