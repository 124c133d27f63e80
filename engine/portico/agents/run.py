"""One run of a plan over one Signal. Nothing leaves before it ends; then all of it."""

from collections.abc import Callable
from typing import Any

from portico.agents.item import RESULT, Item
from portico.agents.plan import Plan
from portico.errors import MessageError
from portico.language.content import AUTO, Content
from portico.language.order import widened
from portico.language.place import Place
from portico.model.verdict import Kind, Output, SessionResult, StepRun
from portico.steps.asking import Asking, Suspended
from portico.steps.body import Body, open_body
from portico.steps.contract import End
from portico.steps.state import RunState


def run(plan: Plan, item: Item, clock_ns: Callable[[], int]) -> SessionResult:
    """What the agent makes of the Signal; a fault is a result. clock_ns: nanoseconds.

    A drop after something was sent or emitted is a delivery of that: what is out counts.
    """
    started = clock_ns()
    envelope = {**item.envelope, "id": item.signal}
    try:
        kind = _kind(plan, item.envelope)
        body = open_body(kind, item.content, plan.charset, plan.on_charset_error)
    except MessageError as fault:
        state = _state(plan, item, Body(item.content), envelope, clock_ns)
        end = plan.on_error.end(state, "", "", fault)
        return _result(item, state, end, None, started)
    state = _state(plan, item, body, envelope, clock_ns)
    try:
        return _run(plan, item, state, started)
    except Suspended as asks:
        micros = (clock_ns() - started) // 1000
        return SessionResult(Kind.CALL, asks.call.step, micros=micros, call=asks.call)


def _run(plan: Plan, item: Item, state: RunState, started: int) -> SessionResult:
    if not plan.order_by.keys:
        return _result(item, state, plan.program.run(state), None, started)
    try:
        order_key = _order_key(plan, state)
    except MessageError as fault:
        return _result(item, state, plan.on_error.end(state, "", "", fault), None, started)
    return _result(item, state, plan.program.run(state), order_key, started)


def _kind(plan: Plan, envelope: dict[str, Any]) -> Content:
    """What an agent emitted is what its `emit` says, else what its first bytes say."""
    if "signal" in envelope:
        return plan.contents.get(f"signal:{envelope['signal']}", AUTO)
    return plan.contents.get(envelope.get("channel", ""), plan.content)


def _state(
    plan: Plan, item: Item, body: Body, envelope: dict[str, Any], clock_ns: Callable[[], int]
) -> RunState:
    asking = Asking(item.replies, item.asked in ("", plan.version))
    return RunState(item.signal, body, envelope, plan.tables, plan.limits, clock_ns, asking)


def _order_key(plan: Plan, state: RunState) -> str | None:
    """The first valued place of the agent's `order_by`, with the keys beside it; None: the
    session's."""
    for place in plan.order_by.keys:
        text = place.text(state.context) if isinstance(place, Place) else None
        if isinstance(text, str):
            if plan.beside is None:
                return text
            kind = str(state.context.envelope.get("type", ""))
            return widened(text, plan.beside, kind, state.context)
    return None


def _result(
    item: Item, state: RunState, end: End | None, order_key: str | None, started: int
) -> SessionResult:
    end = end or End(Kind.DELIVER)
    kind = end.kind
    if kind is Kind.DROP and (state.outputs or state.emissions):
        kind = Kind.DELIVER
    leaves = kind is Kind.DELIVER
    return SessionResult(
        kind,
        "" if leaves else end.step,
        tuple(_output(item, one, order_key) for one in state.outputs) if leaves else (),
        tuple(state.emissions) if leaves else (),
        tuple(StepRun(name, *entry) for name, entry in state.ledger.items()),
        end.refusal,
        end.failure,
        end.hold,
        tuple(state.logs),
        (state.clock_ns() - started) // 1000,
        state.body.content() if leaves and RESULT in item.envelope else None,
    )


def _output(item: Item, output: Output, order_key: str | None) -> Output:
    """The output as the journal keeps it: no content where the Signal's own bytes go out."""
    content = None if output.content == item.content else output.content
    return Output(output.destination, content, order_key, output.control_id, output.file)
