"""The FTP destination: `type: ftp`, `address: HOST:PORT`, `path: DIR`, also by TLS."""

from typing import Any, Literal

from portico.destinations.contract import DestinationType, Surroundings
from portico.destinations.remote import RemoteDestination
from portico.language.template import Template
from portico.remote.contract import Remote
from portico.remote.ftp import FtpSession, context_of
from portico.remote.options import FtpOptions
from portico.spec.rules import TemplateField


class FtpTarget(FtpOptions):
    """Options of an FTP destination. path: on the server; it has to be there.

    file: template of the name. exists: what to do when another file has that name.
    """

    path: str
    file: TemplateField = Template.parse("{received:%Y%m%d%H%M%S}-{id}.hl7")
    exists: Literal["fail", "number", "replace"] = "number"


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
