"""The registry of plugins, and steps that call them: every mistake with its line."""

import json
from hashlib import sha256

import pytest

from portico.check.plugins import read_registry
from portico.spec.finding import Severity
from portico.spec.site import Config

TOOLS = json.dumps(
    {
        "tools": [
            {
                "name": "add",
                "inputSchema": {
                    "type": "object",
                    "properties": {"a": {"type": "number"}},
                    "required": ["a"],
                    "additionalProperties": False,
                },
            }
        ]
    }
)
CHANNEL = """\
channel: in
source: {type: mllp, listen: "127.0.0.1:2575"}
"""
AGENT = """\
agent: one
goal: To see
on: {channel: in}
steps:
  - plugin: {call: CALL, with: {a: "CONSTANT"}, content: hl7}
"""


def registry(**changed):
    """A document that is right, but for what changed; None leaves a key out."""
    pins = {
        "p/calc.py": sha256(b"").hexdigest(),
        "p/tools.json": sha256(TOOLS.encode()).hexdigest(),
    }
    keys = {
        "plugin": "calc",
        "version": "1",
        "language": "python",
        "run": "p/calc.py",
        "tools": "p/tools.json",
        "files": pins,
        **changed,
    }
    return "".join(f"{k}: {json.dumps(v)}\n" for k, v in keys.items() if v is not None)


def said(site, text, tools=TOOLS):
    """Code and line of what is wrong with the registry."""
    site.write({"p/calc.py": "", "p/tools.json": tools, "transforms/plugins.yaml": text})
    _, findings = read_registry(site.root, Config())
    return [(one.code, one.line) for one in findings]


def test_a_registry_that_is_right_gives_its_tools(site):
    """By plugin and tool, with the schemas as a step wants them."""
    assert said(site, registry()) == []

    found, _ = read_registry(site.root, Config())

    assert list(found["calc"].tools) == ["add"]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"version": None}, [("config.missing_key", 1)]),
        ({"colour": "red"}, [("config.unknown_key", 7)]),
        ({"language": "cobol"}, [("config.choice", 3)]),
        ({"run": "../calc.py"}, [("config.value", 4)]),
        ({"errors": {"Bad Code": "permanent"}}, [("config.name", 7)]),
        ({"errors": {"bad": "often"}}, [("config.choice", 7)]),
        ({"limits": {"memory": "much"}}, [("config.size", 7)]),
        ({"limits": {"answer": "1GiB"}}, [("config.value", 7)]),
        ({"files": {"p/calc.py": "abc"}}, [("config.value", 6)]),
    ],
)
def test_what_is_wrong_with_a_document_is_said_where_it_stands(site, changed, expected):
    """Code and line, all at once."""
    assert said(site, registry(**changed)) == expected


def test_a_changed_file_is_an_error_that_names_what_it_is_now(site):
    """Whoever knows the change copies the new pin from the hint."""
    site.write({"p/calc.py": "print()", "p/tools.json": TOOLS})
    site.write({"transforms/plugins.yaml": registry()})

    _, (finding,) = read_registry(site.root, Config())

    assert finding.code == "site.plugin_pin"
    assert sha256(b"print()").hexdigest() in finding.hint


def test_files_that_are_not_pinned_or_not_there_are_errors(site):
    """`run` and `tools` are part of what is pinned."""
    pins = {"p/gone.py": "0" * 64}

    assert said(site, registry(files=pins)) == [
        ("site.plugin_pin", 4),
        ("site.plugin_pin", 5),
        ("site.plugin_pin", 6),
    ]


@pytest.mark.parametrize(
    "tools",
    ["", "[]", '{"tools": []}', '{"tools": [{"name": "a b", "inputSchema": {}}]}',
     '{"tools": [{"name": "a"}]}',
     '{"tools": [{"name": "a", "inputSchema": {"type": "array"}}]}',
     '{"tools": [{"name": "a", "inputSchema": {"type": "object", "required": 1}}]}'],
)  # fmt: skip
def test_tools_that_are_none_are_said(site, tools):
    """A schema is looked at when the site is checked, not when a message comes."""
    pins = {
        "p/calc.py": sha256(b"").hexdigest(),
        "p/tools.json": sha256(tools.encode()).hexdigest(),
    }

    assert said(site, registry(files=pins), tools) == [("site.plugin", 5)]


def test_two_plugins_of_one_name(site):
    """The second is said, with where the first stands."""
    assert said(site, f"{registry()}---\n{registry()}") == [("site.duplicate_name", 8)]


def test_a_runtime_that_is_not_there_is_a_warning(site, monkeypatch):
    """The site runs; its calls fail, and may work once the runtime is there."""
    monkeypatch.setenv("PATH", "/nowhere")
    pins = {
        "p/calc.js": sha256(b"").hexdigest(),
        "p/tools.json": sha256(TOOLS.encode()).hexdigest(),
    }
    site.write({"p/calc.js": "", "p/tools.json": TOOLS})
    text = registry(language="node", run="p/calc.js", files=pins)
    site.write({"transforms/plugins.yaml": text})

    _, (finding,) = read_registry(site.root, Config())

    assert (finding.code, finding.severity) == ("site.plugin_runtime", Severity.WARNING)


def test_a_registry_that_is_named_must_be_there(site):
    """Without the key, no file means no plugins."""
    assert read_registry(site.root, Config()) == ({}, [])

    _, (finding,) = read_registry(site.root, Config(plugins="other.yaml"))

    assert finding.code == "site.plugin"


@pytest.mark.parametrize(
    ("call", "constant", "code"),
    [
        ("clac.add", "1", "site.unknown_plugin"),
        ("calc.sum", "1", "site.unknown_tool"),
        ("calc", "1", "config.call"),
        ("calc.add", "many", "config.step"),
    ],
)
def test_a_step_that_calls_what_is_not_there(site, call, constant, code):
    """Unknown plugins and tools, and constants that the schema cannot take."""
    said(site, registry())
    agent = AGENT.replace("CALL", call).replace("CONSTANT", constant)

    found = site.said(CHANNEL, agent)

    assert [(what, line) for what, line, _ in found] == [(code, 8)]


def test_a_site_with_a_plugin_can_run(site):
    """Its agent carries the schemas, so a worker needs no registry."""
    said(site, registry())
    site.said(CHANNEL, AGENT.replace("CALL", "calc.add").replace("CONSTANT", "1"))

    found, _ = site.examine()

    assert set(found.agents["one"].plain()["tools"]) == {"calc.add"}
