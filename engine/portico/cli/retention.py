"""`retention`, `hold`, `unhold`, `holds`: what the journal lets go when, and what must stay."""

from pathlib import Path
from typing import Annotated

from typer import Argument, BadParameter, Option

from portico.cli import console, exits, reading, when
from portico.cli.control import Engine
from portico.cli.options import JSON, PHI, SITE


def retention(
    days: Annotated[int, Option(help="What goes within so many days.", min=0)] = 30,
    drop: Annotated[bool, Option("--drop", help="Drop now what is due today.")] = False,
    json: Annotated[bool, JSON] = False,
    site: Annotated[Path, SITE] = Path(),
) -> int:
    """Show which days' messages go when, and which must stay."""
    engine = Engine(site)
    plan = engine.drop_due() if drop else engine.retention(days)
    if json:
        console.say_json(plan)
        return exits.OK
    if not plan.days:
        console.note("nothing is due" if drop else f"nothing goes within {days} days")
        return exits.OK
    columns = ("DAY", "WHAT", "CHANNEL", "GOES", "SIZE", "STAYS")
    made = console.table(*columns, numbers=("SIZE",))
    for one in plan.days:
        size = "" if one.channel else f"{one.size / (1 << 20):.1f} MiB"
        console.row(made, one.day, one.part, one.channel, one.at, size, one.kept)
    console.show(made)
    return exits.OK


def hold(
    signal: Annotated[str, Argument(metavar="[ID]", help="A Signal's id.")] = "",
    patient: Annotated[str, Option(help="All of this patient (PID-3.1), to come too.")] = "",
    reason: Annotated[str, Option(help="Why; kept with the hold.")] = "",
    site: Annotated[Path, SITE] = Path(),
) -> int:
    """Keep a Signal, or a patient's, beyond retention: their days are not dropped."""
    if bool(signal) == bool(patient):
        raise BadParameter("name a Signal's id, or --patient P")
    if not reason:
        raise BadParameter("say why: --reason TEXT")
    wanted = {"reason": reason, "patient": patient}
    if signal:
        wanted["signal"] = reading.signal_id(signal)
    number = Engine(site).hold(wanted)
    console.line(f"hold {number} is set")
    return exits.OK


def unhold(
    number: Annotated[int, Argument(metavar="NUMBER", help="As `holds` lists it.")],
    site: Annotated[Path, SITE] = Path(),
) -> int:
    """End a legal hold."""
    Engine(site).unhold(number)
    console.line(f"hold {number} has ended")
    return exits.OK


def holds(
    phi: Annotated[bool, PHI] = False,
    json: Annotated[bool, JSON] = False,
    site: Annotated[Path, SITE] = Path(),
) -> int:
    """List the legal holds."""
    found = Engine(site).holds(phi)
    if json:
        console.say_json(found)
        return exits.OK
    if not found.holds:
        console.note("nothing is under a legal hold")
        return exits.OK
    made = console.table("NUMBER", "SIGNAL", "PATIENT", "SINCE", "BY", "REASON")
    for one in found.holds:
        since = when.local(one.since)
        console.row(made, one.number, one.signal or "", one.patient, since, one.by, one.reason)
    console.show(made)
    return exits.OK
