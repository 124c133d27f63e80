"""/v1 on the control socket: HTTP on a Unix socket that only its owner may open.

The socket lies in the data folder. A Unix address ends at 107 bytes (unix(7)), and a data
folder's path may be longer, so both sides go through an open descriptor of the folder.
"""

import asyncio
import importlib
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from portico.api.port import EnginePort

SOCKET = "control.sock"
_GRACE = 2  # seconds that an open request may take once the engine stops


def socket_path(data: Path) -> Path:
    """Where the control socket of a data folder lies."""
    return data / SOCKET


@contextmanager
def reachable(path: Path) -> Iterator[str]:
    """A name of this socket that fits a Unix address, good inside the `with`."""
    if sys.platform != "linux":
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


async def serve(engine: EnginePort, path: Path) -> None:
    """Serve /v1 on this socket until the task is cancelled; a socket left behind is replaced.

    It is there before the first wait. The web parts are loaded then, in a thread, so that no
    start waits for them; who asks meanwhile does. Raises OSError when it cannot be made.
    """
    listening = _listen(path)
    try:
        http = await asyncio.to_thread(importlib.import_module, "portico.api.http")
        await http.run(engine, listening, _GRACE)
    finally:
        listening.close()
        with suppress(OSError):
            os.unlink(path)


def _listen(path: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    draft = path.with_name(path.name + ".new")
    try:
        draft.unlink(missing_ok=True)
        with reachable(draft) as name:
            listening.bind(name)
        draft.chmod(0o600)
        listening.listen(64)
        listening.setblocking(False)
        draft.replace(path)
    except OSError:
        listening.close()
        raise
    return listening
