"""Peers are imported as `remote.peers`; importmode importlib adds nobody's place."""

import pytest

from destinations.web import Server


@pytest.fixture
def server():
    """A web server; its script says what it answers."""
    made = Server()
    yield made
    made.shutdown()
    made.server_close()
