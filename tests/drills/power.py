"""A power cut: everything is killed, and what no fsync has made last is undone.

power.c, preloaded into the engine and its PostgreSQL, writes down what a cut would undo; here
it is undone, all of it or a part, as the seed will have it.
"""

import os
import shlex
import shutil
import struct
import subprocess
from contextlib import suppress
from pathlib import Path
from random import Random

from portico.journal import binaries

HEAD = struct.Struct("=qqq")  # where, the file's size then, how many old bytes follow
SOURCE = Path(__file__).with_suffix(".c")


class Power:
    """The mains of what lies below `root`. lies: no fsync keeps anything.

    always: a cut undoes all that it can. undone: how many writes and names the cuts have
    taken back.
    """

    def __init__(self, folder: Path, root: Path, chance: Random, lies: bool = False) -> None:
        self._folder, self._root, self._chance, self._lies = folder, root, chance, lies
        self._library = folder / "power.so"
        self.always, self.undone = False, 0
        self.binaries = folder / "bin"
        for one in (folder, root, self.binaries):
            one.mkdir(parents=True, exist_ok=True)
            one.chmod(0o755)
        subprocess.run(
            ["cc", "-O1", "-shared", "-fPIC", "-o", self._library, SOURCE, "-ldl"],
            check=True,
            timeout=60,
        )

    def notes(self, name: str) -> Path:
        """Where processes of one user write down what a cut would undo."""
        place = self._folder / name
        place.mkdir(exist_ok=True)
        place.chmod(0o777)
        return place

    def environ(self, name: str) -> dict[str, str]:
        """What makes a process write it down."""
        lies = {"POWER_LIES": "1"} if self._lies else {}
        return {
            "LD_PRELOAD": str(self._library),
            "POWER_ROOT": str(self._root),
            "POWER_LOG": str(self.notes(name)),
        } | lies

    def wrap(self, *options: str) -> None:
        """Programs of PostgreSQL that do so, for `journal.binaries`."""
        real = binaries.find().folder
        words = " ".join(f"{k}={shlex.quote(v)}" for k, v in self.environ("postgres").items())
        for name, before, more in (("postgres", words, options), ("initdb", "", ())):
            script = self.binaries / name
            text = f'exec {shlex.quote(str(real / name))} "$@" {shlex.join(more)}'
            script.write_text(f"#!/bin/sh\n{before} {text}\n")
            script.chmod(0o755)

    def cut(self) -> None:
        """Undo; call it once every process is dead."""
        whole = self.always or self._chance.random() < 0.5
        for notes in (self._folder / "engine", self._folder / "postgres"):
            if notes.is_dir():
                self._undo(notes, whole)
                shutil.rmtree(notes)
                self.notes(notes.name)

    def _undo(self, notes: Path, whole: bool) -> None:
        places = {}
        for top in (self._root, notes):
            for path in top.rglob("*"):
                with suppress(OSError):
                    places[path.lstat().st_ino] = path
        for data in notes.glob("data-*"):
            place = places.get(int(data.name.rpartition("-")[2]))
            if place is not None:
                self._rewind(place, data.read_bytes(), whole)
        names = notes / "names"
        lines = names.read_text().splitlines() if names.exists() else []
        kept = 0 if whole else self._chance.randint(0, len(lines))
        for line in reversed(lines[kept:]):
            self._rename_back(*line.split("\t"))

    def _rewind(self, place: Path, data: bytes, whole: bool) -> None:
        """The file as it was before these writes; before some of the last, if not `whole`."""
        records, at = [], 0
        while at < len(data):
            where, size, kept = HEAD.unpack_from(data, at)
            at += HEAD.size
            records.append((where, size, data[at : at + kept]))
            at += kept
        spared = 0 if whole else self._chance.randint(0, len(records))
        with place.open("r+b", buffering=0) as file:
            for where, size, old in reversed(records[spared:]):
                os.pwrite(file.fileno(), old, where)
                os.ftruncate(file.fileno(), size)
                self.undone += 1

    def _rename_back(self, what: str, folder: str, path: str, other: str, saved: str) -> None:
        self.undone += 1
        with suppress(FileNotFoundError):
            if what in "CL":
                Path(path).unlink()
            elif what == "R":
                Path(path).rename(other)
        with suppress(FileNotFoundError):  # its folder's own name has gone before
            if saved:
                Path(saved).rename(path)
