"""The contract of a tool: what goes in, what comes out, and what its failures may say."""

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
from mcp_types import CallToolResult, TextContent

from portico.plugins import runtime
from portico.plugins.faults import PluginAway, PluginFailed, PluginMisfit
from portico.plugins.process import Process
from portico.spec.plugin import Plugin, Tool
from portico.steps.jsonrules import JsonRules

_MANY = 2_000
FAILED = "failed"  # what a tool says that the registry does not know


async def start(
    process: Process,
    plugin: Plugin,
    tools: Mapping[str, Tool],
    root: Path,
    environ: Mapping[str, str],
) -> None:
    """A process of this plugin, its files as pinned, its tools as declared.

    Raises PluginError; the process is then ended.
    """
    for name, found in runtime.changed(plugin, root):
        process.end(PluginAway(f"{name} is {'not its pinned version' if found else 'missing'}"))
        raise process.fault or PluginAway(name)
    if not runtime.runtime(plugin, root):
        process.end(PluginAway(f"this machine has no {plugin.language}"))
        raise process.fault or PluginAway(plugin.language)
    try:
        launch = runtime.launch(plugin, root, Path(process.scratch), environ)
    except OSError as error:
        process.end(PluginAway(f"no folder can be made for it: {error.strerror}"))
        raise process.fault or PluginAway(plugin.name) from error
    await process.start(launch)
    served = await process.tools()
    for name, tool in tools.items():
        if name not in served or not _same(tool, *served[name]):
            process.end(PluginAway(f"its tool {name} is not as {plugin.tools} says"))
            raise process.fault or PluginAway(name)


def check_input(plugin: str, tool: Tool, arguments: Mapping[str, Any]) -> None:
    """Raises PluginMisfit, which names the place and never a value."""
    if found := rules(tool.input).broken(arguments):
        raise PluginMisfit(f"{plugin}.{tool.name} takes other arguments: {found[0].text}")


def outcome(plugin: Plugin, tool: Tool, result: CallToolResult) -> bytes:
    """The value as JSON: what the output schema says, or a text.

    Raises PluginFailed for what the tool calls an error, PluginMisfit.
    """
    called = f"{plugin.name}.{tool.name}"
    if result.is_error:
        code = code_of(plugin, result.structured_content)
        transient = plugin.errors.get(code) == "transient"
        raise PluginFailed(f"{called}: {code}", transient=transient)
    if not tool.output:
        texts = [part.text for part in result.content if isinstance(part, TextContent)]
        if not texts:
            raise PluginMisfit(f"{called} gave no text")
        return msgspec.json.encode("\n".join(texts))
    value = result.structured_content
    if value is None:
        raise PluginMisfit(f"{called} gave no structured content")
    if found := rules(tool.output).broken(value):
        raise PluginMisfit(f"{called} gave something else: {found[0].text}")
    return msgspec.json.encode(value)


def many(value: Any) -> bool:
    """Whether it holds so many values that to check them would hold up the engine's loop: a
    schema looks at 300 in a millisecond."""
    pending, seen = [value], 0
    while pending:
        one = pending.pop()
        seen += 1
        if seen + len(pending) > _MANY:
            return True
        if isinstance(one, Mapping):
            pending.extend(one.values())
        elif isinstance(one, list | tuple):
            pending.extend(one)
    return False


def code_of(plugin: Plugin, content: Any) -> str:
    """The code of a failure when the registry knows it: any other text may hold a patient."""
    code = content.get("code") if isinstance(content, Mapping) else None
    return code if isinstance(code, str) and code in plugin.errors else FAILED


@lru_cache(maxsize=512)
def rules(schema: bytes) -> JsonRules:
    """A schema, compiled once."""
    return JsonRules(schema)


def _same(tool: Tool, given: Any, gives: Any) -> bool:
    """The server's schemas are those of the registry, but for titles and words."""
    output = json.loads(tool.output) if tool.output else None
    return bool(_bare(json.loads(tool.input)) == _bare(given) and _bare(output) == _bare(gives))


def _bare(schema: Any, names: bool = False) -> Any:
    """A schema without what only people read. names: its keys are properties' own."""
    if isinstance(schema, list):
        return [_bare(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    worded = () if names else ("title", "description", "$schema", "examples")
    return {
        key: _bare(one, not names and key in ("properties", "$defs"))
        for key, one in schema.items()
        if key not in worded
    }
