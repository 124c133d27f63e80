"""server/webhook.py: an alarm as a POST."""

import json
import ssl
import threading
from pathlib import Path

import pytest

from destinations.web import Server
from portico.server import webhook
from portico.server.telling import Notice, SinkRefused
from portico.spec.secrets import Secret

NOTICE = Notice("open", "down", "destination", "lab", "away", 0, 0)
ADDRESS = Secret.parse("${env:HOOK}")


@pytest.fixture
def server():
    """A web server; its script says what it answers."""
    made = Server()
    yield made
    made.shutdown()
    made.server_close()


async def test_the_machines_cas_are_read_once_and_beside_the_loop(server, monkeypatch):
    """They take 20 ms, in which an engine would do nothing else."""
    webhook._trust.cache_clear()
    read = ssl.SSLContext.load_verify_locations
    readers = []

    def reading(*arguments):
        readers.append(threading.current_thread())
        return read(*arguments)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", reading)
    for _ in range(2):
        await webhook.send(ADDRESS, Path(), {"HOOK": server.url}, NOTICE)

    assert [json.loads(body)["name"] for _, _, body in server.seen] == ["lab", "lab"]
    assert len(readers) == 1
    assert readers[0] is not threading.main_thread()


async def test_what_the_sink_says_is_told_without_its_address(server):
    """It often holds a token."""
    server.script = [(503, {}, b"")]
    with pytest.raises(SinkRefused) as caught:
        await webhook.send(ADDRESS, Path(), {"HOOK": server.url + "/token"}, NOTICE)
    assert str(caught.value) == "503"
