"""One way in: every command is listed, documented, and ends with a line and a code."""

import asyncio
import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import typer

from portico.cli import exits, init, main
from portico.cli.table import COMMANDS

DOCS = (Path(__file__).parents[2] / "docs/commands.md").read_text()

only_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user")


def sections():
    """Command to its part of the page."""
    found = re.split(r"^## `portico (\w+)`$", DOCS, flags=re.M)
    return dict(zip(found[1::2], found[2::2], strict=True))


def options(name):
    """The options of a command as it is called, or of all commands of a group."""
    command = main.load(name)
    return {
        max(parameter.opts, key=len)
        for one in getattr(command, "commands", {name: command}).values()
        for parameter in one.params
        if parameter.opts[0].startswith("--")
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_what_the_command_says_of_itself(name):
    """`portico --help` is made without loading a command, so its words stand twice."""
    module, _, attribute = COMMANDS[name].where.partition(":")
    found = getattr(importlib.import_module(module), attribute)
    if isinstance(found, dict):
        assert all(function.__doc__ for function in found.values())
        return
    docstring = found.__doc__

    assert docstring.splitlines()[0] == COMMANDS[name].summary


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_documented(name):
    """Each option of a command stands in its section, and no other does."""
    said = set(re.findall(r"^\| `(--[a-z-]+)", sections()[name], re.M))

    assert said == options(name)


def test_every_exit_code_is_documented():
    """Scripts rely on them."""
    codes = {value for name, value in vars(exits).items() if isinstance(value, int)}

    assert {int(code) for code in re.findall(r"^\| (\d+) \|", DOCS, re.M)} == codes


async def test_help_loads_no_command(portico):
    """It must answer at once: no database, web or reactor library."""
    code = (
        "import sys; from portico.cli.main import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'psycopg', 'sqlalchemy', 'fastapi', 'twisted', 'pydantic', 'httpx2'}\n"
        "sys.exit(','.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in COMMANDS)


async def test_a_missing_file_is_one_line(portico):
    """No trace, and a code that means usage."""
    done = await portico("send", "no-such-file.hl7")

    assert (done.code, done.err) == (
        exits.USAGE,
        "portico: no-such-file.hl7: No such file or directory\n",
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("parked", "--after", "nonsense"), "'nonsense' is no place in the list"),
        (("status", "--site", "no-such-site"), "'no-such-site' does not exist"),
        (("signals", "--since", "9999-12-31T23:59-12:00"), "is no time; try '2h'"),
    ],
)
async def test_a_wrong_argument_is_a_usage_error(portico, words, said):
    """It says what is wrong with it; no trace of ours."""
    done = await portico(*words)

    assert (done.code, "Traceback" in done.err) == (exits.USAGE, False)
    assert said in " ".join(done.err.split())


def test_what_nobody_foresaw_is_one_line_without_its_words(capsys):
    """They may quote a patient; the way to it says enough to find it."""

    def broken():
        raise ValueError("PID-5 is Smith")

    with pytest.raises(typer.Exit) as end:
        main.fenced(broken)()

    said = capsys.readouterr().err
    assert end.value.exit_code == exits.DEFECT
    assert said.startswith(
        "portico: a defect of Portico, please report it: ValueError in test_"
    )
    assert said.count("\n") == 1 and "Smith" not in said


async def test_an_unknown_command_suggests_the_nearest(portico):
    """`sends` is probably `send`."""
    done = await portico("sends")

    assert done.code == exits.USAGE
    assert "send" in done.err and "Traceback" not in done.err


def test_a_broken_pipe_is_one_line():
    """`portico check --schema document | head -1` is an ordinary thing to do."""
    process = subprocess.Popen(
        [sys.executable, "-m", "portico", "check", "--schema", "document"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    err = process.stderr.read().decode()

    assert process.wait(30) == exits.PIPE
    assert err == "portico: nobody reads the output any more\n"


async def test_ctrl_c_is_one_line(peer, tmp_path):
    """A person who waits for an answer may stop waiting."""
    peer.code = None
    sample = Path(__file__).parents[2] / "samples/hl7/adt_a01.hl7"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "portico", "send", str(sample), "--to", peer.address),
        stderr=subprocess.PIPE,
    )
    while not peer.got:
        await asyncio.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = await process.communicate()

    assert (process.returncode, err) == (exits.INTERRUPTED, b"portico: interrupted\n")


async def test_a_site_without_an_engine_says_what_to_do(portico, site):
    """The message names the data folder and the way out."""
    done = await portico("status", "--site", site)

    assert done.code == exits.UNREACHABLE
    assert "portico run --site" in done.err and "PORTICO_JOURNAL_URL" in done.err
    assert done.err.count("\n") == 1


def as_user(uid, *arguments):
    """A command of another user, who may read what root may: the interpreter can lie there."""
    setpriv = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
    setpriv += [f"--{kind}-caps=-all,+dac_read_search" for kind in ("inh", "ambient")]
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "PYTHONPATH")}
    words = [*setpriv, sys.executable, "-m", "portico", *map(str, arguments)]
    return subprocess.run(words, env=kept, cwd="/", capture_output=True, text=True, timeout=60)


@pytest.fixture
def open_site():
    """A site that every user may read."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    init.init(folder)
    yield folder
    shutil.rmtree(folder)


@only_root
def test_who_is_not_the_engines_user_is_told_so(open_site):
    """And not to start another engine: the one of that folder may well run."""
    data = open_site / "var"
    data.mkdir(mode=0o700)
    done = as_user(65534, "status", "--site", open_site)

    assert done.returncode == exits.UNREACHABLE
    assert done.stderr.startswith(f"portico: the data folder {data} is user root's")
    assert "portico run" not in done.stderr


@only_root
def test_a_user_without_a_name_has_a_doctor(open_site):
    """As in a container that is given any number."""
    done = as_user(54321, "doctor", "--json", "--site", open_site)

    looks = {one["subject"]: one["text"] for one in json.loads(done.stdout)["looks"]}
    assert looks["user"] == "uid 54321"
