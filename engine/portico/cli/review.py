"""`review`: answers of language models that wait for a person."""

import json as plain
from pathlib import Path
from typing import Annotated, Any

from typer import Argument

from portico.api.models import Reviews
from portico.cli import console, exits, when
from portico.cli.control import Engine
from portico.cli.exits import Ended
from portico.cli.options import JSON, PHI, SITE

ID = Argument(metavar="ID", help="As `review list` shows it.")

_MOST = 100  # characters of an answer in a list


def list_(
    phi: Annotated[bool, PHI] = False,
    json: Annotated[bool, JSON] = False,
    site: Annotated[Path, SITE] = Path(),
) -> int:
    """List answers that wait for a person, oldest first."""
    found = _all(site, phi)
    if json:
        console.say_json(found)
        return exits.OK
    if not found.reviews:
        console.note("no answer waits for a person")
        return exits.OK
    made = console.table("ID", "SINCE", "AGENT", "STEP", *(("ANSWER",) if phi else ()))
    for one in found.reviews:
        answer = (_short(plain.dumps(one.answer, ensure_ascii=False)),) if phi else ()
        console.row(made, one.id, when.local(one.since), one.agent, one.step, *answer)
    console.show(made)
    return exits.OK


def show(
    id: Annotated[str, ID],
    phi: Annotated[bool, PHI] = False,
    site: Annotated[Path, SITE] = Path(),
) -> int:
    """Show one answer; with --phi what it says."""
    one = next((one for one in _all(site, phi).reviews if one.id == id), None)
    if one is None:
        raise Ended(exits.FAILED, f"no answer {id} waits for a person")
    console.line(f"{one.id}  {one.agent}/{one.step}  since {when.local(one.since)}")
    if phi:
        for text in plain.dumps(one.answer, indent=2, ensure_ascii=False).splitlines():
            console.line(text)
    else:
        console.note("the answer may tell a patient; --phi shows it, `show ID` the message")
    return exits.OK


def approve(id: Annotated[str, ID], site: Annotated[Path, SITE] = Path()) -> int:
    """Let the answer stand; its Signal goes on."""
    return _decide(site, id, "approved")


def edit(
    id: Annotated[str, ID],
    file: Annotated[
        Path, Argument(help="JSON that takes the answer's place; fits the schema.")
    ],
    site: Annotated[Path, SITE] = Path(),
) -> int:
    """Put another answer in its place."""
    try:
        answer = plain.loads(file.read_bytes())
    except ValueError:
        raise Ended(exits.USAGE, f"{file} is no JSON") from None
    return _decide(site, id, "edited", answer)


def reject(id: Annotated[str, ID], site: Annotated[Path, SITE] = Path()) -> int:
    """Refuse the answer: the step fails, and its on_error decides."""
    return _decide(site, id, "rejected")


def _short(text: str) -> str:
    """What fits into a list; `review show` has the whole."""
    return text if len(text) <= _MOST else text[: _MOST - 1] + "…"


def _all(site: Path, phi: bool) -> Reviews:
    found = Engine(site).call("GET", "/v1/reviews", {"phi": str(phi).lower()})
    return Reviews.model_validate(found)


def _decide(site: Path, name: str, verdict: str, answer: Any = None) -> int:
    body = {"id": name, "verdict": verdict, "answer": answer}
    Engine(site).call("POST", "/v1/reviews", {}, body)
    console.line(f"{name}: {verdict}; it is journaled")
    return exits.OK


COMMANDS: dict[str, Any] = {
    "list": list_,
    "show": show,
    "approve": approve,
    "edit": edit,
    "reject": reject,
}
