"""The FTP destination: `type: ftp`, `address: HOST:PORT`, `path: DIR`, also by TLS."""

from typing import Any

from portico.destinations.contract import DestinationType, Surroundings
from portico.destinations.filing import FileTarget
from portico.destinations.remote import RemoteDestination
from portico.remote.contract import Remote
from portico.remote.ftp import FtpSession, context_of
from portico.remote.options import FtpOptions


class FtpTarget(FileTarget, FtpOptions):
    """Options of an FTP destination."""


def _build(name: str, spec: Any, around: Surroundings) -> RemoteDestination:
    context = context_of(spec.options, around.certificates)
    sessions: list[Remote] = [
        FtpSession(spec.options, around.root, around.environ, spec.connect, context)
        for _ in range(spec.connections)
    ]
    return RemoteDestination(spec, around, sessions, 1)


FTP = DestinationType(
    name="ftp",
    summary="files in a folder of an FTP server, each whole from the moment it is seen",
    options=FtpTarget,
    build=_build,
)
