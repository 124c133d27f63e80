"""What systemd is told: ready, reloading, stopping, alive (sd_notify(3))."""

import os
import socket
from collections.abc import Mapping


class Notifier:
    """Speaks to the service manager, or to nobody when there is none."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        micros = environ.get("WATCHDOG_USEC", "")
        self.watchdog = int(micros) / 2e6 if micros.isdigit() else 0.0

    def say(self, state: str) -> None:
        """Send `READY=1`, `WATCHDOG=1` or the like; a deaf manager is no fault."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
                line.sendto(state.encode(), self._address)
        except OSError:
            return
