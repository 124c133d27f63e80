"""The cage: what code of the site cannot do in its worker, whatever it tries.

Landlock leaves it the interpreter, the system's libraries, its own modules and the files that
its agent names, all read-only, and a scratch folder; seccomp takes sockets, other programs and
processes, and the kernel's back doors. With those of limits.py these walls stand before the
first line of the site's code runs. What a machine lacks is told by `features`.
"""

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from portico.agents import sources
from portico.workers import landlock, limits, seccomp

_SYSTEM = (
    "/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/local/lib", "/usr/share/zoneinfo",
    "/etc/localtime", "/etc/ld.so.cache", "/dev/null", "/dev/urandom", "/dev/random",
)  # fmt: skip


def features() -> dict[str, bool]:
    """What this machine has of the cage, by name."""
    linux = sys.platform == "linux"
    return {
        "landlock": linux and landlock.version() > 0,
        "seccomp": linux and seccomp.available(),
    }


def shut(root: Path, files: Iterable[str], scratch: Path) -> tuple[str, ...]:
    """Close the cage around this process; the names of the walls that this machine lacks.

    root: the site's folder, whose own modules stay readable. files: others of it, by name.
    scratch: made, and the only place to write to. Raises OSError when a wall does not stand
    that should.
    """
    scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ["TMPDIR"] = tempfile.tempdir = str(scratch)
    sys.path[:] = [entry for entry in sys.path if entry != str(root)]
    sys.meta_path.insert(0, SiteFinder(root))
    walls = features()
    if walls["landlock"]:
        landlock.shut(_readable(root, files), str(scratch))
    limits.drop_capabilities()
    if walls["seccomp"]:
        seccomp.shut()
    return tuple(name for name, stands in walls.items() if not stands)


class SiteFinder(MetaPathFinder):
    """Finds the site's modules without listing its folder, which holds the data too."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """A package or module of the root; what is inside packages others find."""
        if path is not None or "." in fullname:
            return None
        return sources.top_level(fullname, self._root)


def _readable(root: Path, files: Iterable[str]) -> set[str]:
    interpreter = {sys.prefix, sys.base_prefix, sys.exec_prefix, *filter(None, sys.path)}
    return {*interpreter, *_SYSTEM, *_modules(str(root)), *(f"{root}/{name}" for name in files)}


def _modules(root: str) -> Iterator[str]:
    """The packages and modules of a folder. No glob: it would touch a hundred pages."""
    for name in os.listdir(root):
        if name.endswith(".py") or os.path.isfile(f"{root}/{name}/__init__.py"):
            yield f"{root}/{name}"
