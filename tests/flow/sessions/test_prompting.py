"""portico.flow.sessions.prompting: what becomes of one exchange with a provider."""

import asyncio

import msgspec
import pytest

from portico.clock import SystemClock
from portico.errors import JournalRefused
from portico.events.asking import ProviderBack, ProviderDown
from portico.events.metrics import Metrics
from portico.flow.runs import Run
from portico.flow.sessions.asking import Asked
from portico.flow.sessions.prompting import Prompting, PromptingWorld
from portico.ids import SignalId
from portico.llm import circuit
from portico.llm.asking import Question
from portico.llm.contract import Completion, ModelFailed
from portico.llm.deidentify import TOKEN
from portico.llm.spending import Spending
from portico.model.call import Call
from portico.model.signal import Signal
from portico.spec.models import Provider as Settings
from portico.spec.models import Rate

QUESTION = Question(
    parts=[("", "Is this urgent?")],
    prompt="p",
    schema={},
    phi="none",
    model=["far", "m"],
    timeout=1.0,
    budget=None,
    identifiers=[],
    patient="",
)
CALL = Call("llm", "triage", 1, msgspec.json.encode(QUESTION))
BUSY = ModelFailed("llm.http_429", "too many", True)
FULL = JournalRefused("the disk is full", "53100")
GOOD = Completion('{"code":"X1"}', b"asked", b"answered")


class Site:
    """Of one provider."""

    def __init__(self):
        self.providers = {"far": Settings(type="sim")}

    def of_agent(self, agent):
        """As prompting asks."""
        return None, None


class Clock(SystemClock):
    """Its time passes when it is told to."""

    now = 0.0

    def monotonic(self):
        """Seconds."""
        return self.now


class ProviderTwin:
    """Does what it is told, by turns."""

    def __init__(self, *acts):
        self.acts = list(acts)

    async def complete(self, request):
        """As llm.contract."""
        act = self.acts.pop(0)
        if isinstance(act, Exception):
            raise act
        return act


class RecordTwin:
    """The journal's calls."""

    async def open(self, signal, agent, call, target, sent):
        """As journal.calls."""
        return "a row"


def prompting_of(twin, clock, emit=lambda event: None):
    """With a provider; and a call."""

    async def provider(name, settings):
        return twin

    world = PromptingWorld(Site, provider, bytes, clock, emit, Metrics())
    run = Run(Signal(SignalId(b"\1" * 16), "in", 0, b"", b""), 1, {"a"}, {})
    return Prompting(world, Spending()), Asked("a", run, CALL, RecordTwin())


async def test_a_trial_that_the_journal_did_not_let_leave_is_no_trial():
    """The provider that failed is tried again at the next call, and its circuit closes."""
    twin, clock = ProviderTwin(*[BUSY] * circuit.FAILURES, FULL, GOOD), Clock()
    prompting, asked = prompting_of(twin, clock)
    for _ in range(circuit.FAILURES):
        await prompting.do(asked)
    assert (await prompting.do(asked)).reply.error == "llm.circuit"
    clock.now += circuit.FIRST

    with pytest.raises(JournalRefused):
        await prompting.do(asked)

    assert (await prompting.do(asked)).reply.error == ""


async def test_a_provider_that_answers_a_trial_with_a_refusal_is_back():
    """Its calls leave again, and who heard that it is down hears so."""
    wrong = ModelFailed("llm.http_400", "no such model", False)
    twin, clock, said = ProviderTwin(*[BUSY] * circuit.FAILURES, wrong, GOOD), Clock(), []
    prompting, asked = prompting_of(twin, clock, said.append)
    for _ in range(circuit.FAILURES):
        await prompting.do(asked)
    clock.now += circuit.FIRST

    assert (await prompting.do(asked)).reply.error == "llm.http_400"
    assert (await prompting.do(asked)).reply.error == ""
    told = [event for event in said if isinstance(event, ProviderDown | ProviderBack)]
    assert [type(event) for event in told] == [ProviderDown, ProviderBack]


@pytest.mark.parametrize(("left", "tokens"), [(True, 100), (False, 0)])
async def test_an_exchange_that_a_person_ended_is_booked_if_it_had_left(left, tokens):
    """With a quarter of its bytes, as one whose answer nobody knows; cancelling is no way past
    a budget."""
    begun = asyncio.Event()

    class Slow:
        async def complete(self, request):
            if left:
                await request.leaving(b"x" * 400)
            begun.set()
            await asyncio.Event().wait()

    prompting, asked = prompting_of(Slow(), Clock())
    task = asyncio.ensure_future(prompting.do(asked))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert prompting.spending.spent(("provider", "far"), 0.0).tokens == tokens


async def test_a_call_goes_to_whom_its_policy_was_judged_for():
    """A reload gives the name to another while the call waits for its rate."""
    given, site = [], Site()
    site.providers["far"] = before = Settings(type="sim", rate=Rate(calls=1, per="50ms"))

    async def provider(name, settings):
        given.append(settings)
        return ProviderTwin(GOOD)

    world = PromptingWorld(
        lambda: site, provider, bytes, SystemClock(), lambda event: None, Metrics()
    )
    _, asked = prompting_of(None, Clock())
    prompting = Prompting(world, Spending())
    await prompting.do(asked)

    waits = asyncio.ensure_future(prompting.do(asked))
    await asyncio.sleep(0)
    del site.providers["far"]

    assert (await waits).reply.error == ""
    assert given == [before, before]


async def test_an_answer_with_a_quote_in_a_name_is_still_json():
    """What is put back stands in the answer as JSON spells it."""

    class Echo:
        async def complete(self, request):
            return Completion(f'{{"who":"{TOKEN.search(request.prompt)[0]}"}}', b"", b"")

    async def provider(name, settings):
        return Echo()

    site = Site()
    site.providers["far"] = Settings(type="sim", phi="deidentified")
    world = PromptingWorld(
        lambda: site, provider, bytes, Clock(), lambda event: None, Metrics()
    )
    prompting, (_, asked) = Prompting(world, Spending()), prompting_of(None, Clock())
    wanted = msgspec.structs.replace(
        QUESTION,
        phi="deidentified",
        parts=[("", "Who? "), ("name", 'Robert "Bob" Fox')],
        identifiers=[("name", 'Robert "Bob" Fox')],
    )
    asked.call = msgspec.structs.replace(asked.call, request=msgspec.json.encode(wanted))

    done = await prompting.do(asked)

    text = msgspec.json.decode(done.reply.outcome)["text"]
    assert msgspec.json.decode(text) == {"who": 'Robert "Bob" Fox'}
