"""`session_files`: notes of one conversation, in memory alone."""

from typing import Any

from portico.llm.asking import Pieces
from portico.llm.tools.contract import Builtin, ToolDesk, failed, known, schema, text

MOST = 32  # files
LARGEST = 64_000  # characters of one
WHOLE = 256_000  # characters of all


async def _list(desk: ToolDesk, asked: dict[str, Any]) -> Pieces:
    listed = (
        (("free", name), ("", f" {len(one)} characters\n")) for name, one in desk.files.items()
    )
    return tuple(piece for pair in listed for piece in pair) or (("", "there is no file"),)


async def _read(desk: ToolDesk, asked: dict[str, Any]) -> Pieces:
    found = desk.files.get(asked["name"])
    if found is None:
        raise failed("there is no such file")
    return (("free", found),)


async def _write(desk: ToolDesk, asked: dict[str, Any]) -> Pieces:
    files, name, said = desk.files, asked["name"], asked["text"]
    if name not in files and len(files) >= MOST:
        raise failed(f"there are {MOST} files already")
    if sum(map(len, files.values())) - len(files.get(name, "")) + len(said) > WHOLE:
        raise failed(f"all files together hold at most {WHOLE} characters")
    files[name] = said
    return known({"characters": len(said)})


_NAME = {"type": "string", "pattern": "^[A-Za-z0-9_][A-Za-z0-9_./-]{0,99}$"}

TOOLS = (
    Builtin("session_files.list", "The files with their sizes", schema(), _list),
    Builtin("session_files.read", "What a file holds", schema("name", name=_NAME), _read),
    Builtin(
        "session_files.write",
        "Put a text in a file, in place of what it held",
        schema("name", "text", name=_NAME, text={**text(LARGEST), "minLength": 0}),
        _write,
    ),
)
