"""portico.server.modelling: budgets through a reload."""

from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from portico.clock import SystemClock
from portico.events.metrics import Metrics
from portico.flow.runs import Run
from portico.flow.sessions.asking import Asked
from portico.ids import SignalId
from portico.journal.calls import Spent
from portico.llm.asking import Question
from portico.model.call import Call
from portico.model.signal import Signal
from portico.server.modelling import Modelling
from portico.spec.models import Budget, Provider

DAY = 86_400.0
QUESTION = Question(
    parts=[("", "Is this urgent?")],
    prompt="p",
    schema={"type": "object"},
    phi="none",
    model=[],
    timeout=5.0,
    budget=None,
    identifiers=[],
    patient="",
)


def site_of(per):
    """A site whose one agent may use a thousand tokens in that time."""
    agent = SimpleNamespace(
        model=None, budget=Budget(tokens="1000", per=per), steps=(), granted={}
    )
    config = SimpleNamespace(providers={"sim": Provider()}, data="var")
    return SimpleNamespace(root=Path(), config=config, agents={"a": agent})


class CallsTwin:
    """The journal: all of the budget was spent three days ago."""

    async def spent(self, since):
        """As journal.calls."""
        at = SystemClock().time_ns() / 1e9 - 3 * DAY
        found = [Spent(at, "sim:", "a", "s", 1000, 0, None)]
        return [one for one in found if one.at >= since]

    async def open(self, signal, agent, call, target, sent):
        """As journal.calls."""
        return "a row"


@pytest.fixture
async def modelling():
    """With a budget of a day."""
    made = Modelling(
        site_of("1d"), {}, CallsTwin(), SystemClock(), lambda event: None, Metrics(), None
    )
    made.follow(site_of("1d"))
    yield made
    await made.stop()


async def asked(modelling):
    """The error of one call."""
    call = Call("llm", "s", 1, msgspec.json.encode(QUESTION))
    run = Run(Signal(SignalId(b"\1" * 16), "in", 0, b"", b""), 1, {"a"}, {})
    return (await modelling.do(Asked("a", run, call, CallsTwin()))).reply.error


async def test_a_budget_that_a_reload_makes_longer_counts_what_came_before(modelling):
    """And what the engine has spent since is counted once."""
    assert await asked(modelling) == ""
    modelling.follow(site_of("7d"))

    assert await asked(modelling) == "llm.budget"


async def test_a_budget_that_a_reload_makes_shorter_reads_nothing_anew(modelling):
    """What is known reaches back further than it must."""
    modelling.follow(site_of("7d"))
    modelling.follow(site_of("1h"))

    assert await asked(modelling) == ""
