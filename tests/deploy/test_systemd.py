"""The unit, its user and folders, and the script that installs them."""

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from portico.cli import main
from portico.cli.table import COMMANDS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy/systemd"
UNIT = DEPLOY / "portico.service"
INSTALL = DEPLOY / "install.sh"


def settings():
    """The unit's assignments in order, comments left out."""
    lines = UNIT.read_text().splitlines()
    return [tuple(line.split("=", 1)) for line in lines if re.match(r"[A-Z]\w+=", line)]


def values(key):
    """Every value of one key."""
    return [value for name, value in settings() if name == key]


@pytest.fixture
def analyze():
    """systemd-analyze, which an integration machine must have."""
    tool = shutil.which("systemd-analyze")
    if tool is None:
        assert os.environ.get("CI") != "true", "CI must install systemd-analyze"
        pytest.skip("systemd-analyze is not installed")
    return tool


def test_the_units_exposure_is_at_most_1_5(analyze):
    """The hardening is measured, not believed."""
    done = subprocess.run(
        [analyze, "security", "--offline=true", "--threshold=15", "--no-pager", UNIT],
        capture_output=True,
        text=True,
    )
    found = re.search(r"Overall exposure level for \S+: (\d+\.\d+)", done.stdout)

    assert found, done.stdout + done.stderr
    assert float(found[1]) <= 1.5
    assert done.returncode == 0


def test_systemd_understands_every_line_of_the_unit(analyze, tmp_path):
    """No misspelt key is ignored. The program itself need not be installed for this."""
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/portico/bin/portico", shutil.which("true")))
    done = subprocess.run(
        [analyze, "verify", "--recursive-errors=no", "--man=no", unit],
        capture_output=True,
        text=True,
    )

    assert [line for line in done.stderr.splitlines() if "portico" in line] == []
    assert done.returncode == 0


def test_the_site_is_checked_before_a_start_and_before_a_reload():
    """A site with findings neither starts nor replaces one that runs."""
    [before] = values("ExecStartPre")
    [start] = values("ExecStart")
    check, hup = values("ExecReload")

    assert " check --site /etc/portico" in before
    assert " run --site /etc/portico" in start
    assert check == before
    assert hup == "/bin/kill -HUP $MAINPID"


def test_the_stop_leaves_time_to_drain():
    """SIGTERM reaches the engine alone; its drain takes up to 30 seconds."""
    [stop] = values("TimeoutStopSec")

    assert values("KillMode") == ["mixed"]
    assert int(stop.removesuffix("s")) > 30


def test_no_core_dump_and_no_open_file_mode():
    """Memory and files hold patient data, so neither is left for others to read."""
    assert values("LimitCORE") == ["0"]
    assert values("UMask") == ["0077"]


def test_the_cage_of_the_workers_can_close():
    """The filter keeps what the workers' own sandbox is made of."""
    allowed = " ".join(values("SystemCallFilter")).split()

    assert {"seccomp", "landlock_create_ruleset", "landlock_restrict_self"} <= set(allowed)


def test_the_data_folder_of_the_unit_is_the_one_that_tmpfiles_makes():
    """Unit, user and folders agree on one place and one name."""
    user = (DEPLOY / "portico.sysusers").read_text()
    folders = (DEPLOY / "portico.tmpfiles").read_text()

    assert "PORTICO_DATA=/var/lib/portico" in " ".join(values("Environment"))
    assert values("User") == ["portico"]
    assert re.search(r"^u portico .* /var/lib/portico /usr/sbin/nologin$", user, re.M)
    assert re.search(r"^d /var/lib/portico +0700 portico portico -$", folders, re.M)


def dry_run(*arguments, **more):
    """What the script would do."""
    return subprocess.run(
        ["bash", INSTALL, "--dry-run", *arguments], capture_output=True, text=True, **more
    )


def test_the_install_script_is_valid_shell():
    """`bash -n` finds no error in it."""
    done = subprocess.run(["bash", "-n", INSTALL], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr


def test_a_dry_run_changes_nothing_and_names_every_file_it_would_install():
    """An operator reads what will happen before it happens."""
    done = dry_run()
    would = done.stdout

    assert done.returncode == 0, done.stderr
    assert all(line.startswith("+ ") for line in would.splitlines())
    for file in ("portico.service", "portico.sysusers", "portico.tmpfiles"):
        assert f"systemd/{file}" in would
    assert would.count("--require-hashes") == 2
    assert not Path("/opt/portico/bin.new").exists()


def test_the_running_version_is_switched_last_and_in_one_rename():
    """A failed download leaves the installed version as it was."""
    steps = dry_run().stdout.splitlines()
    [switch] = [
        n for n, step in enumerate(steps) if step.startswith("+ mv -T /opt/portico/bin.new")
    ]
    installs = [n for n, step in enumerate(steps) if " pip " in step or "systemd-" in step]

    assert switch > max(installs)


def test_a_wheel_of_another_version_is_refused(tmp_path):
    """The version folder never lies about what is in it."""
    wheel = tmp_path / "portico-99.0-py3-none-any.whl"
    wheel.write_bytes(b"")
    done = dry_run("--wheel", wheel)

    assert done.returncode == 1
    assert "is not version" in done.stderr


def test_an_unknown_option_is_refused():
    """A misspelt option never installs anything."""
    done = dry_run("--dryrun")

    assert done.returncode == 1
    assert "unknown option --dryrun" in done.stderr


def test_without_root_it_refuses():
    """It says so before it touches anything."""
    user = {"user": "nobody", "cwd": "/"} if os.getuid() == 0 else {}
    done = subprocess.run(
        ["bash", "-s"], input=INSTALL.read_text(), capture_output=True, text=True, **user
    )

    assert done.returncode == 1
    assert "needs root" in done.stderr


def test_the_readme_names_every_file_and_option():
    """What an operator reads is what is there."""
    text = (DEPLOY / "README.md").read_text()
    options = set(re.findall(r"^    (--[a-z-]+)\)", INSTALL.read_text(), re.M))

    for file in DEPLOY.iterdir():
        assert file.name == "README.md" or f"`{file.name}`" in text
    assert options
    assert {option for option in options if option not in text} == set()


@pytest.mark.parametrize("line", [*values("ExecStartPre"), *values("ExecStart")])
def test_the_commands_of_the_unit_exist_with_their_options(line):
    """The unit never starts a command that this version does not have."""
    _, name, *arguments = line.split()
    module = COMMANDS[name].where.partition(":")[0]
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"portico {name} ({module}) is not built yet")
    known = {option for each in main.load(name).params for option in each.opts}

    assert {argument for argument in arguments if argument.startswith("-")} <= known
