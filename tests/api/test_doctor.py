"""What `doctor` looks at."""

import os
import socket

import pytest

from portico.api import doctor


@pytest.fixture
def looks(tmp_path):
    """The looks at a site with these settings, by subject."""

    def look(config=""):
        (tmp_path / "config").mkdir()
        (tmp_path / "channels").mkdir()
        (tmp_path / "config/portico.yaml").write_text(config)
        return {one.subject: one for one in doctor.examine(tmp_path, False, {}).looks}

    return look


def test_the_port_of_the_api_is_looked_at_where_it_is_served(looks, unused_tcp_port):
    """Like that of the metrics."""
    address = f"127.0.0.1:{unused_tcp_port}"

    assert looks(f'api: {{listen: "{address}"}}')["api"].text == f"{address} is free"


def test_the_ports_of_a_running_engine_are_not_knocked_at(tmp_path):
    """A peer that hangs up before it has shown who it is would be a security alert."""
    (tmp_path / "config").mkdir()
    (tmp_path / "channels").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        (tmp_path / "config/portico.yaml").write_text(f'api: {{listen: "{address}"}}')
        found = {one.subject: one for one in doctor.examine(tmp_path, True, {}).looks}

        assert (found["api"].verdict, found["api"].text) == ("good", f"{address} is open")
        with pytest.raises(BlockingIOError):
            listening.accept()


def test_no_port_is_looked_at_where_the_api_is_not_served(looks):
    """It has one only if it is said."""
    assert "api" not in looks()


@pytest.mark.parametrize(("user", "verdict"), [(0, "warning"), (1000, "good")])
def test_an_engine_of_root_is_warned_of(looks, monkeypatch, user, verdict):
    """It needs no rights of root, and whoever breaks in would have them."""
    monkeypatch.setattr(os, "geteuid", lambda: user)

    assert looks()["user"].verdict == verdict
