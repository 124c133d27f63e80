"""Plugins made of a few lines of Python, run as the engine runs every plugin."""

import asyncio
import hashlib
import json
from pathlib import Path

import pytest

from portico.clock import SystemClock
from portico.events.metrics import Metrics
from portico.plugins.crew import Crew, World
from portico.spec.plugin import Plugin, read_tools

TOOL = {
    "name": "do",
    "inputSchema": {"type": "object", "properties": {"what": {"type": "string"}}},
    "outputSchema": {
        "type": "object",
        "properties": {"result": {"type": "string"}},
        "required": ["result"],
    },
}
SERVER = """\
import json, os, sys, time
TOOL = {tool!r}
CANCELLED = []

def say(value):
    sys.stdout.write(json.dumps(value) + "\\n")
    sys.stdout.flush()

def answer(number, result):
    say({{"jsonrpc": "2.0", "id": number, "result": result}})

def gives(number, text):
    answer(number, {{"content": [], "structuredContent": {{"result": text}}}})

def do(number, what, asked):
{body}

for line in sys.stdin:
    asked = json.loads(line)
    number, method = asked.get("id"), asked.get("method")
    if method == "initialize":
        answer(number, {{"protocolVersion": "2025-06-18", "capabilities": {{"tools": {{}}}},
                         "serverInfo": {{"name": "t", "version": "1"}}}})
    elif method == "tools/list":
        answer(number, {{"tools": [TOOL]}})
    elif method == "ping":
        answer(number, {{}})
    elif method == "notifications/cancelled":
        CANCELLED.append(asked["params"]["requestId"])
    elif method == "tools/call":
        do(number, asked["params"]["arguments"].get("what", ""), asked)
"""


class Bench:
    """Makes crews of plugins, and keeps what they say."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.events = []
        self.metrics = Metrics()
        self.crews = []
        self.environ = {"PATH": "/usr/bin:/bin", "SECRET_KEY": "hunter2"}

    def plugin(self, body: str, whole: str = "", **options) -> Plugin:
        """A plugin whose tool `do` has this body; whole: the program in its place."""
        folder = self.root / "own"
        folder.mkdir(exist_ok=True)
        indented = "".join(f"    {line}\n" for line in body.splitlines())
        text = whole or SERVER.format(tool=TOOL, body=indented)
        (folder / "server.py").write_text(text)
        (folder / "tools.json").write_text(json.dumps({"tools": [TOOL]}))
        files = ("own/server.py", "own/tools.json")
        pins = {f: hashlib.sha256((self.root / f).read_bytes()).hexdigest() for f in files}
        given = {"plugin": "t", "version": "1", "language": "python", **options}
        return Plugin(run=files[0], tools=files[1], files=pins, **given)

    def crew(self, plugin: Plugin) -> Crew:
        """The crew of a plugin, nothing started yet."""
        world = World(SystemClock(), self.events.append, self.metrics, self.environ, self.root)
        tools = read_tools((self.root / plugin.tools).read_bytes())
        self.crews.append(Crew(plugin, tools, world))
        return self.crews[-1]

    def named(self, name: str) -> list:
        """The events of that class, so far."""
        return [event for event in self.events if type(event).__name__ == name]


@pytest.fixture
async def bench(tmp_path):
    """A bench whose processes end with the test."""
    made = Bench(tmp_path)
    yield made
    for crew in made.crews:
        crew.cut()
        await asyncio.wait_for(crew.leave("stopped"), 10)


@pytest.fixture
def call():
    """Calls the tool `do` of a crew; gives the text of its result."""

    async def made(crew, what="", agent="a", limit=20.0, heard=lambda done, total: None):
        result = await crew.call(agent, "do", {"what": what}, limit, heard)
        return (result.structured_content or {}).get("result")

    return made
