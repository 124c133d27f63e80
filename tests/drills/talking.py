"""What drills with models share: a plugin that books beds, who counts how often it does, and a
provider with moods."""

import asyncio
import random
import re
from typing import Any

from portico.llm.script import ScriptedAnswer, ordered

TOOL = {
    "name": "book",
    "inputSchema": {"type": "object", "properties": {"id": {"type": "string"}}},
}
_BODY = """\
with socket.create_connection(("127.0.0.1", PORT)) as witness:
    witness.sendall(given["id"].encode() + b"\\n")
    witness.recv(1)
answer(number, {"content": [{"type": "text", "text": "booked"}], "isError": False})
"""


def book(port: int) -> str:
    """The body of the plugin's program (plugins.programs): it tells this port."""
    return _BODY.replace("PORT", str(port))


class Witness:
    """Counts, outside of the engine, how often each bed was booked."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.port = 0

    async def start(self) -> "Witness":
        """Listen."""
        server = await asyncio.start_server(self._book, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return self

    async def _book(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = (await reader.readline()).decode()
        self.seen.append(re.sub(r"</?data-\w+>|\s", "", said))
        await asyncio.sleep(0.02)  # a moment in which the engine may be killed
        writer.close()


class Moods:
    """The script of a provider that is slow or refuses for a moment."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.mood: Any = None

    def act(
        self, prompt: str, schema: Any, model: str, tools: Any, rounds: Any
    ) -> ScriptedAnswer:
        """As Script: a tool is called, as the prompt orders, then there is an answer."""
        if isinstance(self.mood, int) and self.chance.random() < 0.7:
            return ScriptedAnswer(status=self.mood)
        if self.mood == "slow" and self.chance.random() < 0.7:
            return ScriptedAnswer({"code": "A"}, delay=self.chance.choice((0.3, 2.0)))
        if self.mood == "cut" and self.chance.random() < 0.7:
            return ScriptedAnswer(cut=True)
        if not rounds and (use := ordered(prompt, rounds)) is not None:
            return ScriptedAnswer(uses=(use,), delay=0.01)
        return ScriptedAnswer({"code": self.chance.choice("AB")}, delay=0.01)
