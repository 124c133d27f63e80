"""portico.flow.sessions.conversing: what the model is told, what is kept, and where it ends."""

import asyncio
import json

import msgspec
import pytest

from portico.clock import SystemClock, moment
from portico.errors import RequestError
from portico.events.metrics import Metrics
from portico.flow.runs import Run
from portico.flow.sessions.asking import Asked
from portico.flow.sessions.conversing import Conversing, ConversingWorld
from portico.flow.sessions.tooling import Tooling, ToolingWorld
from portico.ids import SignalId
from portico.journal.calls import OPEN, Called, Made
from portico.llm import asking
from portico.llm.contract import Use
from portico.llm.granted import Frozen, Granted
from portico.model.call import Call, Reply
from portico.model.signal import Signal

TOOL = Granted("beds_find", "beds.find", "", {"type": "object"}, builtin=False)
SIGNAL = SignalId(b"\1" * 16)


class RecordTwin:
    """The journal's calls, in memory: rows by their place."""

    def __init__(self):
        self.rows, self.last = {}, 0

    def _now(self):
        """Later than before."""
        self.last = max(self.last + 1000, SystemClock().time_ns())
        return moment(self.last)

    async def made(self, signal, agent, step):
        """As journal.calls."""
        return [
            Made(call.digest, reply.outcome, reply.error, at, True, _final(reply), reply.text)
            for at, (call, done) in self.rows.items()
            for reply in [done.reply]
        ]

    async def open(self, signal, agent, call, target, sent):
        """As journal.calls."""
        at = self._now()
        self.rows[at] = call, Called(Reply(call.digest, error=OPEN), target, sent=sent)
        return at

    async def keep(self, signal, agent, call, called, opened=None):
        """As journal.calls."""
        self.rows[opened or self._now()] = call, called


def _final(reply):
    """As journal.calls."""
    return bool(reply.error) and not reply.transient and reply.error != OPEN


class Talk:
    """A conversation with a model that says `said`, one after the other; `gives` by tool."""

    def __init__(self, said, gives=None, frozen=None, record=None, phi="allowed", hangs=None):
        self.said, self.gives, self.asked = list(said), gives or {}, []
        self.record = record or RecordTwin()
        self.most, self.now, self.plugged = 0, 0, []
        self.frozen = frozen or Frozen(tools=(TOOL,))
        self.phi, self.hangs = phi, hangs
        clock = SystemClock()
        world = ToolingWorld(self.plugin, self.person, clock, lambda event: None, Metrics())
        talking = ConversingWorld(
            lambda agent, step: self.frozen, self.exchange, Tooling(world), None, clock
        )
        self.conversing = Conversing(talking)

    async def exchange(self, asked):
        """With the model."""
        self.asked.append(asking.decode(asked.call.request))
        if self.hangs is not None:
            self.hangs.set()
            await asyncio.Event().wait()
        said = self.said.pop(0)
        if isinstance(said, Reply):
            return Called(said)
        return Called(Reply(asked.call.digest, msgspec.json.encode(said)), "sim:m")

    async def plugin(self, asked):
        """A tool of a plugin; says how many work at once."""
        request = json.loads(asked.call.request)
        self.plugged.append(request["call"])
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        self.now -= 1
        gave = self.gives.get(request["call"], "found")
        if isinstance(gave, Reply):
            return Called(gave)
        return Called(Reply(asked.call.digest, json.dumps(gave).encode()))

    async def person(self, asked):
        """Says that it was done."""
        said = {"verdict": "approved", "answer": None}
        return Called(Reply(asked.call.digest, json.dumps(said).encode()))

    async def run(self, turns=()):
        """What the step is given."""
        wanted = {
            "parts": [["", "Find"]], "prompt": "d", "schema": {}, "phi": self.phi, "model": [],
            "timeout": 5, "budget": None, "identifiers": [], "patient": "p", "turns": turns,
        }  # fmt: skip
        call = Call("converse", "llm_1", 1, json.dumps(wanted).encode())
        run = Run(Signal(SIGNAL, "in", 0, b"", b""), 1, {"a"}, {})
        asked = Asked("a", run, call, self.record)
        called = await self.conversing.do(asked)
        await asked.kept(called)
        return called.reply

    def told(self):
        """What the model was told last, of each use."""
        return ["".join(text for _, text in one) for one in self.asked[-1].rounds[-1].told]


def uses(*names, given="{}"):
    """The model wants tools."""
    return {"text": "", "uses": [Use(f"c{n}", name, given) for n, name in enumerate(names)]}


ANSWER = {"text": '{"code": "A"}'}


async def test_tools_work_side_by_side_as_many_as_the_step_lets():
    """Each is told under its own use, in order."""
    names = [f"beds_{n}" for n in range(6)]
    tools = tuple(
        msgspec.structs.replace(TOOL, name=n, call=n.replace("_", ".")) for n in names
    )
    gives = {name.replace("_", "."): name for name in names}
    talk = Talk([uses(*names), ANSWER], gives, Frozen(tools=tools, parallel=2))

    reply = await talk.run()

    assert json.loads(reply.outcome)["text"] == ANSWER["text"]
    assert talk.told() == [f'"{name}"' for name in names]
    assert talk.most == 2


@pytest.mark.parametrize(
    ("use", "code"),
    [
        (uses("beds_erase"), "tool.unknown"),
        (uses("beds_find", given="["), "tool.arguments"),
        (uses("beds_find", given="[1]"), "tool.arguments"),
        (uses(*["beds_find"] * 17), "tool.too_many"),
    ],
)
async def test_what_is_not_let_is_told_and_has_no_effect(use, code):
    """The model may go on."""
    talk = Talk([use, ANSWER])

    await talk.run()

    assert code in talk.told()[-1]
    assert len(talk.plugged) == (16 if code == "tool.too_many" else 0)


async def test_an_endless_conversation_ends_at_its_rounds():
    """As an error of the step, for good."""
    talk = Talk([uses("beds_find")] * 9, frozen=Frozen(tools=(TOOL,), rounds=3))

    reply = await talk.run()

    assert (reply.error, reply.transient, len(talk.asked)) == ("llm.rounds", False, 3)


async def test_a_provider_that_fails_ends_the_turn_and_nothing_before_it_is_asked_again():
    """The next turn goes by the record."""
    record = RecordTwin()
    busy = Reply(b"", error="llm.http_429", text="HTTP 429", transient=True)
    first = Talk([uses("beds_find"), busy], record=record)
    assert (await first.run()).error == "llm.http_429"

    second = Talk([ANSWER], record=record)
    reply = await second.run()

    assert json.loads(reply.outcome)["text"] == ANSWER["text"]
    assert (len(second.asked), second.plugged) == (1, [])
    turns = [done.reply.error for call, done in record.rows.values() if call.verb == "converse"]
    assert turns == ["llm.http_429", ""]


async def test_an_exchange_that_failed_for_good_ends_the_turn_of_the_next_engine_too():
    """Killed between the two rows: the provider is not asked what it has refused."""
    record = RecordTwin()
    refused = Reply(b"", error="llm.http_400", text="HTTP 400")
    await Talk([uses("beds_find"), refused], record=record).run()
    at, (turn, _) = next(row for row in record.rows.items() if row[1][0].verb == "converse")
    record.rows[at] = turn, Called(Reply(turn.digest, error=OPEN))

    second = Talk([], record=record)
    reply = await second.run()

    assert (reply.error, reply.text, reply.transient) == ("llm.http_400", "HTTP 400", False)
    assert (second.asked, second.plugged) == ([], [])
    turns = [done.reply.error for call, done in record.rows.values() if call.verb == "converse"]
    assert turns == ["llm.http_400"]


async def test_what_was_wrong_is_said_in_a_turn_of_its_own():
    """The first turn is talked through by the record."""
    record = RecordTwin()
    await Talk([uses("beds_find"), ANSWER], record=record).run()

    again = Talk([{"text": "better"}], record=record)
    reply = await again.run([[ANSWER["text"], "/code is wrong"]])

    assert json.loads(reply.outcome)["text"] == "better"
    last = again.asked[0].rounds[-1]
    assert (last.text, last.told) == (ANSWER["text"], ((("", "/code is wrong"),),))


@pytest.mark.parametrize(("idempotent", "code"), [(True, "plugin.died"), (False, "")])
async def test_a_tool_that_died_is_in_doubt_where_it_may_do_harm(idempotent, code):
    """A person is asked; else the model is told."""
    tool = msgspec.structs.replace(TOOL, idempotent=idempotent)
    died = Reply(b"", error="plugin.died", text="its process ended")
    talk = Talk([uses("beds_find"), ANSWER], {"beds.find": died}, Frozen(tools=(tool,)))

    await talk.run()

    kept = [done.reply.error for call, done in talk.record.rows.values() if call.verb == "tool"]
    assert kept == ([code] if idempotent else ["tool.unclear", ""])
    assert ("was done" in talk.told()[0]) is not idempotent


async def test_who_a_tool_names_is_replaced_wherever_they_occur_later():
    """What it gave is looked through by its keys; the next exchange knows them."""
    tool = msgspec.structs.replace(TOOL, phi="deidentified")
    gives = {"beds.find": {"patient": {"family": "Nebenmann"}, "bed": "N-7"}}
    talk = Talk(
        [uses("beds_find"), uses("beds_find", given='{"who": "Nebenmann"}'), ANSWER],
        gives,
        Frozen(tools=(tool,)),
        phi="deidentified",
    )
    await talk.run()

    wanted = talk.asked[-1]
    veil = asking.veil(wanted, lambda: b"k" * 32)
    request = asking.request(wanted, "m", veil)
    left = msgspec.json.encode(request.rounds).decode() + request.prompt
    assert "Nebenmann" not in left
    assert "N-7" in left


async def test_one_that_runs_can_be_looked_at_until_it_is_ended():
    """Its step hears nothing more of it."""
    hangs = asyncio.Event()
    talk = Talk([], hangs=hangs)
    task = asyncio.ensure_future(talk.run())
    await hangs.wait()
    [name] = talk.conversing._open
    assert talk.conversing.status(name).exchanges == 1

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(RequestError, match="no conversation"):
        talk.conversing.status(name)
