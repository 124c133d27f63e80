"""`run`: the engine in the foreground."""

import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

from typer import Option

import portico
from portico.cli import console, demo, place
from portico.cli.options import SITE


def run(
    site: Annotated[Path | None, SITE] = None,
    with_demo: Annotated[
        bool, Option("--demo", help="The demo site, with a peer that it sends to.")
    ] = False,
) -> int:
    """Run the engine until it is told to stop."""
    folder = place.a_site(site or (demo_site() if with_demo else Path()))
    from portico.server import launch  # it loads the engine, which no other command needs

    if with_demo:
        for line in DEMO:
            console.note(line)
    with demo.running() if with_demo else nullcontext():
        code = launch.run(folder)
    if code == launch.AGAIN:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - ourselves
    return code


def demo_site() -> Path:
    """The repository's own site when this is a checkout, else the folder we are in."""
    root = Path(portico.__file__).parents[2]
    return root if (root / "channels").is_dir() else Path()


DEMO = (
    "The demo site: admissions on 127.0.0.1:2575 are cleaned and sent on to a peer that this",
    f"command starts on {demo.HOST}:{demo.PORT}; results on 127.0.0.1:2577 are filed by status",
    "in var/out. The peer shows, masked, what it gets. Try in another terminal:",
    "    .venv/bin/portico send samples/hl7/adt_a01.hl7",
    "    .venv/bin/portico send --to 127.0.0.1:2577 samples/hl7/oru_r01_mixed.hl7",
    "    .venv/bin/portico status",
    "    .venv/bin/portico signals",
)
