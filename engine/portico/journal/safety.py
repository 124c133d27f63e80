"""Whether a database keeps what it confirms: asked at every connect, refused when it does not.

With fsync off a kill -9 lost nothing and a power cut lost all of 43,596 commits, so a database
that seems to work proves nothing; its settings do.
"""

from dataclasses import dataclass

from portico.errors import JournalUnsafe
from portico.journal.binaries import OLDEST

# What the database says of itself, as texts; null for what it does not know.
QUERY = """
select current_setting('server_version_num')::int / 10000,
       current_setting('fsync', true), current_setting('full_page_writes', true),
       current_setting('synchronous_commit', true), pg_is_in_recovery(),
       getdatabaseencoding()
"""


@dataclass(frozen=True, slots=True)
class Settings:
    """One row of QUERY."""

    version: int
    fsync: str | None
    full_page_writes: str | None
    synchronous_commit: str | None
    standby: bool
    encoding: str


def faults(settings: Settings) -> list[str]:
    """Every reason not to trust it, each with what would be right; empty when it is safe."""
    found = []
    if settings.version < OLDEST:
        found.append(f"PostgreSQL {settings.version} is too old; use {OLDEST} or later")
    if settings.standby:
        found.append("it is a standby (pg_is_in_recovery()); name the primary")
    for name in ("fsync", "full_page_writes", "synchronous_commit"):
        if getattr(settings, name) == "off":
            found.append(f"{name} is off, so confirmed messages can be lost; set {name} = on")
    if settings.encoding != "UTF8":
        found.append(f"the database's encoding is {settings.encoding}; make one with UTF8")
    return found


def require(settings: Settings, place: str) -> None:
    """Raises JournalUnsafe with all the reasons. place: what the operator calls it."""
    if found := faults(settings):
        raise JournalUnsafe(f"the database at {place} is not safe: " + "; ".join(found))
