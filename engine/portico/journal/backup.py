"""Backups of an embedded journal: taken while the engine works, proved before they are used.

    DIR/postgres/       a base backup (pg_basebackup), with the WAL that makes it whole
    DIR/data/           what else lies in the data folder: its password, its identity
    DIR/site/           config/, channels/, transforms/ as they were
    DIR/manifest.json   versions, and SHA-256 of every file; written last: without it DIR is
                        no backup. PostgreSQL's own files are under its backup_manifest.

Blocking, for the command line. A backup holds patient data and the database's password: its
folder is 0700.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from portico.errors import ConfigError
from portico.journal.binaries import Binaries
from portico.journal.cluster import USER
from portico.journal.folder import RESTORING, sync_folder, write_durably

MANIFEST = "manifest.json"
SITE = ("config", "channels", "transforms")
FORMAT = 1
# Of the data folder: what PostgreSQL and one running engine own, and what only logs.
_NOT_KEPT = ("postgres", "engine.lock", "control.sock")


@dataclass(frozen=True, slots=True)
class Backup:
    """What a manifest says. taken: ISO 8601. files: path in DIR to (size, SHA-256)."""

    portico: str
    postgres: str
    taken: str
    files: Mapping[str, tuple[int, str]]

    @property
    def size(self) -> int:
        """Bytes of the files that the manifest lists."""
        return sum(size for size, _ in self.files.values())


def empty(folder: Path) -> Path:
    """A new or empty folder of ours, 0700. Raises ConfigError when something lies in it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty; name a new folder")
    folder.chmod(0o700)
    return folder.absolute()


def take(
    target: Path, data: Path, site: Path, binaries: Binaries, versions: tuple[str, str]
) -> Backup:
    """Back up the data folder whose PostgreSQL runs, and its site, into an empty folder.

    versions: Portico's, and the moment. Raises ConfigError when it cannot be done.
    """
    _apart(target, [*(site / name for name in SITE), data / "postgres"])
    target = empty(target)
    base = _program(binaries, "pg_basebackup")
    with _reachable(data / "run") as (host, fds):
        where = ("-D", target / "postgres", "-h", host, "-U", USER, "--no-password")
        how = ("-X", "stream", "-c", "fast", "--manifest-checksums=SHA256")
        _run(
            (base, *where, *how),
            fds,
            PGPASSWORD=(data / "secret").read_text("ascii").strip(),
        )
    for name in SITE:
        if (site / name).is_dir():
            shutil.copytree(
                site / name,
                target / "site" / name,
                ignore=shutil.ignore_patterns("__pycache__"),
                ignore_dangling_symlinks=True,  # an editor's mark on a file that it has open
            )
    (target / "data").mkdir(mode=0o700)
    for path in data.iterdir():
        if path.is_file() and not path.name.startswith(_NOT_KEPT):
            shutil.copy2(path, target / "data" / path.name)
    made = Backup(versions[0], binaries.version_text, versions[1], dict(_listed(target)))
    _sync(target)
    told = {"format": FORMAT, "portico": made.portico, "postgres": made.postgres}
    whole = {**told, "taken": made.taken, "files": made.files}
    write_durably(target / MANIFEST, json.dumps(whole, indent=1))
    return made


def check(source: Path, binaries: Binaries) -> Backup:
    """Prove a backup whole: every file has its size and SHA-256, and the WAL can be read.

    Raises ConfigError, with the first file that is not right.
    """
    found = read(source)
    _prove_alone(source, found)
    for name, (size, digest) in found.files.items():
        _prove(source / name, size, digest)
    if found.postgres.split(".")[0] != str(binaries.version[0]):
        raise ConfigError(
            f"{source} was made by PostgreSQL {found.postgres} and the programs in "
            f"{binaries.folder} are {binaries.version_text}; set journal.binaries to "
            f"version {found.postgres.split('.')[0]}"
        )
    _check_cluster(source / "postgres", binaries)
    return found


def read(source: Path) -> Backup:
    """What the manifest says. Raises ConfigError when there is none, or one of the future."""
    try:
        told = json.loads((source / MANIFEST).read_text("utf-8"))
        if told["format"] > FORMAT:
            raise ConfigError(
                f"{source} was made by Portico {told['portico']}, which this one is too old "
                "to read; install that version"
            )
        files = {name: (size, digest) for name, (size, digest) in told["files"].items()}
        return Backup(told["portico"], told["postgres"], told["taken"], files)
    except FileNotFoundError as error:
        raise ConfigError(f"{source} is no backup, or one that was cut short") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{source / MANIFEST} cannot be read") from error


def put_back(source: Path, data: Path) -> None:
    """Make an empty data folder of a backup. Nothing runs on it until `finish`."""
    data = empty(data)
    write_durably(data / RESTORING, "")
    shutil.copytree(source / "postgres", data / "postgres")
    (data / "postgres").chmod(0o700)
    for path in (source / "data").iterdir():
        shutil.copy2(path, data / path.name)
        (data / path.name).chmod(0o600)
    _sync(data)


def finish(data: Path) -> None:
    """All that a restore does is done: an engine may run on this data folder."""
    (data / RESTORING).unlink()
    sync_folder(data)


def put_back_site(source: Path, site: Path) -> None:
    """The site's files of a backup, into an empty folder."""
    shutil.copytree(source / "site", empty(site), dirs_exist_ok=True)


def _apart(target: Path, folders: Sequence[Path]) -> None:
    """A copy is not made inside of what it is a copy of."""
    for one in folders:
        if target.resolve().is_relative_to(one.resolve()):
            raise ConfigError(
                f"{target} lies in {one}, which is backed up; name another folder"
            )


def _check_cluster(cluster: Path, binaries: Binaries) -> None:
    """PostgreSQL's files by its own manifest, and its WAL. (pg_verifybackup does the same; the
    wheel's crashes.) Source: PostgreSQL 18, chapter 70, Backup Manifest Format."""
    told = json.loads((cluster / "backup_manifest").read_text("utf-8"))
    for one in told["Files"]:
        encoded = one.get("Encoded-Path")
        name = os.fsdecode(bytes.fromhex(encoded)) if encoded else one["Path"]
        _prove(cluster / name, one["Size"], one["Checksum"])
    for wal in told["WAL-Ranges"]:
        where = ("--path", cluster / "pg_wal", "--timeline", str(wal["Timeline"]))
        span = ("--start", wal["Start-LSN"], "--end", wal["End-LSN"])
        _run((_program(binaries, "pg_waldump"), "--quiet", *where, *span), ())


def _prove_alone(source: Path, found: Backup) -> None:
    """Nothing lies there that is not of the backup, and nothing leads out of it: a restore
    follows no link to somebody else's files."""
    if any(Path(name).is_absolute() or ".." in Path(name).parts for name in found.files):
        raise ConfigError(f"{source / MANIFEST} names a file outside")
    listed = {*found.files, MANIFEST}
    for path in source.rglob("*"):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise ConfigError(f"{path} is no file; a backup has no links")
        name = path.relative_to(source)
        if path.is_file() and name.parts[0] != "postgres" and str(name) not in listed:
            raise ConfigError(f"{path} is not of this backup")


def _prove(path: Path, size: int, digest: str) -> None:
    if not path.is_file() or path.stat().st_size != size or _digest(path) != digest:
        raise ConfigError(f"{path} is missing or not as it was backed up")


def _listed(target: Path) -> Iterator[tuple[str, tuple[int, str]]]:
    """The files that our manifest answers for."""
    for path in sorted(target.rglob("*")):
        name = path.relative_to(target)
        own = name.parts[0] != "postgres" or name == Path("postgres/backup_manifest")
        if path.is_file() and own:
            yield str(name), (path.stat().st_size, _digest(path))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(folder: Path) -> None:
    """Make all of it durable; pg_basebackup has done so with its own."""
    for path in folder.rglob("*"):
        if path.is_file() and "postgres" not in path.relative_to(folder).parts[:1]:
            with path.open("rb") as file:
                os.fsync(file.fileno())
        elif path.is_dir():
            sync_folder(path)
    sync_folder(folder)


def _program(binaries: Binaries, name: str) -> Path:
    path = binaries.folder / name
    if not path.is_file():
        raise ConfigError(
            f"there is no {name} in {binaries.folder}; set journal.binaries to a PostgreSQL "
            "that has it"
        )
    return path


def _run(command: Sequence[Path | str], fds: tuple[int, ...], **environ: str) -> None:
    """Run one of PostgreSQL's programs. What it says goes into the error: names of files and
    places in the WAL, never a row."""
    done = subprocess.run(  # noqa: S603 - PostgreSQL's own program
        command,
        env={"LC_ALL": "C", "PATH": "/usr/bin:/bin", **environ},
        pass_fds=fds,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise ConfigError(f"{Path(command[0]).name}: {said[-1] if said else 'it failed'}")


@contextmanager
def _reachable(run: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    """A name of the socket's folder that fits a Unix address, and what a child inherits."""
    if sys.platform != "linux":
        yield str(run), ()
        return
    folder = os.open(run, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}", (folder,)
    finally:
        os.close(folder)
