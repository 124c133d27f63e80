"""A Model Context Protocol server over stdio without any library: one line, one JSON message.

Source: modelcontextprotocol.io/specification/2025-06-18.
"""

import json
import sys

VERSION = "2025-06-18"
PAIR = {
    "type": "object",
    "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
    "required": ["a", "b"],
}
NUMBER = {
    "type": "object",
    "properties": {"result": {"type": "number"}},
    "required": ["result"],
}


class Refused(Exception):
    """The tool cannot do that; its text is a code that the registry knows."""


def divide(a, b):
    """The first number by the second."""
    if b == 0:
        raise Refused("division_by_zero")
    return a / b


SUMS = {
    "add_numbers": ("The sum of two numbers", lambda a, b: a + b),
    "multiply_numbers": ("The product of two numbers", lambda a, b: a * b),
    "subtract_numbers": ("The first number less the second", lambda a, b: a - b),
    "divide_numbers": ("The first number by the second", divide),
}


def initialize(given):
    """Say who we are."""
    return {
        "protocolVersion": min(given["protocolVersion"], VERSION),
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "calc", "version": "1.0.0"},
    }


def tools(_):
    """What can be called, with schemas."""
    listed = [
        {"name": name, "description": text, "inputSchema": PAIR, "outputSchema": NUMBER}
        for name, (text, _) in SUMS.items()
    ]
    return {"tools": listed}


def call(given):
    """Call one tool; what it refuses is a result too."""
    try:
        result = SUMS[given["name"]][1](**given["arguments"])
    except Refused as code:
        text = [{"type": "text", "text": str(code)}]
        return {"isError": True, "content": text, "structuredContent": {"code": str(code)}}
    text = [{"type": "text", "text": str(result)}]
    return {"content": text, "structuredContent": {"result": result}}


METHODS = {
    "initialize": initialize,
    "ping": lambda _: {},
    "tools/list": tools,
    "tools/call": call,
}


def main():
    """Answer line by line until the engine closes our input."""
    for line in sys.stdin:
        asked = json.loads(line)
        if "id" not in asked:  # a notification wants no answer
            continue
        answer = {"jsonrpc": "2.0", "id": asked["id"]}
        method = METHODS.get(asked["method"])
        if method is None:
            answer["error"] = {"code": -32601, "message": "no such method"}
        else:
            answer["result"] = method(asked.get("params") or {})
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
