"""`signals` and `show`: what the journal knows."""

from pathlib import Path
from typing import Annotated

from rich.text import Text
from typer import Argument, Option

from portico.api.parked import ParkedItem
from portico.api.shapes import (
    ActItem,
    Delivery,
    Message,
    Parked,
    Session,
    SignalDetail,
    SignalRow,
    TurnEvent,
)
from portico.cli import calls, console, exits, following, reading, when
from portico.cli.grid import Grid
from portico.cli.options import JSON, PHI, SITE
from portico.model.states import SignalState

_STYLES = {"parked": "bold red", "refused": "yellow", "waiting": "cyan"}


def signals(
    channel: Annotated[
        str, Option(help="Of this channel; `signal:NAME` for emitted ones.")
    ] = "",
    type: Annotated[str, Option(help="Of this type; `*` is any run: ADT^A0*.")] = "",
    control_id: Annotated[str, Option(help="With this control id (MSH-10).")] = "",
    patient: Annotated[str, Option(help="Of this patient (PID-3.1).")] = "",
    since: Annotated[str, Option(help="From then on: 2h, 2026-11-20, 2026-11-20T08:15.")] = "",
    until: Annotated[str, Option(help="Before then.")] = "",
    state: Annotated[SignalState | None, Option(help="In this state.")] = None,
    limit: Annotated[int, Option(help="At most so many.", min=1, max=1000)] = 50,
    before: Annotated[str, Option(help="The page after the one that ended with this id.")] = "",
    phi: Annotated[bool, PHI] = False,
    json: Annotated[bool, JSON] = False,
    site: Annotated[Path, SITE] = Path(),
) -> int:
    """List Signals, newest first."""
    asked = {
        "channel": channel,
        "type": type,
        "control_id": control_id,
        "patient": patient,
        "since": when.parse(since).isoformat() if since else "",
        "until": when.parse(until).isoformat() if until else "",
        "state": state or "",
        "limit": str(limit),
        "before": reading.signal_id(before) if before else "",
        "phi": "true" if phi else "",
    }
    given = {name: value for name, value in asked.items() if value}
    page = reading.EngineFirst(site).signals(given)
    if json:
        console.say_json(page)
        return exits.OK
    if not page.signals:
        console.note("no Signal fits")
        return exits.OK
    made = console.table(
        "ID", "RECEIVED", "CHANNEL", "TYPE", "CONTROL ID", "PATIENT", "SIZE", "STATE",
        numbers=("SIZE",),
    )  # fmt: skip
    for one in page.signals:
        _list(made, one)
    console.show(made)
    if page.next:
        console.note(f"there are more: --before {page.next}")
    return exits.OK


def show(
    signal: Annotated[
        str, Argument(metavar="ID", help="A Signal's id, as `signals` lists it.")
    ],
    egress: Annotated[
        bool, Option("--egress", help="What left for models and plugins, and why it might.")
    ] = False,
    follow: Annotated[
        bool, Option("--follow", help="First what its sessions do, until they have ended.")
    ] = False,
    phi: Annotated[bool, PHI] = False,
    json: Annotated[bool, JSON] = False,
    site: Annotated[Path, SITE] = Path(),
) -> int:
    """Show one Signal with all it caused."""
    if follow:
        following.follow(site, reading.signal_id(signal), json)
    if egress:
        return calls.show(site, reading.signal_id(signal), phi, json)
    found = reading.EngineFirst(site).signal(reading.signal_id(signal), phi)
    if json:
        console.say_json(found)
    else:
        _show(found)
        if not phi:
            console.note("patient data are hidden; --phi shows them")
    return exits.OK


def _list(made: Grid, one: SignalRow) -> None:
    console.row(
        made,
        one.id,
        when.local(one.received),
        one.channel,
        one.type,
        one.control_id,
        one.patient,
        one.size,
        _state(one),
        style=_STYLES.get(one.state, ""),
    )


def _state(one: SignalRow) -> str:
    return f"{one.state} ({one.ended.removeprefix('refused:')})" if one.ended else one.state


def _show(found: SignalDetail) -> None:
    one = found.signal
    console.line(f"Signal {one.id}  {_state(one)}", style="bold")
    facts = console.table("", "", heading=False)
    for name, value in (
        ("channel", one.channel),
        ("received", when.local(one.received)),
        ("from", one.peer),
        ("type", one.type),
        ("control id", one.control_id),
        ("sender", one.sender),
        ("patient", one.patient),
        ("order key", one.order_key),
        ("flags", " ".join(one.flags)),
        ("caused by", found.parent or ""),
        ("sha-256", found.sha256),
    ):
        if value:
            console.row(facts, f"  {name}", value)
    console.show(facts)
    _message("as received", found.message, "  ")
    for parked in found.parked:
        what = f"{parked.kind} {parked.number}"
        where = f" at {parked.location}" if parked.location else ""
        step = f" in step {parked.step} ({parked.at})" if parked.step else ""
        console.line(
            f"parked: {what} since {when.local(parked.since)}{step}{where}: "
            f"{why(parked)}  [{parked.code}]",
            style="bold red",
        )
    for act in found.acts:
        console.line(f"{when.local(act.at)} {act.who} {act.what} {act.id}: {act_text(act)}")
    for session in found.sessions:
        _session(session)
    for event in found.events:
        _event(event)
    for delivery in found.deliveries:
        _delivery(delivery)


def _message(title: str, message: Message, indent: str) -> None:
    console.line(f"{indent}{title}, {message.size} bytes")
    for text in message.lines:
        segment, rest = text[:3], text[3:]
        shown = Text(indent + "  ").append(console.printable(segment), style="bold")
        console.out().print(shown.append(console.printable(rest)), soft_wrap=True)


def _session(session: Session) -> None:
    agent = session.agent or "(the channel)"
    by = f" by {session.step}" if session.step else ""
    console.line(
        f"session {session.number}: {agent} {session.version[:12]} decided "
        f"{session.verdict}{by} in {session.micros / 1000:.2f} ms",
        style="bold",
    )
    for run in session.runs:
        console.line(f"    {run.name} ({run.verb}) {run.outcome} {run.micros / 1000:.2f} ms")
    for name in ("failure", "refusal"):
        told = session.detail.get(name)
        if isinstance(told, dict):
            words = ", ".join(f"{key}: {value}" for key, value in told.items() if value)
            console.line(f"    {name}: {words}")
    for log in _logs(session):
        console.line(f"    log {log}")


def _event(event: TurnEvent) -> None:
    took = f" in {event.micros / 1000:.1f} ms" if event.micros else ""
    words = (event.event, event.target, event.outcome)
    where = f"{when.local(event.at)} {event.agent}/{event.step}"
    console.line(f"    {where} {' '.join(filter(None, words))}{took}")


def _logs(session: Session) -> list[str]:
    logs = session.detail.get("logs")
    if not isinstance(logs, list):
        return []
    return [
        " ".join(str(part) for part in one.values()) for one in logs if isinstance(one, dict)
    ]


def _delivery(delivery: Delivery) -> None:
    lane = f", lane {delivery.lane}" if delivery.lane else ""
    file = f", file {delivery.file}" if delivery.file else ""
    console.line(
        f"delivery {delivery.number} to {delivery.destination}: {delivery.state}{lane}{file}",
        style="bold red" if delivery.state == "parked" else "bold",
    )
    _message("message", delivery.message, "    ")
    for attempt in delivery.attempts:
        detail = f" ({attempt.detail})" if attempt.detail else ""
        console.line(
            f"    try {attempt.number} at {when.local(attempt.at)}: {attempt.code}"
            f" {attempt.outcome} in {attempt.micros / 1000:.1f} ms{detail}"
        )
        if attempt.answer.size:
            _message("answer", attempt.answer, "      ")


def act_text(one: ActItem) -> str:
    """Why, and what came of it."""
    made = f"made {one.other}" if one.other and one.other not in one.reason else ""
    return "  ".join(part for part in (one.reason, made, one.job and f"job {one.job}") if part)


def why(one: Parked | ParkedItem) -> str:
    """The reason; where the other side gave none, what it answered."""
    return one.reason or f"the answer was {one.code}"
