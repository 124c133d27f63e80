"""Runs a site's cases offline: messages in, verdicts, answers, Deliveries and Signals out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from portico.check.case import Case, Given, PlacedCase
from portico.check.judge import Judge
from portico.check.site import Site
from portico.check.stage import Stage, happen
from portico.clock import Clock
from portico.errors import PorticoError
from portico.events.emit import Event
from portico.language.content import Content
from portico.language.place import Place
from portico.steps.body import Body, open_body
from portico.workers.nursery import Nursery
from portico.workers.pool import Pool


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One case. differences: a line each; none: it holds. updated: golden files written."""

    name: str
    place: str
    differences: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()


async def run_cases(
    site: Site, cases: Sequence[PlacedCase], clock: Clock, update: bool = False
) -> list[CaseResult]:
    """Every case in order. update: write golden files instead of comparing with them.

    Raises ConfigError when the workers do not start.
    """
    nursery = Nursery(clock, site.config.workers.preload)
    nursery.start()
    pool = Pool(nursery, clock=clock, emit=_unheard)
    try:
        await pool.start()
        stage = Stage(site, pool)
        return [await _run(stage, found, update) for found in cases]
    finally:
        await pool.stop(1.0)


async def _run(stage: Stage, found: PlacedCase, update: bool) -> CaseResult:
    case = found.case
    judge = Judge(stage, case, update)
    try:
        root = stage.site.root
        said = {name: _content(root, one) for name, one in case.answers.items()}
        happened = [
            await happen(stage, case, content, number, said)
            for number, content in enumerate(_contents(stage.site, case))
        ]
        judge.all(happened)
    except OSError as error:
        named = Path(error.filename or "").name
        return CaseResult(case.case, found.place, (f"{named}: {error.strerror}",))
    except PorticoError as error:
        return CaseResult(case.case, found.place, (*judge.differences, str(error)))
    return CaseResult(case.case, found.place, tuple(judge.differences), tuple(judge.updated))


def _contents(site: Site, case: Case) -> list[bytes]:
    """The messages of a case, edited. Raises OSError, MessageError."""
    read_by = site.form(case.origin), site.charset(case.origin)
    return [_edited(_content(site.root, given), case.set, *read_by) for given in case.given]


def _content(root: Path, given: Given) -> bytes:
    if given.file:
        return (root / given.file).read_bytes()
    text = given.text.encode()
    return text.replace(b"\n", b"\r") if text.startswith(b"MSH") else text


def _edited(
    content: bytes, changes: Mapping[str, str], form: Content, charset: tuple[str, str]
) -> bytes:
    body = open_body(form, content, *charset).fork() if changes else Body(content)
    for place, text in changes.items():
        body.write(Place.parse(place), text)
    return body.content()


def _unheard(event: Event) -> None:
    """A case has no operator."""
