"""`backup` and `restore`: the embedded journal with the site's files, and back again."""

import asyncio
from datetime import datetime
from pathlib import Path
from shlex import quote
from typing import Annotated

from typer import Argument, Option

from portico import __version__
from portico.cli import audited, console, exits, place, when
from portico.cli.exits import Ended
from portico.cli.options import SITE
from portico.clock import SystemClock
from portico.errors import JournalLocked
from portico.events.auditing import BackupTaken
from portico.journal import backup as backups
from portico.journal import binaries, restored
from portico.journal.binaries import Binaries
from portico.journal.embedded import Embedded
from portico.journal.folder import Folder
from portico.spec.site import Config

_DBA = (
    "the journal is a PostgreSQL of your own: back it up with its tools (pg_basebackup, "
    "pgBackRest, snapshots), and config/, channels/ and transforms/ with yours"
)


def backup(
    target: Annotated[Path, Argument(metavar="DIR", help="A new folder.")],
    site: Annotated[Path, SITE] = Path(),
) -> int:
    """Back up the embedded journal and the site's files, while the engine works."""
    site, config = place.a_site(site), place.settings(site)
    if config.journal.url is not None:
        raise Ended(exits.FAILED, _DBA)
    data = place.data_folder(site).absolute()
    if not (data / "postgres").is_dir():
        raise Ended(exits.FAILED, f"there is no journal in {data}")
    made = asyncio.run(_take(target, data, site, _programs(site, config)))
    audited.tell(site, BackupTaken(audited.me(), str(target.absolute())))
    console.line(f"{target}: journal, data and site, backed up at {_at(made)}")
    console.note(
        "it holds patient data, the journal's password and whatever secrets lie in config/: "
        "keep it so"
    )
    return exits.OK


def restore(
    source: Annotated[Path, Argument(metavar="DIR", help="What `backup` made.")],
    data: Annotated[Path, Option(help="A new data folder.", file_okay=False)],
    files: Annotated[Path | None, Option(help="A new folder for the site's files.")] = None,
    send: Annotated[bool, Option("--send", help="Let destinations send at once.")] = False,
    site: Annotated[Path, SITE] = Path(),
) -> int:
    """Make a data folder of a backup: proved whole, started once, its destinations paused."""
    programs = _programs(site, place.settings(site))
    made = backups.check(source, programs)
    backups.put_back(source, data)
    if files is not None:
        backups.put_back_site(source, files)
    found = asyncio.run(_wake(data, programs, send))
    backups.finish(data)
    console.line(
        f"{data}: the journal of {_at(made)} with {console.counted(found.signals, 'Signal')} "
        f"at work, {found.queued} Deliveries queued, {found.parked} parked"
    )
    if not send:
        paused = console.counted(found.paused, "destination")
        console.note(
            f"{paused} paused: what was sent after the backup would be sent again; "
            "`portico resume NAME` lets one send"
        )
    run = files if files is not None else site
    there = quote(str(data.absolute()))  # what is relative would be below the site
    console.note(f"run it: PORTICO_DATA={there} portico run --site {quote(str(run))}")
    return exits.OK


def _at(made: backups.Backup) -> str:
    return when.local(datetime.fromisoformat(made.taken))


async def _take(target: Path, data: Path, site: Path, programs: Binaries) -> backups.Backup:
    """Of the running engine's PostgreSQL, else of one that is started for it."""
    versions = (__version__, when.now().isoformat())
    try:
        folder = Folder(data)
    except JournalLocked:
        return await asyncio.to_thread(backups.take, target, data, site, programs, versions)
    server = Embedded(folder, programs, lambda event: None, SystemClock())
    try:
        await server.start()
        return await asyncio.to_thread(backups.take, target, data, site, programs, versions)
    finally:
        await server.stop()
        folder.close()


async def _wake(data: Path, programs: Binaries, send: bool) -> restored.Unfinished:
    """Start it once, so that what cannot start is known now."""
    folder = Folder(data, restoring=True)
    server = Embedded(folder, programs, lambda event: None, SystemClock())
    try:
        await server.start()
        return await restored.settle(server.conninfo, when.now(), send)
    finally:
        await server.stop()
        folder.close()


def _programs(site: Path, config: Config) -> Binaries:
    chosen = config.journal.binaries
    return binaries.find(site.absolute() / chosen if chosen else None)
