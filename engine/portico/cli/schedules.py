"""`schedules`: when the schedules of a site fire next; and one by hand."""

import os
from itertools import islice
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from typer import Option

from portico.check import site as sites
from portico.cli import console, exits, place
from portico.cli.control import Engine
from portico.cli.options import JSON, SITE
from portico.clock import SystemClock
from portico.listeners import plan


def schedules(
    fire: Annotated[
        str, Option(metavar="CHANNEL", help="Fire this one now, in the running engine.")
    ] = "",
    count: Annotated[int, Option(help="So many times of each.", min=1, max=1000)] = 3,
    json: Annotated[bool, JSON] = False,
    site: Annotated[Path, SITE] = Path(),
) -> int:
    """Show when the schedules of a site fire next, or fire one now."""
    if fire:
        told = Engine(site).fire(fire)
        if json:
            console.say_json(told)
        else:
            console.line(f"{fire}: fired; its Signal is journaled")
        return exits.OK
    checked = sites.load_site(place.a_site(site), os.environ)
    found = [
        _plain(name, channel.source.options, count)
        for name, channel in checked.channels.items()
        if channel.source.type == "schedule"
    ]
    if json:
        console.say_json(found)
        return exits.OK
    for one in found:
        console.line(f"{one['channel']}  {one['cron']}  {one['timezone']}", style="bold")
        for planned in one["next"]:
            console.line(f"    {planned}")
    if not found:
        console.line("this site has no schedules")
    return exits.OK


def _plain(name: str, source: Any, count: int) -> dict[str, Any]:
    zone = ZoneInfo(source.timezone)
    now = SystemClock().time_ns() // 1_000_000_000
    coming = islice(plan.times(source.cron, zone, now), count)
    return {
        "channel": name,
        "cron": source.cron,
        "timezone": source.timezone,
        "next": [plan.text(planned, zone) for planned in coming],
    }
