"""A twin of the engine behind /v1, served on a real control socket."""

import asyncio
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import httpx2
import pytest

from portico.api import serve
from portico.api.shapes import Channel, Finding, Journal, Reloaded, Status
from portico.errors import JournalUnavailable
from portico.ids import SignalId
from portico.journal.found import (
    AttemptFound,
    DeliveryFound,
    ParkedFound,
    Record,
    Row,
    SessionFound,
)

AT = datetime(2026, 3, 14, 8, tzinfo=UTC)
ID = SignalId(bytes.fromhex("019ceb5be660700080000000000000aa"))
CONTENT = b"MSH|^~\\&|HIS|ST|||20260314||ADT^A01|MSG1|P|2.5.1\rPID|1||4711||Muster^Erika\r"


def a_row(**fields):
    """One Signal in a list."""
    values = {
        "id": ID, "seq": 1, "origin": "adt", "received": AT, "type": "ADT^A01",
        "control_id": "MSG1", "sender": "HIS|ST", "patient": "4711", "order_key": "4711",
        "peer": "10.0.0.1:5", "size": len(CONTENT), "flags": "replay changed", "ended": "",
        "state": "done",
    }  # fmt: skip
    return Row(**{**values, **fields})


def a_record():
    """One Signal whole."""
    attempt = AttemptFound(1, AT, "delivered", "AA", 900, "", b"MSH|^~\\&|\rMSA|AA|MSG1\r")
    delivery = DeliveryFound(
        1, 1, "his", "4711", "MSG1", "4711.hl7", "delivered", CONTENT, (attempt,)
    )
    runs = [{"name": "send_1", "verb": "send", "outcome": "ok", "micros": 9}]
    detail = {"runs": runs, "failure": None}
    session = SessionFound(1, "adt_to_his", "v1", "deliver", "", "", 70, AT, detail)
    parked = ParkedFound(
        "delivery", 2, "lab", "", False, "AR", "rejected", "", "", "PID-3", 3, AT
    )
    return Record(a_row(), CONTENT, b"\1" * 32, None, (session,), (delivery,), (parked,))


class EngineTwin:
    """An engine that has one Signal. error: what every question raises instead."""

    def __init__(self, site):
        self.site = site
        self.asked, self.told = [], []
        self.tell = self.told.append
        self.stopped = False
        self.error = None

    async def status(self):
        """A running engine with one channel."""
        self._maybe_fail()
        book = Channel(received=3, waiting=1, done=2, state="open", type="mllp")
        return Status(
            version="0", state="ready", at=AT, journal=Journal(), channels={"adt": book}
        )

    async def search(self, query, page):
        """The one Signal, on the first page."""
        self._maybe_fail()
        self.asked.append((query, page))
        return [a_row()] if page.before is None else []

    async def show(self, signal):
        """The one Signal whole."""
        self._maybe_fail()
        return a_record() if signal == ID else None

    async def reload(self):
        """Refused."""
        return Reloaded(swapped=False, findings=(Finding(severity="error", text="a: b"),))

    def stop(self):
        """Remember it."""
        self.stopped = True

    def _maybe_fail(self):
        if self.error is not None:
            raise self.error


class Served:
    """A twin on a control socket, and a client."""

    def __init__(self, engine, path):
        self.engine, self.path = engine, path

    async def ask(self, method, url, **options):
        """One request."""
        with serve.reachable(self.path) as name:
            transport = httpx2.AsyncHTTPTransport(uds=name)
            async with httpx2.AsyncClient(transport=transport, base_url="http://p") as client:
                return await client.request(method, url, **options)

    async def get(self, url, **parameters):
        """A GET."""
        return await self.ask("GET", url, params=parameters)


@asynccontextmanager
async def serving(engine, path):
    """Serves /v1 of this engine at this path while the block runs."""
    task = asyncio.create_task(serve.serve(engine, path))
    while not path.is_socket():
        if task.done():
            task.result()
        await asyncio.sleep(0.005)
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.fixture
def serve_at(served):
    """Serves the same twin at another path: `async with serve_at(path)`."""
    return lambda path: serving(served.engine, path)


@pytest.fixture
async def served(tmp_path):
    """A twin of the engine whose control socket answers."""
    twin = EngineTwin(tmp_path)
    path = serve.socket_path(tmp_path)
    async with serving(twin, path):
        yield Served(twin, path)


@pytest.fixture
def journal_down():
    """What the journal says when it is away."""
    return JournalUnavailable("the journal cannot be reached")
