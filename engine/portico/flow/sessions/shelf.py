"""The shelf: Signals of paused agents, which wait in the journal and not in memory.

Of each the shelf keeps its place in the journal, eight bytes. A Run leaves memory once paused
agents are all that it has left to do and what the others concluded is committed.
"""

from array import array
from collections.abc import Callable, Iterable, Sequence, Set

from portico.flow.runs import Run

_NOTHING, _FIRST = -1, 0  # before any place


class Shelf:
    """leave: takes a Run out of memory."""

    def __init__(self, leave: Callable[[Run], None]) -> None:
        self._leave = leave
        self._upto: dict[str, int] = {}  # by paused agent: the last place that it may run
        self._places: dict[str, array[int]] = {}
        self._next: dict[str, array[int]] = {}  # of agents that are resumed; the first is last
        self._runs: dict[int, Run] = {}  # in memory for the sake of other agents
        self._several: dict[int, frozenset[str]] = {}  # not in memory, here for more than one

    @property
    def paused(self) -> Set[str]:
        """The agents that are paused, or brought back to where they left off."""
        return self._upto.keys()

    def count(self, agent: str) -> int:
        """How many Signals wait here for this agent."""
        return len(self._places.get(agent, ())) + len(self._next.get(agent, ()))

    def pause(self, agent: str) -> None:
        """What is not out yet is to wait from now on."""
        self._upto[agent] = _NOTHING
        self._places.setdefault(agent, array("q")).extend(self._next.pop(agent, ()))

    def takes(self, agent: str, run: Run) -> bool:
        """Whether what comes for this agent is to wait; here, then."""
        if not self._upto or run.seq <= self._upto.get(agent, run.seq):
            return False
        self._put(agent, run)
        return True

    def stops(self, agent: str, run: Run) -> bool:
        """Whether this agent begins nothing; the Run waits here, then. One that is resumed goes
        on with what had come to it before, which is older than what waits here."""
        if self._upto.get(agent) != _NOTHING:
            return False
        self._put(agent, run)
        return True

    def put(self, agents: frozenset[str], place: int) -> None:
        """What stands there waits for these agents, which are paused; it is not in memory."""
        for agent in agents:
            self._places[agent].append(place)
        if len(agents) > 1:
            self._several[place] = agents

    def _put(self, agent: str, run: Run) -> None:
        run.shelved.add(agent)
        self._runs[run.seq] = run
        if agent not in self._several.get(run.seq, ()):
            self._places[agent].append(run.seq)
        self.settle(run)

    def settle(self, run: Run) -> None:
        """Let a Run leave memory, if only paused agents keep it."""
        if run.shelved and run.todo <= run.shelved and not run.unstored:
            del self._runs[run.seq]
            if len(run.shelved) > 1:
                self._several[run.seq] = frozenset(run.shelved)
            self._leave(run)

    def page(self, agent: str, most: int) -> Sequence[int]:
        """The first places of an agent that is resumed, in order; empty when none is left."""
        if not self._next.get(agent):
            self._upto[agent] = _FIRST
            self._next[agent] = array("q", sorted(self._places[agent], reverse=True))
            self._places[agent] = array("q")
        return self._next[agent][: -most - 1 : -1]

    def holds(self, place: int) -> bool:
        """Whether the Run of this place is in memory."""
        return place in self._runs

    def standing(self, place: int) -> tuple[bool, frozenset[str]]:
        """Whether its Run is in memory, and for whom it waits, if for several: as long as that
        stays, what was read of it is true."""
        return place in self._runs, self._several.get(place, frozenset())

    def let(self, agent: str, place: int) -> bool:
        """The agent may run up to this place; whether its Signal still waits here for it."""
        line = self._next[agent]
        if not line or line[-1] != place:
            return False
        line.pop()
        self._upto[agent] = place
        if others := self._several.pop(place, frozenset()) - {agent}:
            self._several[place] = others
        return True

    def run(self, agent: str, place: int) -> Run | None:
        """The Run of a place that the agent was let to, if that is in memory."""
        run = self._runs.get(place)
        if run is None or agent not in run.shelved:
            return None
        run.shelved.discard(agent)
        if not run.shelved:
            del self._runs[place]
        return run

    def waiting(self, place: int) -> set[str]:
        """The agents for which the Signal of this place waits here."""
        return {one for one in self._upto if any(place in line for line in self._lines(one))}

    def take_off(self, place: int) -> Run | None:
        """It waits here no more; its Run, if that is in memory."""
        for agent in self.waiting(place):
            for line in self._lines(agent):
                if place in line:
                    line.remove(place)
        self._several.pop(place, None)
        run = self._runs.pop(place, None)
        if run is not None:
            run.shelved.clear()
        return run

    def _lines(self, agent: str) -> Iterable["array[int]"]:
        return self._places[agent], self._next.get(agent, array("q"))

    def resume(self, agent: str) -> None:
        """Nothing waits for it here: it runs what comes."""
        del self._upto[agent], self._places[agent], self._next[agent]
