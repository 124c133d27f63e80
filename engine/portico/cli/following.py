"""`show --follow`: what sessions do that have not concluded."""

from collections.abc import Callable
from pathlib import Path

from portico.api.live import Live, Place
from portico.cli import console
from portico.cli.control import Engine
from portico.model.states import SignalState

_WAIT = 5  # seconds that one question waits for something new


def follow(site: Path, signal: str, aside: bool) -> None:
    """Print what its sessions do until they have concluded; aside: on standard error."""
    say = console.note if aside else console.line
    engine, told, live = Engine(site), _Told(say), Live(state=SignalState.WAITING)
    while live.state == SignalState.WAITING:
        asked = {"mark": live.mark, "wait": str(_WAIT)}
        found = engine.call("GET", f"/v1/signals/{signal}/live", asked)
        live = Live.model_validate(found)
        for place in live.sessions:
            told.tell(place)


class _Told:
    """What was printed, by agent: the last line of its state, and how many of its log."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._said: dict[str, str] = {}
        self._lines: dict[str, int] = {}

    def tell(self, place: Place) -> None:
        """Print what is new."""
        fresh = min(place.count - self._lines.get(place.agent, 0), len(place.lines))
        for line in place.lines[len(place.lines) - max(0, fresh) :]:
            self._say(f"{place.agent}: log {line.step} {line.level} {line.text}")
        self._lines[place.agent] = place.count
        said = _words(place)
        if said != self._said.get(place.agent):
            self._said[place.agent] = said
            self._say(f"{place.agent}: {said}")


def _words(place: Place) -> str:
    """Where it is, as one line; without the seconds, which change at each look."""
    whole = "" if place.total is None else f" of {place.total:g}"
    progress = f", {place.step} at {place.done:g}{whole}" if place.step else ""
    if place.state == "queued":
        return f"waits for a worker, place {place.place}"
    if place.state == "running":
        return f"runs in process {place.pid}{progress}"
    if place.state == "asking":
        return f"waits for {place.asks}{progress}"
    if place.state == "paused":
        return "waits for its agent, which is paused"
    again = f" for try {place.number}" if place.number > 1 else ""
    return f"waits{again}"
