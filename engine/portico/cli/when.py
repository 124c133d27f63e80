"""Times as people type and read them."""

from datetime import UTC, datetime, timedelta

import typer

from portico import units
from portico.clock import SystemClock, moment


def now() -> datetime:
    """The present, in UTC."""
    return moment(SystemClock().time_ns())


def parse(text: str) -> datetime:
    """`2h` (that long ago), `2026-11-20`, `2026-11-20T08:15`; without a zone: local time."""
    try:
        return now() - timedelta(seconds=units.duration(text))
    except (ValueError, OverflowError):
        pass
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text!r} is no time; try '2h' or '2026-11-20T08:15'"
        ) from None


def seconds(text: str) -> float:
    """`30s`, `5m` in seconds. Raises BadParameter."""
    try:
        return units.duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def local(at: datetime) -> str:
    """`2026-11-20 08:15:02.123`, in local time."""
    return at.astimezone().isoformat(sep=" ", timespec="milliseconds")[:23]


def age(since: datetime | None, at: datetime) -> str:
    """`3m`, `2h`: how long ago, in the largest unit; empty for None."""
    if since is None:
        return ""
    seconds = max(0, int((at - since).total_seconds()))
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
