"""`doctor`: the machine, the ports and the site."""

from pathlib import Path
from typing import Annotated

from portico.api import doctor as doctors
from portico.api.shapes import Doctor
from portico.cli import console, exits
from portico.cli.control import Engine
from portico.cli.exits import Ended
from portico.cli.options import JSON, SITE
from portico.errors import ConfigError

_STYLES = {"good": "green", "warning": "yellow", "bad": "bold red"}


def doctor(json: Annotated[bool, JSON] = False, site: Annotated[Path, SITE] = Path()) -> int:
    """Look at the machine, the ports and the site."""
    found = _ask(site)
    if json:
        console.say_json(found)
    else:
        made = console.table("", "", "", heading=False)
        for look in found.looks:
            console.row(
                made, look.verdict, look.subject, look.text, style=_STYLES[look.verdict]
            )
        console.show(made)
    return exits.OK if found.well else exits.FAILED


def _ask(site: Path) -> Doctor:
    """The running engine's own view, since it may see another environment; else ours."""
    try:
        return Engine(site).doctor()
    except (Ended, ConfigError):
        return doctors.examine(site.absolute(), False)
