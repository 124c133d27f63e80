"""What a command does without an engine is told to the audit trail all the same."""

import getpass
from pathlib import Path

from portico.cli import console, place
from portico.clock import SystemClock
from portico.events.emit import Event


def tell(site: Path, event: Event) -> None:
    """Into the spool of the site's audit trail, if it has one; an engine sends it from there.

    Nothing is refused because it cannot be told: who is at work needs the data now.
    """
    options = place.settings(site).audit
    if options.to is None:
        return
    from portico.audit import trail

    try:
        trail.put(place.data_folder(site), options, (event,), SystemClock().time_ns())
    except OSError as error:
        console.note(f"the audit trail was not told: {error.strerror or error}")


def me() -> str:
    """The user of this process."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
