"""What `doctor` looks at: Python, PostgreSQL, folders, ports, the kernel, limits, the site.

Nothing is changed but for a port that is opened and closed again, and a file that is made in
the data folder and removed. It blocks: the engine runs it in a thread.
"""

import asyncio
import errno
import getpass
import os
import platform
import resource
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from portico import units
from portico.api import kernel
from portico.api.shapes import Doctor, Look
from portico.check import site as sites
from portico.check.site import Site
from portico.errors import PorticoError
from portico.journal import binaries
from portico.journal.search import Search
from portico.spec.fields import HostPort
from portico.spec.finding import Finding, Severity
from portico.spec.secrets import Secret
from portico.workers import cage

GOOD, WARNING, BAD = "good", "warning", "bad"

_FILES = 8192  # open files: 5,000 connections and what else there is
_SPACE = 4 << 30


def examine(root: Path, runs: bool, environ: Mapping[str, str] | None = None) -> Doctor:
    """All looks at the machine and at this site. runs: its engine runs, so ports are taken."""
    given = os.environ if environ is None else environ
    looks = [_python(), _user(), *kernel.looks(), _files(), _cage()]
    try:
        site, findings = sites.examine(root, given)
    except PorticoError as error:
        looks.append(Look(subject="site", verdict=BAD, text=str(error)))
        return Doctor(looks=tuple(looks))
    looks += _findings(findings)
    if site is not None:
        looks += (_journal(site, given), _data(site, root), *_ports(site, runs))
    return Doctor(looks=tuple(looks))


def _python() -> Look:
    text = f"{platform.python_version()} on {platform.system()} {platform.release()}"
    return Look(subject="python", verdict=GOOD, text=text)


def _user() -> Look:
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # containers run as users that nobody has named
        name = f"uid {os.geteuid()}"
    if os.geteuid():
        return Look(subject="user", verdict=GOOD, text=name)
    text = f"{name}, which may do all; have a user for it, as deploy/systemd makes one"
    return Look(subject="user", verdict=WARNING, text=text)


def _files() -> Look:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard >= _FILES:
        return Look(subject="open files", verdict=GOOD, text=f"at most {hard}")
    text = f"at most {hard}; with LimitNOFILE={_FILES} thousands of peers can connect"
    return Look(subject="open files", verdict=WARNING, text=text)


def _cage() -> Look:
    """What keeps the code of a site in its workers."""
    walls = cage.features()
    if all(walls.values()):
        text = f"{' and '.join(walls)}: workers reach no file, network or process of others"
        return Look(subject="cage", verdict=GOOD, text=text)
    missing = ", ".join(name for name, stands in walls.items() if not stands)
    text = f"no {missing}: a site's code is trusted with what this user may; no trust: none"
    return Look(subject="cage", verdict=WARNING, text=text)


def _findings(findings: tuple[Finding, ...]) -> Iterator[Look]:
    if not findings:
        yield Look(subject="site", verdict=GOOD, text="no findings")
    for finding in findings:
        bad = finding.severity is Severity.ERROR
        yield Look(subject="site", verdict=BAD if bad else WARNING, text=str(finding))


def _journal(site: Site, environ: Mapping[str, str]) -> Look:
    settings = site.config.journal
    try:
        if settings.url is None:
            folder = site.root / settings.binaries if settings.binaries else None
            found = binaries.find(folder)
            text = f"embedded PostgreSQL {found.version_text} in {found.folder}"
        else:
            _reach(settings.url, site.root, environ)
            text = f"the journal at {settings.url} answers"
    except PorticoError as error:
        return Look(subject="journal", verdict=BAD, text=str(error))
    return Look(subject="journal", verdict=GOOD, text=text)


def _reach(url: Secret, root: Path, environ: Mapping[str, str]) -> None:
    conninfo = url.reveal(root, environ)
    search = Search(lambda: conninfo)
    try:
        asyncio.run(search.reach())
    finally:
        search.close()


def _data(site: Site, root: Path) -> Look:
    folder = root / site.config.data
    there = next(each for each in (folder, *folder.parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            free = shutil.disk_usage(there).free
    except OSError as error:
        return Look(subject="data", verdict=BAD, text=f"{folder}: {error.strerror}")
    text = f"{folder}, {free / (1 << 30):.1f} GiB free"
    if kernel.in_memory(there):
        return Look(subject="data", verdict=WARNING, text=f"{text}; it is lost with the power")
    if free < _SPACE:
        least = units.size_text(_SPACE)
        return Look(subject="data", verdict=WARNING, text=f"{text}; have {least} at least")
    return Look(subject="data", verdict=GOOD, text=text)


def _ports(site: Site, runs: bool) -> Iterator[Look]:
    wanted = {"metrics": site.config.metrics.listen}
    if site.config.api.open:
        wanted["api"] = site.config.api.listen
    for name, channel in site.channels.items():
        listen = getattr(channel.source.options, "listen", None)
        if isinstance(listen, HostPort):
            wanted[f"channel {name}"] = listen
    look: Callable[[HostPort], Look] = _taken if runs else _free
    for subject, address in wanted.items():
        yield look(address).model_copy(update={"subject": subject})


def _free(address: HostPort) -> Look:
    """Whether we could listen there."""
    if (error := _bound(address)) is not None:
        return Look(subject="", verdict=BAD, text=f"{address}: {error.strerror or error}")
    return Look(subject="", verdict=GOOD, text=f"{address} is free")


def _taken(address: HostPort) -> Look:
    """Whether the engine listens there. Nobody knocks: a channel with TLS would tell the audit
    trail of a peer that has not shown who it is.
    """
    error = _bound(address)
    if error is not None and error.errno == errno.EADDRINUSE:
        return Look(subject="", verdict=GOOD, text=f"{address} is open")
    text = (error.strerror or str(error)) if error else "nobody listens there"
    return Look(subject="", verdict=BAD, text=f"{address}: {text}")


def _bound(address: HostPort) -> OSError | None:
    """What keeps us from that address, tried for an instant; None when nothing does."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
    except OSError as error:
        return error
    return None
