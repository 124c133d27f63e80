"""The FTP source: `source: {type: ftp, address: HOST:PORT, path: DIR}`; we poll."""

from typing import Any

from portico.listeners.contract import ListenerType, Receive, Surroundings
from portico.listeners.poller import DEFAULTS, Poller
from portico.listeners.remote import RemoteTray
from portico.remote.ftp import FtpSession, context_of
from portico.remote.options import FtpOptions
from portico.spec.fetching import PollSource

_PATIENCE = 30.0  # seconds for connection and login
_SILENCE = 60.0  # seconds in which the server has to answer a command, or send a byte


class FtpSource(PollSource, FtpOptions):
    """Options of an FTP source. path: on the server, as its user sees it."""


def _build(channel: str, source: Any, receive: Receive, around: Surroundings) -> Poller:
    context = context_of(source, around.certificates)
    session = FtpSession(source, around.root, around.environ, _PATIENCE, context, _SILENCE)
    return Poller(channel, source, RemoteTray(session, source, around.scratch), around)


FTP = ListenerType(
    name="ftp",
    summary="files of a folder of an FTP server, each taken once; we poll",
    options=FtpSource,
    build=_build,
    defaults=DEFAULTS,
)
