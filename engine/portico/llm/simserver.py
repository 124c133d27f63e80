"""The simulated model over HTTP: the wires of OpenAI and Anthropic, by a script.

So the real providers are tried with no key and no network. `POST /v1/chat/completions` and
`POST /v1/messages`; all that was received is kept in `seen`. For tests and demonstrations:
loopback only, one request a connection.
"""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from portico.llm import script
from portico.llm.contract import Round, Tool, Use

_LARGEST = 8 << 20
_STATUS = (
    "HTTP/1.1 {0} {0}\r\nContent-Type: application/json\r\nContent-Length: {1}\r\n"
    "Connection: close\r\n\r\n"
)


class SimServer:
    """Listens once `start` returns. seen: (path, body) of every request."""

    def __init__(self, acts: script.Script) -> None:
        self.acts = acts
        self.seen: list[tuple[str, bytes]] = []
        self.port = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, port: int = 0) -> "SimServer":
        """Listen on a port of the loopback interface."""
        self._server = await asyncio.start_server(self._client, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        """Close all."""
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, ValueError, asyncio.CancelledError):
            pass  # cancelled: by `stop`
        finally:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        path = head.split(" ")[1]
        lines = (line.partition(":") for line in head.split("\r\n")[1:])
        sizes = [int(value) for name, _, value in lines if name.lower() == "content-length"]
        body = await reader.readexactly(min(sizes[0] if sizes else 0, _LARGEST))
        self.seen.append((path, body))
        asked = json.loads(body)
        prompt, schema, tools = _asked(asked)
        act = self.acts.act(prompt, schema, asked.get("model", ""), tools, _rounds(asked))
        await asyncio.sleep(act.delay)
        spoken = _anthropic if path.endswith("/messages") else _openai
        if act.status != 200:
            content = json.dumps({"error": {"message": "simulated", "type": "simulated"}})
        elif act.text is not None and self.acts.faults and act.text.startswith('{"half"'):
            content = act.text
        else:
            text = act.text if act.text is not None else json.dumps(act.answer)
            uses = act.uses or (Use("call_1", "answer", text),)
            content = json.dumps(spoken(asked, uses, _words(asked)))
        data = _STATUS.format(act.status, len(content.encode())).encode() + content.encode()
        writer.write(data[: len(data) // 2] if act.cut else data)
        await writer.drain()


def _asked(asked: dict[str, Any]) -> tuple[str, Any, list[Tool]]:
    """The first prompt of a person, the schema of the answer, and the other tools."""
    said = next(one["content"] for one in asked["messages"] if one["role"] == "user")
    prompt = said if isinstance(said, str) else "".join(part["text"] for part in said)
    told = [one.get("function", one) for one in asked.get("tools", [])]
    found = {
        one["name"]: Tool(
            one["name"], "", one.get("input_schema") or one.get("parameters") or {}
        )
        for one in told
    }
    answer = found.pop("answer", None)
    return prompt, answer.schema if answer else {}, list(found.values())


def _rounds(asked: dict[str, Any]) -> list[Round]:
    """What the model said before; what it was told stands in the last."""
    after = [one for one in asked["messages"] if one["role"] not in ("system", "user")]
    said = [Round("") for one in after if one["role"] == "assistant"]
    told = json.dumps([one["content"] for one in asked["messages"][2:]])
    return [*said[:-1], Round("", told=(told,))] if said else []


def _words(asked: dict[str, Any]) -> int:
    return len(json.dumps(asked["messages"]).split())


def _openai(asked: dict[str, Any], uses: Sequence[Use], words: int) -> dict[str, Any]:
    calls = [
        {
            "id": use.id,
            "type": "function",
            "function": {"name": use.name, "arguments": use.arguments},
        }
        for use in uses
    ]
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    count = _count(uses)
    return {
        "id": "sim",
        "object": "chat.completion",
        "created": 1,
        "model": asked["model"],
        "choices": [{"index": 0, "finish_reason": "tool_calls", "message": message}],
        "usage": {
            "prompt_tokens": words,
            "completion_tokens": count,
            "total_tokens": words + count,
        },
    }


def _anthropic(asked: dict[str, Any], uses: Sequence[Use], words: int) -> dict[str, Any]:
    return {
        "id": "sim",
        "type": "message",
        "role": "assistant",
        "model": asked["model"],
        "content": [_block(use) for use in uses],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": words, "output_tokens": _count(uses)},
    }


def _block(use: Use) -> dict[str, Any]:
    try:
        arguments = json.loads(use.arguments)
    except ValueError:
        return {"type": "text", "text": use.arguments}
    return {"type": "tool_use", "id": use.id, "name": use.name, "input": arguments}


def _count(uses: Sequence[Use]) -> int:
    return sum(len(use.arguments.split()) for use in uses)
