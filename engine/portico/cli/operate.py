"""`pause`, `resume`, `drain`, `stop`, `alarms`: an operator's acts on a running engine."""

import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from portico.api.shapes import Alarm, Status, Wished
from portico.cli import console, exits, when
from portico.cli.control import Engine
from portico.cli.exits import Ended
from portico.cli.grid import Grid
from portico.cli.options import JSON, SITE
from portico.clock import SystemClock
from portico.spec.fields import nearest

NOUN = Argument(
    metavar="NAME", help="channel:NAME, destination:NAME, agent:NAME, or NAME where it is one."
)
WAIT = Option("--wait", help="How long to wait until it is empty.")

_LOOK = 0.2
_SCOPES = ("channel", "destination", "agent")
_AGENTS = ("pause", "resume")  # what an agent knows of


def pause(
    name: Annotated[str, NOUN],
    json: Annotated[bool, JSON] = False,
    site: Annotated[Path, SITE] = Path(),
) -> int:
    """Take or send nothing more; what is under way ends."""
    return _act(site, name, "pause", json)


def resume(
    name: Annotated[str, NOUN],
    json: Annotated[bool, JSON] = False,
    site: Annotated[Path, SITE] = Path(),
) -> int:
    """Take or send again."""
    return _act(site, name, "resume", json)


def drain(
    name: Annotated[str, NOUN],
    wait: Annotated[str, WAIT] = "1m",
    json: Annotated[bool, JSON] = False,
    site: Annotated[Path, SITE] = Path(),
) -> int:
    """Work off what is there, then pause."""
    limit, engine = when.seconds(wait), Engine(site)
    scope, known = found(engine.status(), name, "drain")
    wished = engine.wish(scope, known, "drain")
    clock = SystemClock()
    end = clock.monotonic() + limit
    while left := _left(engine.status(), scope, known):
        if clock.monotonic() > end:
            text = f"{left} of {scope} {known} are not worked off yet; it goes on"
            raise Ended(exits.UNREACHABLE, text)
        time.sleep(_LOOK)
    _say(wished, json)
    return exits.OK


def stop(
    name: Annotated[
        str, Argument(metavar="[NAME]", help="As for `pause`; without it the engine.")
    ] = "",
    json: Annotated[bool, JSON] = False,
    site: Annotated[Path, SITE] = Path(),
) -> int:
    """Ask the engine to drain and end; or cut off a channel or destination."""
    if name:
        return _act(site, name, "stop", json)
    told = Engine(site).stop()
    if json:
        console.say_json(told)
    else:
        console.line("the engine drains and ends")
    return exits.OK


def alarms(json: Annotated[bool, JSON] = False, site: Annotated[Path, SITE] = Path()) -> int:
    """List the alarms that are open."""
    status = Engine(site).status()
    if json:
        console.say_json([one.model_dump(mode="json") for one in status.alarms])
    elif not status.alarms:
        console.note("no alarm is open")
    else:
        console.show(alarm_table(status))
    return exits.OK


def trial(
    sink: Annotated[str, Argument(metavar="NAME", help="A name below `alarms.to`.")],
    site: Annotated[Path, SITE] = Path(),
) -> int:
    """Send a trial to a sink of alarms."""
    Engine(site).try_sink(sink)
    console.line(f"sink {sink} has taken a trial")
    return exits.OK


ALARMS = {"list": alarms, "test": trial}


def alarm_table(status: Status) -> Grid:
    """The open alarms, for people."""
    made = console.table("ALARM", "OF", "SINCE", "")
    for one in status.alarms:
        age = when.age(one.since, status.at)
        console.row(made, one.kind, _whose(one), age, one.text, style="bold red")
    return made


def found(status: Status, text: str, verb: str) -> tuple[str, str]:
    """(scope, name) of what an operator typed. Raises Ended when it is none, or several."""
    scope, _, name = text.rpartition(":")
    nouns: dict[str, Collection[str]] = {
        "channel": status.channels,
        "destination": status.destinations,
        "agent": status.agents,
    }
    scopes = _SCOPES if verb in _AGENTS else _SCOPES[:-1]
    if scope and scope not in scopes:
        raise Ended(exits.USAGE, f"{text!r}: expected {_either(scopes, ':NAME')}")
    fits = [each for each in scopes if scope in ("", each) and name in nouns[each]]
    if not fits:
        known = [one for each in scopes if scope in ("", each) for one in nouns[each]]
        text = f"there is no {scope or _either(scopes)} {name!r}"
        raise Ended(exits.FAILED, "; ".join(filter(None, (text, nearest(name, known)))))
    if len(fits) > 1:
        raise Ended(exits.USAGE, f"{name!r} is several: write {_either(fits, f':{name}')}")
    return fits[0], name


def _either(words: Sequence[str], after: str = "") -> str:
    """`channel or destination`."""
    *most, last = (f"{word}{after}" for word in words)
    return f"{', '.join(most)} or {last}"


def _act(site: Path, text: str, verb: str, json: bool) -> int:
    engine = Engine(site)
    scope, name = found(engine.status(), text, verb)
    _say(engine.wish(scope, name, verb), json)
    return exits.OK


def _say(wished: Wished, json: bool) -> None:
    if json:
        console.say_json(wished)
    else:
        console.line(f"{wished.scope} {wished.name} is {_WORDS[wished.scope, wished.wish]}")


_WORDS = {
    ("channel", "running"): "running",
    ("channel", "paused"): "paused: its source is closed, what came before is worked off",
    ("channel", "draining"): "drained: its source is closed, and nothing of it waits",
    ("channel", "stopped"): "stopped: its source is closed",
    ("agent", "running"): "running: what waited goes first",
    ("agent", "paused"): "paused: what its workers have ends, the rest waits in the journal",
    ("destination", "running"): "running",
    ("destination", "paused"): "paused: its queue waits",
    ("destination", "draining"): "drained: its queue is empty, and waits from now on",
    ("destination", "stopped"): "stopped: its connections are closed, its queue waits",
}


def _left(status: Status, scope: str, name: str) -> int:
    """What is not worked off yet."""
    if scope == "channel":
        channel = status.channels.get(name)
        return channel.waiting + channel.running if channel else 0
    destination = status.destinations.get(name)
    if destination is None or destination.state != "draining":
        return 0
    return max(1, destination.queued + destination.sending)


def _whose(one: Alarm) -> str:
    return f"{one.scope} {one.name}".strip()
