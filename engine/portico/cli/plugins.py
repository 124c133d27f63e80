"""`plugins`: what the registry has, whether it works here, and one call by hand."""

import asyncio
import json as jsons
import os
from pathlib import Path
from typing import Annotated, Any

import msgspec
from typer import Argument, Option

from portico.check import plugins as registry
from portico.check import site as sites
from portico.check.plugins import Registered
from portico.cli import console, exits, place, when
from portico.cli.exits import Ended
from portico.cli.options import JSON, SITE
from portico.clock import SystemClock
from portico.plugins import contract
from portico.plugins.faults import PluginError, PluginFailed
from portico.plugins.process import Process


def listed(json: Annotated[bool, JSON] = False, site: Annotated[Path, SITE] = Path()) -> int:
    """List the plugins of a site, with their tools."""
    found = _registered(site)
    if json:
        console.say_json([_plain(one) for one in found.values()])
        return exits.OK
    if not found:
        console.note("this site has no plugins")
        return exits.OK
    made = console.table("PLUGIN", "VERSION", "LANGUAGE", "TOOL", "")
    for name, one in found.items():
        for tool in one.tools.values():
            plugin = one.plugin
            console.row(made, name, plugin.version, plugin.language, tool.name, tool.summary)
    console.show(made)
    return exits.OK


def check(json: Annotated[bool, JSON] = False, site: Annotated[Path, SITE] = Path()) -> int:
    """Start one process of each: files as pinned, runtime there, tools as declared."""
    root, found = place.a_site(site), _registered(site)
    said = {name: asyncio.run(_health(root, one)) for name, one in found.items()}
    if json:
        console.say_json([{"plugin": name, "fault": text} for name, text in said.items()])
    else:
        for name, text in said.items():
            console.line(f"{name}  {text or 'ok'}", style="red" if text else "green")
    return exits.FAILED if any(said.values()) else exits.OK


def invoke(
    tool: Annotated[str, Argument(metavar="PLUGIN.TOOL", help="Such as calc.add_numbers.")],
    given: Annotated[str, Option("--with", metavar="JSON", help="Its arguments.")] = "{}",
    limit: Annotated[str, Option("--timeout", help="How long it may take.")] = "30s",
    site: Annotated[Path, SITE] = Path(),
) -> int:
    """Call a tool once, in a process of its own; what it says beside goes to the terminal."""
    root, found = place.a_site(site), _registered(site)
    if wrong := registry.unknown(found, tool):
        raise Ended(exits.USAGE, f"{wrong[1]}; {wrong[2]}")
    try:
        arguments = jsons.loads(given)
    except ValueError as error:
        raise Ended(exits.USAGE, f"--with is no JSON: {error}") from None
    if not isinstance(arguments, dict):
        raise Ended(exits.USAGE, '--with is an object, such as {"a": 10, "b": 5}')
    name, _, called = tool.partition(".")
    answer = asyncio.run(_call(root, found[name], called, arguments, when.seconds(limit)))
    console.line(answer.decode())
    return exits.OK


PLUGINS = {"list": listed, "check": check, "invoke": invoke}


def _registered(site: Path) -> dict[str, Registered]:
    """The registry; its findings end the command, but that a runtime is missing."""
    root = place.a_site(site)
    checked, findings = sites.examine(root, os.environ)
    if checked is None:
        text = "\n".join(str(one) for one in findings)
        raise Ended(exits.FAILED, f"{text}\nportico check says more")
    return dict(checked.plugins)


def _plain(one: Registered) -> dict[str, Any]:
    plugin = one.plugin
    return {
        "plugin": plugin.name,
        "version": plugin.version,
        "language": plugin.language,
        "tools": [
            {
                "name": tool.name,
                "input": msgspec.json.decode(tool.input),
                "output": msgspec.json.decode(tool.output) if tool.output else None,
            }
            for tool in one.tools.values()
        ],
    }


async def _health(root: Path, one: Registered) -> str:
    """What is wrong with it on this machine; empty when nothing is."""
    process = Process(one.plugin.limits.answer)
    try:
        await contract.start(process, one.plugin, one.tools, root, os.environ)
        return "" if await process.answers() else "does not answer a ping"
    except PluginError as error:
        return f"{error}  [{error.code}]"
    finally:
        await process.leave()


async def _call(
    root: Path, one: Registered, tool: str, arguments: dict[str, Any], limit: float
) -> bytes:
    clock = SystemClock()
    process = Process(one.plugin.limits.answer, errors=None)
    contract.check_input(one.plugin.name, one.tools[tool], arguments)
    try:
        await contract.start(process, one.plugin, one.tools, root, os.environ)
        began = clock.monotonic()
        result = await process.call(tool, arguments, limit, _progress)
        console.note(f"{(clock.monotonic() - began) * 1000:.1f} ms")
        return contract.outcome(one.plugin, one.tools[tool], result)
    except PluginFailed as error:
        raise Ended(exits.REFUSED, f"{error}  [{error.code}]") from None
    finally:
        await process.leave()


def _progress(done: float, total: float | None) -> None:
    console.note(f"{done:g}" + (f" of {total:g}" if total else ""))
