"""What every test may ask for: the reactor on the tests' own loop, and real journals."""

import asyncio
import itertools
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, settings
from psycopg import sql
from psycopg.conninfo import make_conninfo

from portico.clock import SystemClock
from portico.journal import binaries, connect
from portico.journal.embedded import Embedded
from portico.journal.folder import Folder
from portico.journal.migrate import migrate
from portico.server.reactor import started
from portico.spec.tls import Tls
from portico.tls import authority
from portico.tls.authority import Issued

_numbers = itertools.count(1)

# No property is one of the machine's speed: a stall in an example is no fault of the engine.
settings.register_profile(
    "house",
    settings.get_profile(settings.get_current_profile_name()),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("house")


@pytest.fixture(scope="session")
async def reactor() -> Any:
    """Twisted's reactor, running on the event loop that all asynchronous tests share.

    Bridge to it with `deferred.asFuture(asyncio.get_running_loop())`; it is never stopped,
    because stopping it would stop the loop.
    """
    assert "twisted.internet.reactor" not in sys.modules, (
        "a module imported the reactor too early"
    )
    running = started(asyncio.get_running_loop())
    yield running
    running.disconnectAll()
    if running.threadpool is not None:
        running.threadpool.stop()


@pytest.fixture(scope="session")
def memory_folder() -> Iterator[Path]:
    """A folder in memory where there is one (three times faster), which every user may pass.

    Databases of tests are killed but never lose power. What killed tests left is removed.
    """
    place = Path("/dev/shm")
    if not os.access(place, os.W_OK) or shutil.disk_usage(place).free < 2 << 30:
        place = Path(tempfile.gettempdir())
    for left in place.glob("portico-tests-*"):
        if not Path("/proc", left.name.rpartition("-")[2]).exists():
            shutil.rmtree(left, ignore_errors=True)
    folder = place / f"portico-tests-{os.getpid()}"
    folder.mkdir()
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
async def postgres(memory_folder: Path) -> AsyncIterator[str]:
    """A conninfo of a database server where tests may make databases.

    PORTICO_JOURNAL_URL names one; else it is an embedded one, started once for all tests.
    """
    if url := os.environ.get("PORTICO_JOURNAL_URL"):
        yield url
        return
    folder = Folder(memory_folder / "shared")
    server = Embedded(folder, binaries.find(), lambda event: None, SystemClock())
    await server.start()
    yield server.conninfo
    await server.stop()
    folder.close()


@pytest.fixture(scope="session")
async def _template(postgres: str) -> AsyncIterator[str]:
    """The name of a migrated, empty database."""
    async with _database(postgres, "template0") as name:
        await migrate(make_conninfo(postgres, dbname=name))
        yield name


@pytest.fixture
async def empty_database(postgres: str) -> AsyncIterator[str]:
    """The conninfo of a database with nothing in it."""
    async with _database(postgres, "template0") as name:
        yield make_conninfo(postgres, dbname=name)


@pytest.fixture
async def journal_url(postgres: str, _template: str) -> AsyncIterator[str]:
    """The conninfo of a migrated journal of this test's own, dropped after it."""
    async with _database(postgres, _template) as name:
        yield make_conninfo(postgres, dbname=name)


class _database:
    """A database that lives as long as the block. Gives its name."""

    def __init__(self, server: str, template: str) -> None:
        self._server = server
        self._template = template
        self._name = f"test_{os.getpid()}_{next(_numbers)}"

    async def __aenter__(self) -> str:
        await self._command("create database {} template {} encoding 'UTF8'", self._template)
        return self._name

    async def __aexit__(self, *error: object) -> None:
        await self._command("drop database {} with (force)")

    async def _command(self, text: str, *names: str) -> None:
        connection: connect.Connection
        async with await psycopg.AsyncConnection.connect(
            self._server, autocommit=True
        ) as connection:
            identifiers = map(sql.Identifier, (self._name, *names))
            await connection.execute(sql.SQL(text).format(*identifiers))


class Papers:
    """Certificates of a CA of the test's own, as files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = datetime.now(UTC)
        self.ca = authority.found("CA of the tests", self.now)
        self.trust = folder / "ca.pem"
        self.trust.write_bytes(self.ca.certificate_pem)

    def issue(
        self,
        name: str = "server",
        hosts: tuple[str, ...] = (),
        ca: Issued | None = None,
        **more: Any,
    ) -> dict[str, str]:
        """`certificate` and `key` of a `tls:`; for localhost unless hosts are named."""
        hosts = hosts or ("localhost", "127.0.0.1", "::1")
        issued = authority.issue(ca or self.ca, name, hosts, self.now, **more)
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        certificate.write_bytes(issued.certificate_pem)
        key.write_bytes(issued.key_pem)
        key.chmod(0o600)
        return {"certificate": str(certificate), "key": f"${{file:{key}}}"}

    def revoke(self, *names: str, days: int = 7) -> str:
        """A list of what the CA has revoked, which ends after so many days: its file."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.ca.certificate.subject)
            .last_update(self.now - timedelta(days=30))
            .next_update(self.now + timedelta(days=days))
        )
        for name in names:
            issued = x509.load_pem_x509_certificate((self.folder / f"{name}.pem").read_bytes())
            one = x509.RevokedCertificateBuilder().serial_number(issued.serial_number)
            builder = builder.add_revoked_certificate(one.revocation_date(self.now).build())
        file = self.folder / "revoked.pem"
        file.write_bytes(builder.sign(self.ca.key, hashes.SHA256()).public_bytes(Encoding.PEM))
        return str(file)

    def tls(self, name: str = "", **options: Any) -> Tls:
        """The setting that trusts our CA and shows a new certificate of that name, if any."""
        shown = self.issue(name) if name else {}
        return Tls.model_validate({"trust": str(self.trust), **shown, **options})


@pytest.fixture
def papers(tmp_path: Path) -> Papers:
    """What TLS needs: `papers.tls("server", clients="required")`; a client: `papers.tls()`."""
    return Papers(tmp_path)
