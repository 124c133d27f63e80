"""Who asks: the operating system's user at the other end of the control socket."""

import pwd
import socket
import struct
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, Query, Request
from uvicorn.protocols.http.h11_impl import H11Protocol

from portico.spec.fields import HostPort

_PEER = "peer"
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid: unix(7), SO_PEERCRED
UNKNOWN = "unknown"


class NamedPeer(H11Protocol):
    """HTTP whose client is called by its user's name; where it is, is part of its state."""

    def connection_made(self, transport: Any) -> None:
        """A peer has connected."""
        super().connection_made(transport)
        where = self.client
        self.client = (user_of(transport.get_extra_info("socket")), 0)
        if where is not None:
            self.app_state = {**self.app_state, _PEER: str(HostPort(*where))}


def peer_of(scope: Mapping[str, Any]) -> str:
    """Where a request came from: `host:port`; empty for the control socket."""
    return str(scope.get("state", {}).get(_PEER, ""))


def user_of(connection: Any) -> str:
    """The name of the user whose process connected; `unknown` where the kernel cannot say."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None or connection is None or connection.family != socket.AF_UNIX:
        return UNKNOWN
    found = connection.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(found)
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _who(
    request: Request,
    by: Annotated[str, Query(max_length=64, pattern=r"^[\w.@-]*$")] = "",
) -> str:
    """The user, and for whom he says to act."""
    user = request.client.host if request.client else UNKNOWN
    return f"{by} ({user})" if by and by != user else user


Who = Annotated[str, Depends(_who)]
