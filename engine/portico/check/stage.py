"""The stage of a case: real agents in real workers; no sockets, no journal, no operator.

What intake decides and tells is policy's, the same as in a running engine. The clock stands
still, and so do the ids of Signals, so that golden files stay the same.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from portico import ids
from portico.agents import sources
from portico.agents.item import RESULT, Item
from portico.check import replying
from portico.check.case import Case
from portico.check.simulated import Simulated
from portico.check.site import Site
from portico.errors import ConfigError
from portico.ids import SignalId
from portico.language.context import Context
from portico.model.receipt import Receipt
from portico.model.verdict import Emission, Kind, Output, Refusal, SessionResult
from portico.policy import answer, routing
from portico.policy.answer import Answering
from portico.policy.routing import Routed
from portico.policy.settings import answering_of, rules_of
from portico.spec.agent import Agent
from portico.spec.rules import walk
from portico.steps.table import STAND_IN
from portico.workers.backlog import Outcome
from portico.workers.editions import CrewTerms
from portico.workers.pool import Pool

NOW = 1_767_225_600_000_000_000  # 2026-01-01 in UTC: when every Signal of a case arrives
PEER = "127.0.0.1:50000"

# Of several sessions the first of these is the case's verdict.
_GRAVEST = (Kind.FAULT, Kind.REFUSE, Kind.DELIVER, Kind.DROP)
_UNMATCHED = {"drop": Kind.DROP, "refuse": Kind.REFUSE, "park": Kind.FAULT}


@dataclass(slots=True)
class Happened:
    """What came of one message. answers: rendered, in order. value: an agent's last."""

    kind: Kind
    steps: list[str] = field(default_factory=list)
    why: str = ""
    answers: tuple[bytes, ...] = ()
    outputs: list[tuple[Output, bytes]] = field(default_factory=list)
    emissions: list[tuple[Emission, bytes]] = field(default_factory=list)
    value: bytes | None = None


class Stage:
    """The site's agents, ready to run; those with stand-ins are made when a case asks."""

    def __init__(self, site: Site, pool: Pool) -> None:
        self.site = site
        self.tables = sources.tables(site.root)
        self._pool = pool
        self._ready: dict[str, str] = {}

    def matching(self, context: Context) -> list[Agent]:
        """The agents that answer this Signal."""
        return [agent for agent in self.site.agents.values() if agent.on.holds(context)]

    async def run(self, agent: Agent, case: Case, item: Item) -> SessionResult:
        """One session. Raises ConfigError when the agent does not load, or a step asks."""
        name = await self._cast(agent, case)
        simulated = Simulated(self.site, case.tools)
        while True:
            done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
            self._pool.submit(name, item, "", done.set_result)
            result = (await done).result
            assert result is not None
            if result.call is None:
                return result
            reply = await simulated.reply(agent, result.call)
            if reply is None:
                raise ConfigError(_asks(agent, result.step))
            item = msgspec.structs.replace(item, replies=(*item.replies, reply))

    async def _cast(self, agent: Agent, case: Case) -> str:
        """The agent's crew for this case, activated once for each set of stand-ins."""
        document = agent.plain()
        document["limits"] = {**document["limits"], "candid": True}
        used = _stand_in(document["steps"], case)
        name = f"{agent.name} {case.case}" if used else agent.name
        if name not in self._ready:
            terms = CrewTerms(
                1, 1, agent.limits.time, 1 if agent.isolation == "fresh" else 10_000
            )
            root, memory = str(self.site.root), agent.limits.memory
            await self._pool.activate(name, document, root, terms, memory)
            self._ready[name] = name
        return name


def _asks(agent: Agent, step: str) -> str:
    return (
        f"step {step} of {agent.name} asks a model or a plugin, which a case never does; "
        f"stand in for it: steps: {{{step}: {{gives: ...}}}}"
    )


def _stand_in(steps: list[dict[str, Any]], case: Case) -> int:
    """Put the case's stand-ins in place, in a normal form of its own; how many were used."""
    used = 0
    for step in walk(steps):
        stand_in = case.steps.get(step["name"])
        if stand_in is not None:
            used += 1
            into = step["args"].get("into") if isinstance(step["args"], dict) else None
            given = stand_in.model_dump(exclude_none=True)
            assert isinstance(step, dict)
            step["args"] = {**given, "into": into} if into else given
            step["verb"] = STAND_IN
    return used


async def happen(
    stage: Stage, case: Case, content: bytes, number: int, said: Mapping[str, bytes]
) -> Happened:
    """One message through intake's decisions and through every agent that answers it. said:
    what destinations answer."""
    channel = stage.site.channels.get(case.channel)
    if case.channel and channel is None:
        raise ConfigError(f"there is no channel {case.channel!r}")
    rules = rules_of(channel) if channel else stage.site.rules(case.origin)
    answering = answering_of(channel) if channel else Answering(mode="none")
    signal = SignalId(ids.floor_at(NOW // 1_000_000)[:-1] + bytes((number & 0xFF,)))
    routed = routing.route(rules, content, PEER, 1)
    if routed.fault is not None:
        receipt = answer.unacceptable(answering, routed.header, signal, routed.fault)
        return Happened(Kind.REFUSE, why=str(routed.fault), answers=receipt.replies)
    envelope = routing.envelope(routed, case.origin, NOW, PEER, len(content))
    agents = stage.matching(Context(routed.view, envelope))
    happened = Happened(_UNMATCHED[channel.unmatched if channel else "drop"], ["unmatched"])
    refusal: Refusal | None = None
    if answering.reply == RESULT:
        envelope[RESULT] = True
    if agents:
        item = Item(signal, content, envelope, routed.order_key)
        results = [await stage.run(agent, case, item) for agent in agents]
        happened, refusal = _together(results, content)
    elif happened.kind is Kind.REFUSE:
        refusal = answer.UNMATCHED
    context = Context(routed.view, envelope)
    reply = None
    if happened.kind is Kind.DELIVER:
        sent = {output.destination for output, _ in happened.outputs}
        body = replying.body(stage.site, answering, happened.value, sent, said)
        reply = replying.receipt(stage.site, answering, routed.header, signal, body)
    if reply is None:
        reply = _told(answering, routed, signal, happened.kind, refusal, context)
    happened.answers = reply.replies
    return happened


def _together(
    results: Sequence[SessionResult], content: bytes
) -> tuple[Happened, Refusal | None]:
    """Several sessions as one: the gravest verdict, the worst refusal, all that they made."""
    kinds = {result.kind for result in results}
    happened = Happened(next(kind for kind in _GRAVEST if kind in kinds))
    refusals = []
    for result in results:
        if result.kind is happened.kind and result.step:
            happened.steps.append(result.step)
        if result.failure is not None:
            failure = result.failure
            where = f" ({failure.step} at {failure.at})" if failure.step else ""
            happened.why = failure.text + where
        if result.refusal is not None:
            refusals.append(result.refusal)
        happened.value = happened.value if result.value is None else result.value
        happened.outputs += [
            (o, content if o.content is None else o.content) for o in result.outputs
        ]
        happened.emissions += [
            (e, content if e.content is None else e.content) for e in result.emissions
        ]
    worst = min(refusals, key=lambda refusal: refusal.ack != "AR", default=None)
    return happened, worst


def _told(
    answering: Answering,
    routed: Routed,
    signal: SignalId,
    kind: Kind,
    refusal: Refusal | None,
    context: Context,
) -> Receipt:
    """What the sender is told: at once when `journaled`, else by the verdict."""
    late = answering.when == "journaled" and refusal is not answer.UNMATCHED
    if kind in (Kind.DELIVER, Kind.DROP) or late:
        text = answering.text.render(context) if answering.text else ""
        return answer.accepted(answering, routed.header, signal, text)
    if kind is Kind.REFUSE:
        told = refusal or Refusal(text="refused")
        return answer.refused(answering, routed.header, signal, told)
    return answer.failed(answering, routed.header, signal, answer.KEPT)
