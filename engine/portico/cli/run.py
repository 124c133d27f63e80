"""`run`: the engine in the foreground."""

from pathlib import Path
from typing import Annotated

from typer import Option

import portico
from portico.cli import console, demo, place
from portico.cli.journal import SITE


def run(
    site: Annotated[Path | None, SITE] = None,
    with_demo: Annotated[
        bool, Option("--demo", help="The demo site, with a peer that it sends to.")
    ] = False,
) -> int:
    """Run the engine until it is told to stop."""
    from portico.server import service

    if not with_demo:
        return service.run(place.a_site(site or Path()), False)
    folder = place.a_site(site or demo_site())
    console.line(
        f"a demo peer listens on {demo.HOST}:{demo.PORT} and shows what it gets, masked"
    )
    with demo.running():
        return service.run(folder, True)


def demo_site() -> Path:
    """The repository's own site when this is a checkout, else the folder we are in."""
    root = Path(portico.__file__).parents[2]
    return root if (root / "channels").is_dir() else Path()
