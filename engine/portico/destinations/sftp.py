"""The SFTP destination: `type: sftp`, `address: HOST:PORT`, `path: DIR`."""

from typing import Any, Literal

from portico.destinations.contract import DestinationType, Surroundings
from portico.destinations.remote import RemoteDestination
from portico.language.template import Template
from portico.remote.options import SshOptions
from portico.remote.sftp import SftpSession
from portico.spec.rules import TemplateField

_AT_A_TIME = 8  # files in work on one connection


class SftpTarget(SshOptions):
    """Options of an SFTP destination. path: on the server; it has to be there.

    file: template of the name. exists: what to do when another file has that name.
    """

    path: str
    file: TemplateField = Template.parse("{received:%Y%m%d%H%M%S}-{id}.hl7")
    exists: Literal["fail", "number", "replace"] = "number"


def _build(name: str, spec: Any, around: Surroundings) -> RemoteDestination:
    session = SftpSession(spec.options, around.root, around.environ, spec.connect)
    return RemoteDestination(spec, around, [session], _AT_A_TIME)


SFTP = DestinationType(
    name="sftp",
    summary="files in a folder of an SFTP server, each whole from the moment it is seen",
    options=SftpTarget,
    build=_build,
)
