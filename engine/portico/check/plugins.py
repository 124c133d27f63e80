"""The registry of plugins (`transforms/plugins.yaml`), and what is wrong with it."""

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portico.plugins import runtime
from portico.spec.document import Document, read
from portico.spec.fields import nearest
from portico.spec.finding import Finding, Severity
from portico.spec.plugin import ENTRY, PLUGINS, Plugin, Tool, read_tools
from portico.spec.shape import fit
from portico.spec.site import Config

_RULES = "portico.steps.jsonrules"  # loaded with the first schema that a site has


@dataclass(frozen=True, slots=True)
class Registered:
    """A plugin, its tools by name, and where it stands: `file:line`."""

    plugin: Plugin
    tools: Mapping[str, Tool]
    at: str = ""


def read_registry(root: Path, config: Config) -> tuple[dict[str, Registered], list[Finding]]:
    """The plugins by name, and all that is wrong with them; none without the usual file."""
    path, found = root / config.plugins, dict[str, Registered]()
    if not path.is_file():
        text, hint = "there is no such file", f"name it {PLUGINS}"
        said = [Finding(config.plugins, 0, "", text, hint, "site.plugin")]
        return found, said if config.plugins != PLUGINS else []
    documents, findings = read(path, config.plugins, nouns=False)
    for document in documents:
        plugin, wrong = fit(Plugin, document.value, document)
        findings += wrong
        if plugin is None:
            continue
        if plugin.name in found:
            text, hint = (
                f"there is another plugin {plugin.name!r}",
                "see " + found[plugin.name].at,
            )
            findings.append(document.finding(("plugin",), "site.duplicate_name", text, hint))
            continue
        findings += _misfits(plugin, document, root)
        tools, wrong = _tools(plugin, document, root)
        findings += wrong
        found[plugin.name] = Registered(plugin, tools, f"{document.path}:{document.line}")
    return found, findings


def schemas_of(plugins: Mapping[str, Registered], call: str) -> dict[str, str]:
    """The schemas of `plugin.tool` as a step wants them. Raises KeyError."""
    name, _, tool = call.partition(".")
    known = plugins[name].tools[tool]
    return {"input": known.input.decode(), "output": known.output.decode()}


def known_tools(plugins: Mapping[str, Registered]) -> dict[str, dict[str, str]]:
    """The schemas of all tools by `plugin.tool`."""
    names = (f"{name}.{tool}" for name, one in plugins.items() for tool in one.tools)
    return {name: schemas_of(plugins, name) for name in names}


def unknown(plugins: Mapping[str, Registered], call: str) -> tuple[str, str, str] | None:
    """Code, text and hint when no plugin, or not this one, has the tool."""
    name, _, tool = call.partition(".")
    if name not in plugins:
        hint = nearest(name, plugins) or f"plugins stand in {PLUGINS}"
        return "site.unknown_plugin", f"there is no plugin {name!r}", hint
    if tool not in plugins[name].tools:
        hint = nearest(tool, plugins[name].tools)
        return "site.unknown_tool", f"plugin {name!r} has no tool {tool!r}", hint
    return None


def _misfits(plugin: Plugin, document: Document, root: Path) -> Iterator[Finding]:
    """Files that are not pinned, not there, or changed; a runtime that is not there."""
    for key, name in (("run", plugin.run), ("tools", plugin.tools)):
        if name not in plugin.files:
            text, hint = f"{name} is not among `files`", "add it with its SHA-256"
            yield document.finding((key,), "site.plugin_pin", text, hint)
    ending = ENTRY.get(plugin.language, ("",))
    if not plugin.run.endswith(ending):
        text = f"{plugin.run!r} is no program of {plugin.language}"
        yield document.finding(("run",), "site.plugin", text)
    for name, digest in runtime.changed(plugin, root):
        text = f"{name} has changed" if digest else f"there is no file {name}"
        hint = f"if you know the change, pin {digest}" if digest else ""
        yield document.finding(("files", name), "site.plugin_pin", text, hint)
    if not runtime.runtime(plugin, root):
        text, hint = f"this machine has no {plugin.language}", "its calls will fail"
        warn = Severity.WARNING
        yield document.finding(("language",), "site.plugin_runtime", text, hint, warn)


def _tools(
    plugin: Plugin, document: Document, root: Path
) -> tuple[dict[str, Tool], list[Finding]]:
    try:
        tools = read_tools((root / plugin.tools).read_bytes())
        for tool in tools.values():
            for schema in filter(None, (tool.input, tool.output)):
                _sound(tool.name, schema)
    except OSError:
        return {}, []  # that it is not there is said of its pin
    except ValueError as error:
        text, _, hint = f"{plugin.tools}: {error}".partition("; ")
        return {}, [document.finding(("tools",), "site.plugin", text, hint)]
    return tools, []


def _sound(name: str, schema: bytes) -> Any:
    try:
        return importlib.import_module(_RULES).JsonRules(schema)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
