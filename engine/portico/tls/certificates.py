"""All `tls:` settings in use: each loaded once, and anew when its files change (T5).

    secured = around.certificates.server(source.tls)      # or .client(...)
    secured.context    # ssl.SSLContext for the next handshake: ask again for each

Both check everything that the site asks for, pins and names too, before a handshake is done;
a client passes the host that it dials as `server_hostname`. Connections that stand are never
touched: a new certificate is shown from the next handshake on.
"""

import importlib
import ssl
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

from portico.errors import TlsInvalid
from portico.events.emit import Emit, Event
from portico.events.securing import CertificateKept, CertificateReloaded
from portico.spec.tls import Tls


class Expiry(NamedTuple):
    """When what we show under a name ends. at: aware, UTC."""

    name: str
    at: datetime


class Secured:
    """One `tls:` on one side, as of the last good read of its files."""

    def __init__(
        self, options: Tls, server: bool, root: Path, environ: Mapping[str, str]
    ) -> None:
        """Raises TlsInvalid."""
        # Loaded on use: a site without TLS has neither x509 nor OpenSSL's bindings in memory.
        self._contexts: Any = importlib.import_module("portico.tls.contexts")
        self.options = options
        self._server = server
        self._where = root, environ
        self._complaint = ""
        self._take(self._contexts.read(options, root, environ))

    def _take(self, material: Any) -> None:
        self.context: ssl.SSLContext = self._contexts.build(
            self.options, material, self._server
        )
        self.material = material

    @property
    def expires(self) -> datetime | None:
        """When the first of our certificates ends; None where we show none."""
        at: datetime | None = self.material.expires
        return at

    @property
    def name(self) -> str:
        """How people call it: its name in the configuration, else its certificate's file."""
        return str(self.options.name or self.options.certificate or "")

    def refresh(self) -> Event | None:
        """Use what the files hold now, where that is new and good; what there is to say."""
        try:
            material = self._contexts.read(self.options, *self._where)
            if material == self.material:
                self._complaint = ""
                return None
            self._take(material)
        except TlsInvalid as error:
            before, self._complaint = self._complaint, str(error)
            return None if before == self._complaint else CertificateKept(self.name, str(error))
        self._complaint = ""
        expires = self.expires
        return CertificateReloaded(self.name, str(expires.date()) if expires else "")


def _silent(event: Event) -> None:
    """An Emit for those who do not listen."""


class Certificates:
    """The settings in use by one engine. root: the site, for files with a relative name."""

    def __init__(
        self,
        root: Path = Path(),
        environ: Mapping[str, str] | None = None,
        emit: Emit = _silent,
    ) -> None:
        self._root = root
        self._environ = environ or {}
        self._emit = emit
        self._used: WeakValueDictionary[tuple[Tls, bool], Secured] = WeakValueDictionary()

    def server(self, options: Tls) -> Secured:
        """For those that listen. Raises TlsInvalid. Keep it: what nobody keeps is forgotten."""
        return self._secured(options, server=True)

    def client(self, options: Tls) -> Secured:
        """For those that dial. Raises TlsInvalid. Keep it, as above."""
        return self._secured(options, server=False)

    def refresh(self) -> None:
        """Look at the files of all; called each minute and at each reload."""
        for secured in tuple(self._used.values()):
            if (said := secured.refresh()) is not None:
                self._emit(said)

    def expiries(self) -> list[Expiry]:
        """When each certificate that we show ends; the first of those with one name."""
        ends: dict[str, datetime] = {}
        for secured in tuple(self._used.values()):
            at = secured.expires
            if at is not None:
                ends[secured.name] = min(at, ends.get(secured.name, at))
        return [Expiry(name, at) for name, at in sorted(ends.items())]

    def _secured(self, options: Tls, server: bool) -> Secured:
        found = self._used.get((options, server))
        if found is None:
            found = Secured(options, server, self._root, self._environ)
            self._used[options, server] = found
        return found
