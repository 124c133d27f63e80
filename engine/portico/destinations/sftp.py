"""The SFTP destination: `type: sftp`, `address: HOST:PORT`, `path: DIR`."""

from typing import Any

from portico.destinations.contract import DestinationType, Surroundings
from portico.destinations.filing import FileTarget
from portico.destinations.remote import RemoteDestination
from portico.remote.options import SshOptions
from portico.remote.sftp import SftpSession

_AT_A_TIME = 8  # files in work on one connection


class SftpTarget(FileTarget, SshOptions):
    """Options of an SFTP destination."""


def _build(name: str, spec: Any, around: Surroundings) -> RemoteDestination:
    session = SftpSession(spec.options, around.root, around.environ, spec.connect)
    return RemoteDestination(spec, around, [session], _AT_A_TIME)


SFTP = DestinationType(
    name="sftp",
    summary="files in a folder of an SFTP server, each whole from the moment it is seen",
    options=SftpTarget,
    build=_build,
)
