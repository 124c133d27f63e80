"""`parked`, `release`, `discard`, `edit`, `resend`, `acts`: messages that wait for a person.

Lists read the running engine, or without one the journal; what changes a message needs the
engine, which wakes the lanes and keeps the books.
"""

import base64
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from pydantic import ValidationError
from typer import Argument, Option

from portico.api import answers
from portico.api import parked as api
from portico.api.parked import Acted, ParkedItem, ParkedPage, ParkedWanted
from portico.api.shapes import ActItem
from portico.cli import audited, console, exits, messages, reading, when
from portico.cli.control import Engine
from portico.cli.exits import Ended
from portico.cli.journal import act_text, why
from portico.cli.options import JSON, PHI, SITE
from portico.events.auditing import RecordsRead, queried
from portico.flow.acts import releasing
from portico.ids import SignalId
from portico.journal.search import Search

CHANNEL = Option(help="Signals of this channel.")
DESTINATION = Option(help="Deliveries to this destination.")
AGENT = Option(help="Parked by this agent.")
CODE = Option(help="With this code: AE, step.permanent, ...")
SINCE = Option(help="Of Signals from then on: 2h, 2026-11-20.")
YES = Option("--yes", help="Ask nothing.")
IDS = Argument(
    metavar="ID...", help="As `parked` lists them; SIGNAL alone is all that is parked of it."
)
ID = Argument(metavar="ID", help="As `parked` and `show` print it: SIGNAL/s1, SIGNAL/d2.")

_AT_ONCE = 200
_AGAIN = 0.5  # seconds until what has to wait is asked for again
_SLOW = 120.0  # seconds for one request that acts on many


def parked(
    channel: Annotated[str, CHANNEL] = "",
    destination: Annotated[str, DESTINATION] = "",
    agent: Annotated[str, AGENT] = "",
    code: Annotated[str, CODE] = "",
    since: Annotated[str, SINCE] = "",
    limit: Annotated[int, Option(help="At most so many.", min=1, max=1000)] = 50,
    after: Annotated[str, Option(help="The page after the one that ended with this.")] = "",
    phi: Annotated[bool, PHI] = False,
    json: Annotated[bool, JSON] = False,
    site: Annotated[Path, SITE] = Path(),
) -> int:
    """List messages that wait for a person, with the reason."""
    given = _filter(channel, destination, agent, code, since)
    given |= {"limit": str(limit), "after": after, "phi": str(phi).lower()}
    page = _page(site, {name: value for name, value in given.items() if value})
    if json:
        console.say_json(page)
    elif not page.parked:
        console.note("nothing is parked")
    else:
        _list(page)
    return exits.OK


def release(
    ids: Annotated[list[str] | None, IDS] = None,
    channel: Annotated[str, CHANNEL] = "",
    destination: Annotated[str, DESTINATION] = "",
    agent: Annotated[str, AGENT] = "",
    code: Annotated[str, CODE] = "",
    since: Annotated[str, SINCE] = "",
    yes: Annotated[bool, YES] = False,
    json: Annotated[bool, JSON] = False,
    site: Annotated[Path, SITE] = Path(),
) -> int:
    """Let parked messages go on: Deliveries to their queue, Signals to their agents."""
    given = _filter(channel, destination, agent, code, since)
    return _act(site, "release", ids or [], given, {}, yes, json)


def discard(
    reason: Annotated[str, Option(help="Why they are given up; it is kept.")],
    ids: Annotated[list[str] | None, IDS] = None,
    channel: Annotated[str, CHANNEL] = "",
    destination: Annotated[str, DESTINATION] = "",
    agent: Annotated[str, AGENT] = "",
    code: Annotated[str, CODE] = "",
    since: Annotated[str, SINCE] = "",
    yes: Annotated[bool, YES] = False,
    json: Annotated[bool, JSON] = False,
    site: Annotated[Path, SITE] = Path(),
) -> int:
    """Give parked messages up for good; they stay in the journal."""
    given = _filter(channel, destination, agent, code, since)
    return _act(site, "discard", ids or [], given, {"reason": reason}, yes, json)


def edit(
    id: Annotated[str, ID],
    set: Annotated[list[str] | None, Option(help="PLACE=TEXT, such as PID-5.1=X.")] = None,
    from_: Annotated[
        Path | None, Option("--from", help="A file with the whole message; - is stdin.")
    ] = None,
    as_is: Annotated[bool, Option("--as-is", help="Do not change a byte of the file.")] = False,
    json: Annotated[bool, JSON] = False,
    site: Annotated[Path, SITE] = Path(),
) -> int:
    """Let a changed copy take the place of a parked message; the original is kept."""
    target = _target(id)
    body: dict[str, Any] = {"id": target, "set": dict(map(_pair, set or []))}
    if from_ is not None:
        found = messages.read(from_, as_is)
        if len(found) != 1:
            raise Ended(exits.USAGE, f"{from_} holds {len(found)} messages; give one")
        body["base64"] = base64.b64encode(found[0]).decode("ascii")
    if not body["set"] and from_ is None:
        raise typer.BadParameter("give --set PLACE=TEXT or --from FILE")
    told = Engine(site).call("POST", "/v1/parked/edit", {}, body)
    return _say([Acted.model_validate(told)], json, {target: id})


def resend(
    id: Annotated[str, ID],
    to: Annotated[str, Option(help="The destination.")],
    received: Annotated[
        bool, Option("--received", help="Send the bytes as they came in, not what was sent.")
    ] = False,
    json: Annotated[bool, JSON] = False,
    site: Annotated[Path, SITE] = Path(),
) -> int:
    """Send the same bytes once more to one destination."""
    target = _target(id)
    body = {"id": target, "to": to, "received": received}
    told = Engine(site).call("POST", "/v1/resend", {}, body)
    return _say([Acted.model_validate(one) for one in told], json, {target: id})


def acts(
    signal: Annotated[str, Option(help="On this Signal, or that made it.")] = "",
    limit: Annotated[int, Option(help="At most so many.", min=1, max=1000)] = 50,
    json: Annotated[bool, JSON] = False,
    site: Annotated[Path, SITE] = Path(),
) -> int:
    """List what people did to messages, newest first."""
    found = acts_of(site, reading.signal_id(signal) if signal else "", limit)
    if json:
        console.say_json(found)
        return exits.OK
    if not found:
        console.note("nobody did anything to messages")
        return exits.OK
    made = console.table("AT", "WHO", "DID", "ID", "REASON")
    for one in found:
        console.row(made, when.local(one.at), one.who, one.what, one.id, act_text(one))
    console.show(made)
    return exits.OK


def acts_of(site: Path, signal: str, limit: int) -> list[ActItem]:
    """What people did, to one Signal or to any."""
    of = SignalId(UUID(signal).bytes) if signal else None
    asked = {"limit": str(limit), **({"signal": signal} if signal else {})}

    def ask(engine: Engine) -> list[ActItem]:
        return [ActItem.model_validate(one) for one in engine.call("GET", "/v1/acts", asked)]

    async def read(search: Search) -> list[ActItem]:
        return [answers.act(one) for one in await search.acts(of, limit)]

    return reading.either(site, ask, read)


def _filter(
    channel: str, destination: str, agent: str, code: str, since: str
) -> dict[str, str]:
    if channel and destination:
        raise typer.BadParameter("give --channel or --destination, not both")
    asked = {"channel": channel, "destination": destination, "agent": agent, "code": code}
    asked["since"] = when.parse(since).isoformat() if since else ""
    return {name: value for name, value in asked.items() if value}


def _page(site: Path, given: dict[str, str]) -> ParkedPage:
    try:
        wanted = ParkedWanted.model_validate(given)
    except ValidationError:  # all others were looked at before
        raise typer.BadParameter(
            f"{given.get('after')!r} is no place in the list; `parked` prints one at its end "
            "where there are more"
        ) from None

    async def read(search: Search) -> ParkedPage:
        if wanted.phi:
            audited.tell(site, RecordsRead("parked", audited.me(), "", "", queried(given)))
        found = await search.parked(wanted.filter())
        return api.page((found, await search.heaps(wanted.filter())), wanted)

    def ask(engine: Engine) -> ParkedPage:
        return ParkedPage.model_validate(engine.call("GET", "/v1/parked", given))

    return reading.either(site, ask, read)


def _act(
    site: Path,
    verb: str,
    ids: list[str],
    given: dict[str, str],
    body: dict[str, str],
    yes: bool,
    json: bool,
) -> int:
    """Act on those named, or on all that fit, page by page."""
    if bool(ids) == bool(given):
        raise typer.BadParameter("give ids, or a filter such as --destination")
    engine = Engine(site)

    def send(targets: list[str]) -> list[Acted]:
        asked = {"ids": targets, **body}
        told = engine.call("POST", f"/v1/parked/{verb}", {}, asked, _SLOW)
        return [Acted.model_validate(one) for one in told]

    if ids:
        typed = {_target(one): one for one in ids}
        return _say(send(list(typed)), json, typed)
    total = sum(heap.count for heap in _asked(engine, given, 1).counts)
    if not total:
        console.note("nothing that is parked fits")
        return _say([], json, {})
    if not yes and not typer.confirm(f"{verb} {total} parked messages?", err=True):
        return exits.INTERRUPTED
    told = list(_each(engine, given, send, total))
    left = told if json else [one for one in told if not one.done]
    code = _say(left, json, {})
    console.note(f"{verb}: {sum(one.done for one in told)} of {len(told)} done")
    return code


def _each(
    engine: Engine, given: dict[str, str], send: Callable[[list[str]], list[Acted]], total: int
) -> Iterator[Acted]:
    after: str | None = ""
    with console.progress() as bar:
        task = bar.add_task("messages", total=total)
        while after is not None:
            page = _asked(engine, {**given, "after": after, "counts": "false"}, _AT_ONCE)
            targets = list(dict.fromkeys(_whole(one) for one in page.parked))
            while targets:
                told = send(targets)
                yield from (one for one in told if not one.later)
                targets = [one.target for one in told if one.later]
                bar.advance(task, len(told) - len(targets))
                time.sleep(_AGAIN if targets else 0)
            after = page.next


def _asked(engine: Engine, given: dict[str, str], limit: int) -> ParkedPage:
    asked = {name: value for name, value in given.items() if value}
    return ParkedPage.model_validate(
        engine.call("GET", "/v1/parked", {**asked, "limit": str(limit)})
    )


def _whole(one: ParkedItem) -> str:
    """A Signal's sessions go together."""
    return one.id if one.kind == "delivery" else f"{one.id.partition('/')[0]}/s"


def _list(page: ParkedPage) -> None:
    made = console.table("ID", "SINCE", "OF", "CODE", "WHERE", "REASON")
    for one in page.parked:
        of = f"{one.name} {one.agent}".strip() + (" (holds its key)" if one.hold else "")
        place = " ".join(part for part in (one.step, one.at, one.location) if part)
        tries = f" after {one.tries} tries" if one.tries > 1 else ""
        console.row(made, one.id, when.local(one.since), of, one.code, place, why(one) + tries)
    console.show(made)
    for heap in page.counts:
        of = f"{heap.name} {heap.agent}".strip()
        console.line(f"{heap.count} of {of} with {heap.code}, since {when.local(heap.oldest)}")
    if page.next:
        console.note(f"there are more: --after {page.next}")


def _say(told: list[Acted], json: bool, typed: Mapping[str, str]) -> int:
    """typed: what a person called each target."""
    done = all(one.done for one in told)
    if json:
        console.say_json(told)
    for one in told if not json else ():
        made = f", made {one.made}" if one.made else ""
        text = f"done{made}" if one.done else f"not done: {one.text}"
        name = typed.get(one.target, one.target)
        console.line(f"{name}  {text}", style="" if one.done else "bold red")
    return exits.OK if done else exits.FAILED


def _target(text: str) -> str:
    try:
        return releasing.parse(text).text if text.strip() else text
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no id; `portico parked` and `portico show` print them, as 01a1…/d2"
        ) from None


def _pair(text: str) -> tuple[str, str]:
    place, sign, value = text.partition("=")
    if not sign or not place:
        raise typer.BadParameter(f"{text!r} is not PLACE=TEXT, such as PID-5.1=X")
    return place, value
