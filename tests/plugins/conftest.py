"""Plugins made of a few lines of Python, run as the engine runs every plugin."""

import asyncio
from pathlib import Path

import pytest

from plugins import programs
from portico.clock import SystemClock
from portico.events.metrics import Metrics
from portico.plugins.crew import Crew, CrewWorld
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
DO = """\
what = given.get("what", "")
def gives(number, text):
    answer(number, {"content": [], "structuredContent": {"result": text}})
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
        text = whole or programs.program(TOOL, DO + body)
        return Plugin(**programs.place(self.root, "own", "t", text, TOOL) | options)

    def crew(self, plugin: Plugin) -> Crew:
        """The crew of a plugin, nothing started yet."""
        world = CrewWorld(
            SystemClock(), self.events.append, self.metrics, self.environ, self.root
        )
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
