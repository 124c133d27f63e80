"""Plugins for tests: programs with one tool, in a few lines of Python, and their registry."""

import hashlib
import json
from pathlib import Path

_PROGRAM = """\
import json, os, socket, sys, time
TOOL = json.loads({tool!r})
CANCELLED = []

def say(value):
    sys.stdout.write(json.dumps(value) + "\\n")
    sys.stdout.flush()

def answer(number, result):
    say({{"jsonrpc": "2.0", "id": number, "result": result}})

def do(number, given, asked):
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
        do(number, asked["params"]["arguments"], asked)
"""


def program(tool: dict, body: str) -> str:
    """A server of this tool. body: of `do(number, given, asked)`, which may `answer` the number
    with a result and `say` any other message. CANCELLED: numbers that nobody waits for.
    """
    indented = "".join(f"    {line}\n" for line in body.splitlines())
    return _PROGRAM.format(tool=json.dumps(tool), body=indented)


def place(root: Path, folder: str, name: str, text: str, tool: dict) -> dict:
    """Write a program and its tools; their entry in a registry, with the pins of both."""
    (root / folder).mkdir(exist_ok=True)
    run, tools = f"{folder}/{name}.py", f"{folder}/{name}.tools.json"
    (root / run).write_text(text)
    (root / tools).write_text(json.dumps({"tools": [tool]}))
    pins = {f: hashlib.sha256((root / f).read_bytes()).hexdigest() for f in (run, tools)}
    entry = {"plugin": name, "version": "1", "language": "python"}
    return {**entry, "run": run, "tools": tools, "files": pins}


def install(site: Path, name: str, tool: dict, body: str, **options) -> None:
    """Give a site this plugin. options: further lines of its registry."""
    entry = place(site, f"transforms/{name}", name, program(tool, body), tool) | options
    lines = (f"{key}: {json.dumps(value)}\n" for key, value in entry.items())
    (site / "transforms/plugins.yaml").write_text("".join(lines))
