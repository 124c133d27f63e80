"""`init`: a new site folder."""

from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

from typer import Argument

from portico.cli import console, exits
from portico.cli.exits import Ended

# Python of the scaffold is text here, so that no tool takes it for code of ours.
_SUFFIX = ".txt"
_RENAMED = {"gitignore.txt": ".gitignore"}


def init(
    folder: Annotated[Path, Argument(metavar="DIR", help="A new or empty folder.")],
) -> int:
    """Make a new site folder that runs as it is."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Ended(exits.FAILED, f"{folder} is not empty; nothing was written")
    for name, content in sorted(files().items()):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        console.line(f"wrote {path}")
    console.line(
        f"next: portico test --site {folder}; portico run --site {folder}", style="bold"
    )
    return exits.OK


def files() -> dict[str, bytes]:
    """The scaffold: path to content."""
    return dict(_below(resources.files("portico.cli") / "scaffold", ""))


def _below(folder: Traversable, prefix: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _below(entry, f"{prefix}{entry.name}/")
        else:
            name = _RENAMED.get(entry.name, entry.name.removesuffix(_SUFFIX))
            found.append((prefix + name, entry.read_bytes()))
    return found
