"""`replay` and `jobs`: old Signals run anew, one or many, seen before it is done."""

import time
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from typer import Argument, Option

from portico.api import replay as api
from portico.api.replay import Job, Previewed
from portico.cli import console, exits, reading, when
from portico.cli.control import Engine
from portico.cli.exits import Ended
from portico.cli.options import JSON, SITE
from portico.journal.search import Search
from portico.model.states import SignalState

_LOOK = 0.5
_SLOW = 600.0  # seconds for a preview


def replay(
    ids: Annotated[list[str] | None, Argument(metavar="ID...", help="Signals.")] = None,
    channel: Annotated[str, Option(help="Of this channel.")] = "",
    type: Annotated[str, Option(help="Of this type; `*` is any run: ADT^A0*.")] = "",
    control_id: Annotated[str, Option(help="With this control id (MSH-10).")] = "",
    patient: Annotated[str, Option(help="Of this patient (PID-3.1).")] = "",
    since: Annotated[str, Option(help="From then on: 2h, 2026-11-20, 2026-11-20T08:15.")] = "",
    until: Annotated[str, Option(help="Before then.")] = "",
    state: Annotated[SignalState | None, Option(help="In this state.")] = None,
    as_recorded: Annotated[
        bool,
        Option("--as-recorded", help="By the agents that ran them, in the versions that did."),
    ] = False,
    rate: Annotated[float, Option(help="Signals a second.", min=0.1, max=10_000)] = 100.0,
    preview: Annotated[bool, Option("--preview", help="Show what would be done.")] = False,
    sample: Annotated[
        int, Option(help="Signals that a preview runs.", min=1, max=api.MOST_PREVIEWED)
    ] = 100,
    yes: Annotated[bool, Option("--yes", help="Do it without a preview.")] = False,
    detach: Annotated[bool, Option("--detach", help="Do not wait for the end.")] = False,
    json: Annotated[bool, JSON] = False,
    site: Annotated[Path, SITE] = Path(),
) -> int:
    """Run old Signals anew, through the agents of today or those that ran them."""
    wanted: dict[str, Any] = {
        "signals": [reading.signal_id(one) for one in ids or ()],
        "channel": channel,
        "type": type,
        "control_id": control_id,
        "patient": patient,
        "since": when.parse(since).isoformat() if since else None,
        "until": when.parse(until).isoformat() if until else None,
        "state": state,
    }
    wanted = {name: value for name, value in wanted.items() if value}
    if bool(ids) == any(name != "signals" for name in wanted):
        raise typer.BadParameter("give ids, or a filter such as --channel")
    wanted |= {"as_recorded": as_recorded, "rate": rate}
    engine = Engine(site)
    if preview or not yes:
        seen = _preview(engine, wanted, sample)
        if preview or not seen.total:
            _show(seen, json)
            return exits.OK
        if not json:  # standard output is the job's then
            _show(seen, json)
        if not typer.confirm(f"replay {console.counted(seen.total, 'Signal')}?", err=True):
            return exits.INTERRUPTED
    job = Job.model_validate(engine.call("POST", "/v1/replays", {}, wanted, _SLOW))
    return _end(job if detach else _watch(engine, job), json)


def jobs(
    watch: Annotated[str, Option(metavar="JOB", help="Wait for the end of this one.")] = "",
    cancel: Annotated[str, Option(metavar="JOB", help="End this one where it is.")] = "",
    limit: Annotated[int, Option(help="At most so many.", min=1, max=1000)] = 20,
    json: Annotated[bool, JSON] = False,
    site: Annotated[Path, SITE] = Path(),
) -> int:
    """List replays of many, newest first; watch or cancel one."""
    if cancel:
        path = f"/v1/replays/{_job(cancel)}/cancel"
        return _end(Job.model_validate(Engine(site).call("POST", path)), json)
    if watch:
        engine = Engine(site)
        return _end(_watch(engine, _look(engine, _job(watch))), json)

    async def read(search: Search) -> list[Job]:
        return [api.job(one) for one in await search.jobs(limit)]

    found = reading.either(site, lambda engine: _jobs(engine, limit), read)
    if json:
        console.say_json(found)
        return exits.OK
    if not found:
        console.note("no replay has been asked for")
        return exits.OK
    numbers = ("MADE", "SKIPPED", "TOTAL")
    made = console.table("ID", "BEGUN", "WHO", "WHAT", *numbers, "STATE", numbers=numbers)
    for one in found:
        counts = (one.made, one.skipped, one.total)
        state = f"{one.state} {one.note}".strip()
        console.row(made, one.id, when.local(one.at), one.who, one.what, *counts, state)
    console.show(made)
    return exits.OK


def _job(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no id of a job") from None


def _jobs(engine: Engine, limit: int) -> list[Job]:
    found = engine.call("GET", "/v1/replays", {"limit": str(limit)})
    return [Job.model_validate(one) for one in found]


def _look(engine: Engine, job: str) -> Job:
    for one in _jobs(engine, 1000):
        if one.id == job:
            return one
    raise Ended(exits.FAILED, f"there is no job {job}")


def _watch(engine: Engine, job: Job) -> Job:
    """Wait for its end behind a progress bar. Ctrl-C ends the watching, not the job."""
    with console.progress() as bar:
        task = bar.add_task("Signals", total=job.total)
        while job.state == "running":
            bar.update(task, completed=job.made + job.skipped)
            time.sleep(_LOOK)
            job = _look(engine, job.id)
        bar.update(task, completed=job.made + job.skipped)
    return job


def _end(job: Job, json: bool) -> int:
    if json:
        console.say_json(job)
    else:
        skipped = f", {job.skipped} skipped (`portico acts` says why)" if job.skipped else ""
        console.line(f"job {job.id} {job.state}: {job.made} of {job.total} replayed{skipped}")
    return exits.FAILED if job.state == "failed" else exits.OK


def _preview(engine: Engine, wanted: dict[str, Any], sample: int) -> Previewed:
    path, most = "/v1/replays/preview", {"most": str(sample)}
    return Previewed.model_validate(engine.call("POST", path, most, wanted, _SLOW))


def _show(seen: Previewed, json: bool) -> None:
    if json:
        console.say_json(seen)
        return
    fits = "fits" if seen.total == 1 else "fit"
    console.line(f"{console.counted(seen.total, 'Signal')} {fits}", style="bold")
    if seen.seen < seen.total:
        console.line(f"of the first {seen.seen}, run without storing anything:")
    made = console.table("WHAT", "COUNT", numbers=("COUNT",))
    for agent in seen.agents:
        console.row(made, f"agent {agent.agent} decides {agent.verdict}", agent.count)
    for fault in seen.faults:
        console.row(made, f"  fails in {fault.agent} {fault.step}: {fault.code}", fault.count)
    for name, count in seen.destinations.items():
        console.row(made, f"to destination {name}", count)
    for name, count in seen.signals.items():
        console.row(made, f"emits {name}", count)
    for reason, count in seen.skipped.items():
        console.row(made, f"skipped: {reason}", count)
    console.show(made)
