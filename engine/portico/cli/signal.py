"""`signal` and `cancel`: a Signal made for an agent; sessions that a person ends."""

import base64
import sys
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from typer import Argument, Option

from portico.api import calling as api
from portico.api.calling import Answered
from portico.api.live import Cancelled
from portico.cli import console, exits, messages, reading, when
from portico.cli.control import Engine
from portico.cli.exits import Ended
from portico.cli.options import JSON, SITE
from portico.model.signal import SignalKind
from portico.model.states import SignalState

_MSH = b"MSH"
_MORE = 10.0  # seconds that an answer may take beyond the wait

_CODES = {
    SignalState.REFUSED: exits.REFUSED,
    SignalState.PARKED: exits.FAILED,
    SignalState.WAITING: exits.UNREACHABLE,
}


def signal(
    agent: str,
    file: Annotated[
        Path | None, Option("--file", help="The content; without it standard input.")
    ] = None,
    kind: Annotated[
        SignalKind, Option(help="`run` it, `sync` (reload the site), or `fyi`: only record it.")
    ] = "run",
    wait: Annotated[bool, Option("--wait", help="Print what the agent makes of it.")] = False,
    timeout: Annotated[str, Option(help="How long to wait, at most 10m.")] = "30s",
    json: Annotated[bool, JSON] = False,
    site: Annotated[Path, SITE] = Path(),
) -> int:
    """Make a Signal for an agent, and wait for its result."""
    seconds = min(when.seconds(timeout), api.LONGEST) if wait else 0.0
    parameters = {"kind": kind, "wait": str(seconds)}
    path = f"/v1/agents/{quote(agent, safe='')}/signals"
    content = b"" if kind == "sync" and file is None else _content(file)
    engine = Engine(site)
    given = engine.call("POST", path, parameters, content, timeout=seconds + _MORE)
    answered = Answered.model_validate(given)
    if json:
        console.say_json(answered)
    else:
        _say(answered, wait)
    if answered.reloaded is not None:
        return exits.OK if answered.reloaded.swapped else exits.FAILED
    return _CODES.get(SignalState(answered.state), exits.OK) if wait else exits.OK


def cancel(
    signal: Annotated[
        str, Argument(metavar="ID", help="A Signal's id, as `signals` lists it.")
    ],
    json: Annotated[bool, JSON] = False,
    site: Annotated[Path, SITE] = Path(),
) -> int:
    """End the sessions of a Signal that have no verdict yet: it is parked."""
    path = f"/v1/signals/{reading.signal_id(signal)}/cancel"
    ended = Cancelled.model_validate(Engine(site).call("POST", path))
    if json:
        console.say_json(ended)
    else:
        console.line(f"{', '.join(ended.agents)}: the session ends, and its Signal is parked")
    return exits.OK


def _content(file: Path | None) -> bytes:
    """The bytes; an HL7 message with the line ends that it wants. Raises Ended for several."""
    content = file.read_bytes() if file is not None else sys.stdin.buffer.read()
    if not content.startswith(_MSH):
        return content
    found = messages.split(content)
    if len(found) != 1:
        raise Ended(exits.USAGE, f"{len(found)} messages; a Signal holds one")
    return found[0]


def _say(answered: Answered, wait: bool) -> None:
    """On standard output what the agent made of it, or without a wait the id; all else on
    standard error."""
    state = f"{answered.state} ({answered.kind})" if answered.kind != "run" else answered.state
    why = f": {answered.text}  [{answered.code}]" if answered.code else ""
    if wait or answered.kind != "run":
        console.note(f"Signal {answered.signal} {state}{why}")
    for finding in answered.reloaded.findings if answered.reloaded else ():
        console.note(finding.text)
    if wait and answered.state == SignalState.WAITING:
        console.note(f"it goes on; see `portico show {answered.signal} --follow`")
    if not wait:
        console.line(answered.signal)
    value = answered.value.encode() if answered.value else b""
    value = base64.b64decode(answered.base64) if answered.base64 else value
    if value:
        sys.stdout.buffer.write(value)
        sys.stdout.buffer.flush()
