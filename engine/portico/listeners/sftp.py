"""The SFTP source: `source: {type: sftp, address: HOST:PORT, path: DIR}`; we poll."""

from typing import Any

from portico.listeners.contract import ListenerType, Receive, Surroundings
from portico.listeners.poller import DEFAULTS, Poller
from portico.listeners.remote import RemoteTray
from portico.remote.options import SshOptions
from portico.remote.sftp import SftpSession
from portico.spec.fetching import PollSource

_PATIENCE = 30.0  # seconds for connection and login
_SILENCE = 300.0  # seconds for one request, or a MiB of a file


class SftpSource(PollSource, SshOptions):
    """Options of an SFTP source. path: on the server, as its user sees it."""


def _build(channel: str, source: Any, receive: Receive, around: Surroundings) -> Poller:
    session = SftpSession(source, around.root, around.environ, _PATIENCE, _SILENCE)
    return Poller(channel, source, RemoteTray(session, source, around.scratch), around)


SFTP = ListenerType(
    name="sftp",
    summary="files of a folder of an SFTP server, each taken once; we poll",
    options=SftpSource,
    build=_build,
    defaults=DEFAULTS,
)
