"""`plugin:` documents of `transforms/plugins.yaml`: servers of the Model Context Protocol.

What a plugin can do stands in a file of its own, as its server answers `tools/list`: names,
input and output schemas. The engine goes by that file and holds the server to it.
Source: Model Context Protocol 2025-06-18, Server Features, Tools.
"""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Struct
from pydantic import AfterValidator, Field, WithJsonSchema

from portico.errors import ContentInvalid
from portico.language.content import parse_json
from portico.spec.fields import (
    ONE_OR_MANY,
    Count,
    Duration,
    Name,
    Options,
    Size,
    Span,
    Switch,
    Text,
)
from portico.spec.fields import wrong as _wrong

PLUGINS = "transforms/plugins.yaml"
ENTRY = {"python": (".py",), "node": (".js", ".mjs", ".cjs"), "java": (".java",)}  # of `run`
MOST_TOOLS = 200

_TOOL = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_CODE = re.compile(r"[a-z][a-z0-9_]{0,62}")


def _digest(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        hint = "as `sha256sum` prints it"
        raise _wrong("config.value", f"{text[:80]!r} is not a SHA-256 in hex", hint)
    return text


def _inside(text: str) -> str:
    if text.startswith("/") or ".." in text.split("/"):
        raise _wrong("config.value", f"{text!r} is not a file below the site's folder")
    return text


def _codes(codes: dict[str, str]) -> dict[str, str]:
    for code in codes:
        if not _CODE.fullmatch(code):
            text = f"{code!r} is not a code (a-z, 0-9 and _, a letter first)"
            raise _wrong("config.name", text, "such as division_by_zero")
    return codes


Digest = Annotated[
    Text,
    AfterValidator(_digest),
    WithJsonSchema({"type": "string", "pattern": "^[0-9a-f]{64}$"}),
]
Inside = Annotated[Text, AfterValidator(_inside)]


class PluginLimits(Options):
    """What one process may take. timeout: of one call; answer: bytes of one result."""

    timeout: Span = 30.0
    memory: Size = 512 << 20
    answer: Annotated[Size, Field(le=8 << 20)] = 4 << 20


class PluginPool(Options):
    """Its processes. queue: calls that may wait; idle: until one beyond `fewest` ends."""

    fewest: Count = 1
    most: Annotated[Count, Field(ge=1)] = 2
    idle: Duration = 300.0
    recycle: Annotated[Count, Field(ge=1)] = 10_000
    queue: Count = 1_000


class Plugin(Options):
    """One plugin. run: its program, tools: what it can do, both below the site's folder.

    files: what it consists of, each with its SHA-256. errors: codes that its tools fail with,
    and whether a later try may work. reads: more that it may read, below the site or absolute.
    """

    plugin: Name
    summary: Text = ""
    owner: Text = ""
    version: Text
    language: Literal["python", "node", "java", "program"]
    run: Inside
    arguments: Annotated[tuple[Text, ...], ONE_OR_MANY] = ()
    tools: Inside
    files: dict[Inside, Digest]
    errors: Annotated[dict[str, Literal["permanent", "transient"]], AfterValidator(_codes)] = (
        Field(default_factory=dict)
    )
    idempotent: Switch = False
    limits: PluginLimits = PluginLimits()
    pool: PluginPool = PluginPool()
    reads: Annotated[tuple[Text, ...], ONE_OR_MANY] = ()
    sockets: Switch = False

    @property
    def name(self) -> str:
        """The plugin's name."""
        return self.plugin


class Tool(Struct, frozen=True):
    """What a plugin can do. input, output: JSON Schemas; output empty: it gives text."""

    name: str
    summary: str = ""
    input: bytes = b"{}"
    output: bytes = b""


def read_tools(content: bytes) -> dict[str, Tool]:
    """The tools of a file that holds what `tools/list` answers. Raises ValueError."""
    try:
        whole = parse_json(content)
    except ContentInvalid as error:
        raise ValueError(str(error)) from None
    listed = whole.get("tools") if isinstance(whole, Mapping) else None
    if not isinstance(listed, list) or not 0 < len(listed) <= MOST_TOOLS:
        raise ValueError('expected {"tools": [...]}; as the server answers tools/list')
    tools = [_tool(one) for one in listed]
    if len({tool.name for tool in tools}) < len(tools):
        raise ValueError("two tools have one name")
    return {tool.name: tool for tool in tools}


def _tool(raw: Any) -> Tool:
    name = raw.get("name") if isinstance(raw, Mapping) else None
    if not isinstance(name, str) or not _TOOL.fullmatch(name):
        raise ValueError("a tool has a name of letters, digits, _, - and .")
    for key in ("inputSchema", "outputSchema"):
        schema = raw.get(key, {} if key == "outputSchema" else None)
        if not isinstance(schema, Mapping) or (schema and schema.get("type") != "object"):
            raise ValueError(f"{name}.{key} is no JSON Schema of an object")
    output = raw.get("outputSchema")
    summary = raw.get("description")
    return Tool(
        name,
        summary if isinstance(summary, str) else "",
        _text(raw["inputSchema"]),
        _text(output) if output else b"",
    )


def _text(schema: Any) -> bytes:
    return json.dumps(schema, sort_keys=True, default=float).encode()
