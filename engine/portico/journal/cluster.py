"""The embedded PostgreSQL's files: made once, set anew at each start, cleared of dead ones."""

import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path

from portico.errors import ConfigError
from portico.journal.binaries import Binaries
from portico.journal.folder import SOCKET, Folder

USER = "portico"
DATABASE = "postgres"
_LOG_MOST = 8 << 20

SETTINGS = """\
# Written by Portico at each start. Your own settings go into local.conf beside this file.
listen_addresses = ''
unix_socket_directories = '../run'   # from the data folder: a socket's address is short
unix_socket_permissions = 0700
password_encryption = 'scram-sha-256'
max_connections = 40
# One who was given up while it waits for a lock goes, and takes no connection from others.
client_connection_check_interval = 2s

# What was confirmed survives a power cut. Portico refuses to run with less.
fsync = on
full_page_writes = on
synchronous_commit = on

# As much WAL as a base backup of the running server needs (`portico backup`), no archive.
wal_level = replica
max_wal_senders = 2
# Bounds the recovery after a kill: to replay 250 MB takes 0.5 s on two quiet cores, 430 MB
# 0.9 s, several times that on busy ones. Less brings more checkpoints, whose ends are felt.
max_wal_size = 640MB
# A file of the log, once made, is used again and not deleted in a quiet night. A new one is
# not filled with zeros first: nobody could commit for the 50 ms that its 16 MB take.
min_wal_size = 640MB
wal_init_zero = off
checkpoint_timeout = 15min

shared_buffers = 128MB
jit = off
# The pending tables are narrow queues: small, and soon full of dead rows.
autovacuum_naptime = 10s

# No row, no parameter and no statement in the log: an error's own text may quote a value,
# so the log begins above errors. The engine reports each error by its SQLSTATE.
log_min_messages = log
log_min_error_statement = panic
log_error_verbosity = terse
log_statement = none
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
log_checkpoints = off
log_line_prefix = '%m [%p] '
log_timezone = 'UTC'
timezone = 'UTC'

include_if_exists = 'local.conf'
"""


def exists(folder: Folder) -> bool:
    """Whether a data folder was made and finished."""
    return (folder.postgres / "PG_VERSION").exists()


def initdb_arguments(binaries: Binaries, data: Path, password_file: Path) -> list[object]:
    """The command that makes a data folder. PostgreSQL 17 brought a locale of its own."""
    locale = ["--locale=C"]
    if binaries.version[0] >= 17:
        locale = ["--locale-provider=builtin", "--locale=C.UTF-8"]
    return [
        *(binaries.initdb, "-D", data, f"--pwfile={password_file}", f"--username={USER}"),
        *(*locale, "--encoding=UTF8", "--data-checksums", "--auth=scram-sha-256"),
    ]


def check_version(folder: Folder, binaries: Binaries) -> None:
    """Raises ConfigError when another major version made the data folder."""
    made_by = (folder.postgres / "PG_VERSION").read_text("ascii").strip()
    if made_by != str(binaries.version[0]):
        raise ConfigError(
            f"{folder.postgres} was made by PostgreSQL {made_by} and the programs in "
            f"{binaries.folder} are {binaries.version_text}; set journal.binaries to "
            f"version {made_by}, or move the data with pg_upgrade"
        )


def write_settings(folder: Folder) -> None:
    """Replace postgresql.conf, which belongs to us, keeping its owner."""
    path = folder.postgres / "postgresql.conf"
    if path.read_text("utf-8") != SETTINGS:
        path.write_text(SETTINGS, "utf-8")


def trim_log(folder: Folder) -> None:
    """Keep the log below 8 MiB and one older part of the same size.

    PostgreSQL holds the file open for appending, so it is copied and emptied, not renamed.
    Where that cannot be done (a full disk), the log stays as it is: whoever starts and watches
    a server has more to do.
    """
    with suppress(OSError):
        if folder.log.exists() and folder.log.stat().st_size > _LOG_MOST:
            shutil.copyfile(folder.log, folder.log.with_suffix(".log.1"))
            os.truncate(folder.log, 0)


def log_tail(folder: Folder, lines: int = 3) -> str:
    """The log's last lines, for the text of an error."""
    with folder.log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 4096))
        return " / ".join(file.read().decode("utf-8", "replace").splitlines()[-lines:])


def is_ready(folder: Folder, pid: int) -> bool:
    """Whether the postmaster `pid` accepts connections: the last line of its pid file."""
    try:
        lines = (folder.postgres / "postmaster.pid").read_bytes().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) > 7 and lines[0] == b"%d" % pid and lines[7].strip() == b"ready"


def leftovers(folder: Folder) -> list[int]:
    """Processes that a dead engine's PostgreSQL left on this folder: its pid first, if alive.

    PostgreSQL's own check goes by the pid alone, which another process may have by now (in a
    container it nearly always does); a process of ours works in our data folder. Empty where
    there is no /proc: then PostgreSQL's own check has to do.
    """
    try:
        pid_file = (folder.postgres / "postmaster.pid").read_bytes()
    except FileNotFoundError:
        return []
    if sys.platform != "linux":
        return []
    here = folder.postgres.stat()
    found = [
        int(process.name)
        for process in Path("/proc").iterdir()
        if process.name.isdigit() and _works_in(process, here)
    ]
    first = pid_file.partition(b"\n")[0]
    return sorted(found, key=lambda pid: (b"%d" % pid != first, pid))


def forget(folder: Folder) -> None:
    """Remove the lock files of a PostgreSQL of which no process is left."""
    if sys.platform == "linux":
        (folder.postgres / "postmaster.pid").unlink(missing_ok=True)
        (folder.run / f"{SOCKET}.lock").unlink(missing_ok=True)


def _works_in(process: Path, here: os.stat_result) -> bool:
    """Whether this /proc entry is a PostgreSQL whose working folder is `here`."""
    try:
        if (process / "comm").read_text().strip() != "postgres":
            return False
        return os.path.samestat((process / "cwd").stat(), here)
    except OSError:
        return False
