"""What `doctor` looks at."""

import os

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


def test_no_port_is_looked_at_where_the_api_is_not_served(looks):
    """It has one only if it is said."""
    assert "api" not in looks()


@pytest.mark.parametrize(("user", "verdict"), [(0, "warning"), (1000, "good")])
def test_an_engine_of_root_is_warned_of(looks, monkeypatch, user, verdict):
    """It needs no rights of root, and whoever breaks in would have them."""
    monkeypatch.setattr(os, "geteuid", lambda: user)

    assert looks()["user"].verdict == verdict
