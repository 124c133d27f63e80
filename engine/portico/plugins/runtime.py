"""What a plugin needs to run on this machine: its runtime, its files as pinned, its walls."""

import hashlib
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from portico.plugins.launch import Launch
from portico.spec.plugin import Plugin

_SYSTEM = (
    "/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/local/lib", "/usr/share/zoneinfo",
    "/etc/localtime", "/etc/ld.so.cache", "/dev/null", "/dev/urandom", "/dev/random",
)  # fmt: skip
_NETWORK = ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/ssl")
_LOADERS = ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1", "/lib/ld-musl-*.so.1")
_KEPT = ("PATH", "LANG", "LANGUAGE", "TZ", "TZDIR")
_PROGRAMS = {"node": "node", "java": "java"}
_LARGEST = 64 << 20  # bytes of a pinned file


def runtime(plugin: Plugin, root: Path) -> str:
    """The path of the program that runs it; empty when the machine has none."""
    if plugin.language == "python":
        return sys.executable
    if plugin.language == "program":
        own = root / plugin.run
        return str(own) if os.access(own, os.X_OK) else ""
    return shutil.which(_PROGRAMS[plugin.language]) or ""


def changed(plugin: Plugin, root: Path) -> Iterator[tuple[str, str]]:
    """Pinned files that are not what they were: name, and the SHA-256 now; empty: not there."""
    for name, digest in plugin.files.items():
        try:
            path = root / name
            found = _digest(path) if path.stat().st_size <= _LARGEST else "too large"
        except OSError:
            found = ""
        if found != digest:
            yield name, found


def launch(plugin: Plugin, root: Path, scratch: Path, environ: Mapping[str, str]) -> Launch:
    """How to start one process. environ: the engine's, of which it sees next to nothing."""
    root = root.resolve()
    program = runtime(plugin, root)
    reads = [*_SYSTEM, *_readable(plugin, root), *_of_runtime(plugin, program)]
    loaders = [str(path) for name in _LOADERS for path in Path("/").glob(name[1:])]
    return Launch(
        os.getpid(),
        _command(plugin, program, root),
        {**_environment(environ), "HOME": str(scratch), "TMPDIR": str(scratch)},
        [*reads, *(_NETWORK if plugin.sockets else ())],
        [os.path.realpath(program), *loaders],
        str(scratch),
        plugin.sockets,
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _command(plugin: Plugin, program: str, root: Path) -> list[str]:
    run, arguments = str(root / plugin.run), plugin.arguments
    if plugin.language == "python":
        return [program, "-E", "-s", "-B", run, *arguments]
    if plugin.language == "java":
        heap = max(plugin.limits.memory >> 21, 32)  # half, in MiB; the JVM needs as much again
        options = ("-XX:-UsePerfData", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
        return [program, *options, f"-Xmx{heap}m", run, *arguments]
    if plugin.language == "node":
        return [program, run, *arguments]
    return [program, *arguments]


def _readable(plugin: Plugin, root: Path) -> Iterator[str]:
    """Its own folder, which is never the site's own, its files, and what it declares."""
    folder = (root / plugin.run).parent
    if folder != root:
        yield str(folder)
    yield from (str(root / name) for name in (*plugin.files, *plugin.reads))


def _of_runtime(plugin: Plugin, program: str) -> Iterator[str]:
    if plugin.language == "python":
        yield from (sys.prefix, sys.base_prefix, sys.exec_prefix)
    else:
        yield os.path.realpath(program)
    if plugin.language == "java":
        yield str(Path(os.path.realpath(program)).parents[1])
        yield from map(str, Path("/etc").glob("java*"))


def _environment(whole: Mapping[str, str]) -> dict[str, str]:
    kept = {k: v for k, v in whole.items() if k in _KEPT or k.startswith("LC_")}
    return {**kept, "OPENSSL_CONF": "/dev/null"}  # Node looks for a file that the walls hide
