"""`init`: a new site folder, with a worked example of whatever one asks for."""

from collections.abc import Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from shlex import quote
from typing import Annotated

from typer import Argument, BadParameter, Option

from portico.cli import console, exits, kit
from portico.cli.exits import Ended
from portico.spec.fields import nearest

# Python of the scaffold is text here, so that no tool takes it for code of ours.
_SUFFIX = ".txt"
_RENAMED = {"gitignore.txt": ".gitignore", "gitkeep.txt": ".gitkeep"}
_README, _SETTINGS = "README.md", "config/portico.yaml"
_WITH = f"Worked examples to put in: all, or some of {', '.join(kit.KITS)}."


def init(
    folder: Annotated[Path, Argument(metavar="DIR", help="A new or empty folder.")],
    kits: Annotated[list[str] | None, Option("--with", metavar="NAME,...", help=_WITH)] = None,
) -> int:
    """Make a new site folder that runs as it is."""
    names = _chosen(",".join(kits or ()))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Ended(exits.FAILED, f"{folder} is not empty; nothing was written")
    folder.mkdir(parents=True, exist_ok=True)
    public = kit.make(folder, names)
    for name, content in sorted(files(names).items()):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(kit.filled(content, public))
        console.line(f"wrote {path}")
    for name in names:
        console.line(f"with {name}: {kit.KITS[name].summary}")
    if names:
        console.line(f"{folder / _README} says what to type to try them")
    quoted = quote(str(folder))
    console.line(
        f"next: portico test --site {quoted}; portico run --site {quoted}", style="bold"
    )
    return exits.OK


def files(kits: Sequence[str] = ()) -> dict[str, bytes]:
    """The scaffold with these kits: path to content."""
    ours = resources.files("portico.cli")
    found = dict(_below(ours / "scaffold", ""))
    for name in kits:
        for path, content in _below(ours / "kits" / name, ""):
            found[path] = found[path] + b"\n" + content if path == _README else content
    if any(kit.KITS[name].tls for name in kits):
        found[_SETTINGS] += (ours / "kits" / "tls_settings.yaml").read_bytes()
    return found


def _chosen(text: str) -> list[str]:
    try:
        return kit.chosen(text)
    except KeyError as error:
        name = str(error.args[0])
        hint = nearest(name, kit.KITS) or f"there are {', '.join(kit.KITS)} and {kit.ALL}"
        raise BadParameter(f"there is no example {name!r}; {hint}") from None


def _below(folder: Traversable, prefix: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _below(entry, f"{prefix}{entry.name}/")
        else:
            name = _RENAMED.get(entry.name, entry.name.removesuffix(_SUFFIX))
            found.append((prefix + name, entry.read_bytes()))
    return found
