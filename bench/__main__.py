"""`python -m bench`: measure, print, write var/bench.json."""

import argparse
import json
import shutil
import signal
import sys
from pathlib import Path
from typing import NoReturn

from rich.console import Console

from bench import floors, report
from bench.appliance import Appliance
from bench.rounds import Bench

ROOT = Path(__file__).parents[1]
_WIDTH = 110


def main(arguments: list[str] | None = None) -> int:
    """The exit code: 0, or 1 with `--strict` when a floor is missed."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, _ended)
    console = Console(width=_WIDTH, highlight=False)
    notes = Console(width=_WIDTH, highlight=False, stderr=True, quiet=options.quiet)
    folder = options.folder.absolute()
    found = Bench(Appliance(folder), options.seconds, notes.print).run(options.rounds)
    shutil.rmtree(folder)
    results = report.summarise(found)
    judged = floors.check(results)
    report.show(results, judged, console)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(results, indent=2) + "\n")
    console.print(f"written to {options.json}")
    return 1 if options.strict and not all(one.passed for one in judged) else 0


def _ended(number: int, frame: object) -> NoReturn:
    """Leave by an exception, so that no engine stays behind."""
    raise SystemExit(128 + number)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long, each time")
    parser.add_argument("--quick", action="store_true", help="one round of half seconds")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a floor is missed")
    parser.add_argument("--quiet", action="store_true", help="only the tables")
    parser.add_argument("--json", type=Path, default=ROOT / "var/bench.json", metavar="FILE")
    parser.add_argument(
        "--folder",
        type=Path,
        default=ROOT / "var/bench",
        metavar="DIR",
        help="where the data lie meanwhile; emptied first, removed afterwards",
    )
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds, options.seconds = 1, 0.5
    return options


if __name__ == "__main__":
    sys.exit(main())
