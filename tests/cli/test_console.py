"""What people type and read."""

import os
from datetime import UTC, datetime, timedelta

import pytest
import typer

from portico.cli import console, place, when
from portico.errors import ConfigError
from portico.spec import site as sites
from portico.spec.site import Config

NOW = datetime(2026, 3, 14, 8, tzinfo=UTC)


@pytest.mark.parametrize("text", ["\x1b[31mred", "a\nb", "\x07", "a\u202eb"])
def test_no_peer_can_paint_the_terminal(text):
    """Control characters are shown, not obeyed."""
    assert console.printable(text).isprintable()


def test_a_bar_of_progress_leaves_no_trace_in_a_file(capsys):
    """Not a line feed: standard error is no terminal there."""
    with console.progress() as bar:
        bar.advance(bar.add_task("messages", total=2), 2)

    assert capsys.readouterr() == ("", "")


def test_ordinary_text_stays_as_it_is():
    """Umlauts and all."""
    assert console.printable("Größe 5 µm") == "Größe 5 µm"


def test_a_duration_is_that_long_ago():
    """`--since 2h`."""
    before = when.now()
    meant = when.parse("2h")

    assert before <= meant + timedelta(hours=2) <= when.now()


def test_a_time_without_a_zone_is_local():
    """As a person reads the clock on the wall."""
    assert when.parse("2026-03-14T08:15") == datetime(2026, 3, 14, 8, 15).astimezone()
    assert when.parse("2026-03-14T08:00Z") == NOW


@pytest.mark.parametrize("text", ["yesterday", "", "9" * 300 + "y", "forever"])
def test_what_is_no_time_is_a_usage_error(text):
    """With examples of what is one."""
    with pytest.raises(typer.BadParameter, match="try"):
        when.parse(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0s"), (0, "0s"), (59, "59s"), (61, "1m"), (7200, "2h"), (2e5, "2d")],
)
def test_an_age_is_told_in_its_largest_unit(seconds, text):
    """Enough to know whether to worry."""
    assert when.age(NOW - timedelta(seconds=seconds), NOW) == text


def test_the_data_folder_is_the_environments_then_the_sites_then_var(tmp_path, monkeypatch):
    """The same order as the engine's."""
    monkeypatch.delenv("PORTICO_DATA", raising=False)
    none = place.data_folder(tmp_path)
    (tmp_path / "config").mkdir()
    (tmp_path / "config/portico.yaml").write_text("data: elsewhere\n")
    said = place.data_folder(tmp_path)
    monkeypatch.setenv("PORTICO_DATA", "/given")

    assert (none, said) == (tmp_path / "var", tmp_path / "elsewhere")
    assert str(place.data_folder(tmp_path)) == "/given"


def test_a_relative_data_folder_lies_below_the_site_for_both_sides(tmp_path, monkeypatch):
    """Wherever a command is called, it finds the engine that runs on it."""
    monkeypatch.setenv("PORTICO_DATA", "kept")
    config, wrong = sites.override(Config(), os.environ)

    assert wrong == []
    assert place.data_folder(tmp_path) == tmp_path / config.data == tmp_path / "kept"


def test_settings_that_cannot_be_read_are_a_finding(tmp_path):
    """With file and line."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config/portico.yaml").write_text("data: x\ndatta: y\n")
    with pytest.raises(ConfigError, match=r"config/portico.yaml:2 datta"):
        place.settings(tmp_path)
