"""Looks local laboratory codes up in a table, by the official SDK of the protocol.

The table lies beside this file, so it is pinned with it: a new table is a new version.
"""

import csv
from pathlib import Path
from typing import Annotated, TypedDict

from mcp.server import MCPServer
from mcp_types import CallToolResult, TextContent

TABLE = Path(__file__).with_name("codes.csv")


class Code(TypedDict):
    """What a local code means."""

    loinc: str
    name: str
    unit: str


with TABLE.open(newline="", encoding="utf-8") as rows:
    CODES = {row.pop("local"): Code(**row) for row in csv.DictReader(rows)}

server = MCPServer("codes")


@server.tool()
def look_up(code: str, unit: str = "") -> Annotated[CallToolResult, Code]:
    """The LOINC code, name and unit of a local code; refused when the unit is another."""
    found = CODES.get(code)
    if found is None:
        return refused("unknown_code")
    if unit and unit != found["unit"]:
        return refused("other_unit")
    text = f"{found['loinc']} {found['name']}"
    return CallToolResult(
        content=[TextContent(type="text", text=text)], structured_content=dict(found)
    )


def refused(code: str) -> CallToolResult:
    """A failure by a code that the registry knows."""
    return CallToolResult(
        content=[TextContent(type="text", text=code)],
        structured_content={"code": code},
        is_error=True,
    )


if __name__ == "__main__":
    server.run("stdio")
