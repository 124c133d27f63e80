"""`test`: a site's cases."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from portico.check import site as sites
from portico.check.case import PlacedCase, read_cases
from portico.check.cases import CaseResult, run_cases
from portico.cli import console, exits, place
from portico.cli.exits import Ended
from portico.cli.options import JSON, SITE
from portico.clock import SystemClock


def test(
    cases: Annotated[
        list[str] | None,
        Argument(
            metavar="[CASE...]", help="Files of cases, or words of their names; else all."
        ),
    ] = None,
    update: Annotated[bool, Option("--update", help="Write golden files anew.")] = False,
    json: Annotated[bool, JSON] = False,
    site: Annotated[Path, SITE] = Path(),
) -> int:
    """Run a site's cases: real agents, no sockets, no journal."""
    root = place.a_site(site)
    chosen = _choose(root, cases or [])
    if not chosen:
        none = f"no case holds {' or '.join(cases)}" if cases else "this site has no cases"
        raise Ended(exits.USAGE, f"{none}; they stand in channels/*.test.yaml")
    checked = sites.load_site(root, os.environ)
    results = asyncio.run(run_cases(checked, chosen, SystemClock(), update))
    failed = [result for result in results if result.differences]
    if json:
        console.say_json([_plain(result) for result in results])
    else:
        for result in results:
            _say(result)
        console.line(f"{len(results) - len(failed)} passed, {len(failed)} failed", style="bold")
    return exits.FAILED if failed else exits.OK


def _choose(root: Path, wanted: list[str]) -> list[PlacedCase]:
    """The cases of the named files, or whose name holds one of the words."""
    files = [Path(word) for word in wanted if Path(word).is_file()]
    words = [word.lower() for word in wanted if not Path(word).is_file()]
    everything = not files or bool(words)
    found, findings = read_cases(root, () if everything else files)
    if findings:
        raise Ended(exits.FAILED, "\n".join(str(finding) for finding in findings))
    names = {file.resolve() for file in files}
    return [
        one
        for one in found
        if not wanted
        or (root / one.document.path).resolve() in names
        or any(word in one.case.case.lower() for word in words)
    ]


def _plain(result: CaseResult) -> dict[str, object]:
    return {
        "case": result.name,
        "at": result.place,
        "passed": not result.differences,
        "differences": list(result.differences),
        "updated": list(result.updated),
    }


def _say(result: CaseResult) -> None:
    if result.differences:
        console.line(f"FAILED {result.place} {result.name}", style="bold red")
        for line in result.differences:
            console.line(f"    {line}")
    else:
        console.line(f"ok {result.name}", style="green")
    for name in result.updated:
        console.line(f"    wrote {name}")
