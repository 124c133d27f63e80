"""`check`: all that is wrong with a site, at once."""

import json as jsons
import os
from pathlib import Path
from typing import Annotated

from typer import BadParameter, Option

from portico.check import explain as explaining
from portico.check import report, schemas
from portico.check import site as sites
from portico.check.case import examine_cases
from portico.cli import exits
from portico.cli.exits import Ended
from portico.cli.options import SITE
from portico.spec.finding import errors


def check(
    explain: Annotated[
        bool, Option("--explain", help="Print every setting that holds, defaults too.")
    ] = False,
    schema: Annotated[
        str, Option(metavar="NAME", help=f"Print a JSON Schema: {', '.join(schemas.NAMES)}.")
    ] = "",
    json: Annotated[bool, Option("--json", help="Print the findings as JSON.")] = False,
    github: Annotated[
        bool, Option("--github", help="Print the findings as annotations of a change.")
    ] = False,
    site: Annotated[Path, SITE] = Path(),
) -> int:
    """Say all that is wrong with a site, without running it."""
    if schema:
        return _schema(schema)
    root = site.absolute()
    if not root.is_dir():
        raise Ended(exits.USAGE, f"there is no folder {site}")
    checked, findings = sites.examine(root, os.environ)
    findings = (*findings, *examine_cases(root, checked))
    if json:
        print(report.json(findings), end="")
    elif github:
        print(report.annotations(findings), end="")
    elif explain and checked is not None:
        print(explaining.explain(checked), end="")
    else:
        print(report.text(findings), end="")
    return exits.FAILED if errors(findings) else exits.OK


def _schema(name: str) -> int:
    if name not in schemas.NAMES:
        raise BadParameter(f"there is no schema {name!r}; one of {', '.join(schemas.NAMES)}")
    print(jsons.dumps(schemas.schema(name), indent=2))
    return exits.OK
