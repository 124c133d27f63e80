"""`portico plugins`: the registry of a site, whether it works here, one call by hand."""

import json
from hashlib import sha256

from portico.cli import exits

from .conftest import ROOT

SAMPLE = ROOT / "samples/plugins"


async def test_list_names_plugins_and_tools(portico):
    """For people, and as JSON with the schemas."""
    told = await portico("plugins", "list", "--site", SAMPLE)
    found = await portico("plugins", "list", "--json", "--site", SAMPLE)

    assert told.code == exits.OK, told.err
    assert "calc_py" in told.out and "look_up" in told.out
    tools = {one["plugin"]: [tool["name"] for tool in one["tools"]] for one in found.json}
    assert tools["codes"] == ["look_up"]


async def test_a_tool_is_called_by_hand(portico):
    """10 + 5; what it says beside goes to standard error."""
    given = json.dumps({"a": 10, "b": 5})
    done = await portico(
        "plugins", "invoke", "calc_py.add_numbers", "--with", given, "--site", SAMPLE
    )

    assert done.code == exits.OK, done.err
    assert done.json == {"result": 15}


async def test_a_typed_failure_has_an_exit_code_of_its_own(portico):
    """4: it answered, and did not accept."""
    given = json.dumps({"a": 10, "b": 0})
    done = await portico(
        "plugins", "invoke", "calc_py.divide_numbers", "--with", given, "--site", SAMPLE
    )

    assert done.code == exits.REFUSED
    assert "division_by_zero" in done.err


async def test_what_cannot_be_called_is_a_wrong_use(portico):
    """An unknown tool, and arguments that are no object."""
    unknown = await portico("plugins", "invoke", "calc_py.sum", "--site", SAMPLE)
    no_object = await portico(
        "plugins", "invoke", "calc_py.add_numbers", "--with", "[1]", "--site", SAMPLE
    )

    assert (unknown.code, no_object.code) == (exits.USAGE, exits.USAGE)
    assert "has no tool 'sum'" in unknown.err


async def test_check_finds_a_plugin_that_does_not_start(portico, tmp_path):
    """Named with the reason; the exit code says that something is wrong."""
    program = "raise SystemExit(1)"
    tools = json.dumps({"tools": [{"name": "do", "inputSchema": {"type": "object"}}]})
    pins = {
        "own/p.py": sha256(program.encode()).hexdigest(),
        "own/t.json": sha256(tools.encode()).hexdigest(),
    }
    (tmp_path / "own").mkdir()
    (tmp_path / "channels").mkdir()
    (tmp_path / "transforms").mkdir()
    (tmp_path / "own/p.py").write_text(program)
    (tmp_path / "own/t.json").write_text(tools)
    (tmp_path / "transforms/plugins.yaml").write_text(
        "plugin: own\nversion: 1\nlanguage: python\nrun: own/p.py\ntools: own/t.json\n"
        f"files: {json.dumps(pins)}\n"
    )

    done = await portico("plugins", "check", "--site", tmp_path)

    assert done.code == exits.FAILED
    assert "own" in done.out and "plugin." in done.out
