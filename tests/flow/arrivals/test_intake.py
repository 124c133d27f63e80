"""When a sender is answered, and with what (promises P1, P7; PROTOCOLS A13, A14)."""

from dataclasses import replace

import pytest
from msgspec import structs

from portico.flow.arrivals.desk import Policy
from portico.language.content import Content
from portico.language.place import Place
from portico.model.states import SignalState as State
from portico.policy.answer import Answering
from portico.policy.routing import Rules


async def test_a_positive_answer_waits_for_the_commit(start):
    """P1: nothing is said before the row is durable, then AA at once."""
    engine = await start()
    sender = engine.send()
    assert sender.code is None

    engine.journal.commit()

    assert sender.code == "AA"


async def test_what_cannot_be_stored_is_not_answered(start):
    """P7: no answer and a closed connection; no debt is left."""
    engine = await start()
    sender = engine.send()
    engine.journal.fail()

    assert sender.code == "close"
    assert not sender.told[0].replies
    assert engine.intake.owed == 0


async def test_what_turns_out_to_be_stored_is_run_though_its_sender_was_cut_off(start):
    """After an unclear commit `stored` may still follow `failed`: the message is ours."""
    engine = await start(when="processed")
    sender = engine.send()
    (entry,) = engine.journal.pending
    entry.failed(None)
    engine.journal.commit()

    assert sender.code == "close"
    engine.pool.deliver()
    engine.journal.commit()
    assert engine.journal.states() == [State.DONE]


async def test_processed_answers_with_the_verdict(start):
    """A14: AA once the agent's session is committed, not before."""
    engine = await start(when="processed")
    sender = engine.send()
    engine.journal.commit()
    engine.pool.deliver("his")
    assert sender.code is None

    engine.journal.commit()

    assert sender.code == "AA"


async def test_processed_is_told_an_agents_refusal(start):
    """The agent's code and text reach the sender, and the Signal is refused."""
    engine = await start(when="processed")
    sender = engine.send()
    engine.journal.commit()
    engine.pool.refuse("AR")
    engine.journal.commit()

    assert sender.code == "AR"
    assert b"101" in sender.told[0].replies[0]
    assert engine.journal.states() == [State.REFUSED]


async def test_the_worst_of_several_refusals_counts(start):
    """AR outweighs AE, whichever agent ends first."""
    engine = await start(when="processed", agents=("a", "b"))
    sender = engine.send()
    engine.journal.commit()
    engine.pool.refuse("AR")
    engine.pool.refuse("AE")
    engine.journal.commit()

    assert sender.code == "AR"


async def test_a_parked_message_is_our_fault_to_a_sender_that_waits(start):
    """processed: AE with code 207; the message is kept."""
    engine = await start(when="processed")
    sender = engine.send()
    engine.journal.commit()
    engine.pool.fault()
    engine.journal.commit()

    assert sender.code == "AE"
    assert engine.journal.states() == [State.PARKED]


async def test_a_verdict_that_is_late_finds_its_sender_told(start):
    """timeout: on_error, while work goes on; a refusal after it is a person's matter."""
    engine = await start(when="processed", timeout=10.0)
    sender = engine.send()
    engine.journal.commit()
    engine.time.pass_(10)
    assert sender.code == "AE"

    engine.pool.refuse()
    engine.journal.commit()

    assert engine.journal.states() == [State.PARKED]
    assert engine.intake.owed == 0


async def test_on_error_close_says_nothing(start):
    """A sender that drops a message on AE is cut off instead."""
    engine = await start(when="processed", timeout=10.0, on_error="close")
    sender = engine.send()
    engine.journal.commit()
    engine.time.pass_(10)

    assert sender.code == "close"


async def test_delivered_waits_for_every_destination(start):
    """A14: AA after the last of all agents' Deliveries has settled."""
    engine = await start(when="delivered", agents=("a", "b"))
    sender = engine.send()
    engine.journal.commit()
    engine.pool.deliver("his", "lab")
    engine.journal.commit()
    for delivery in engine.queued:
        engine.deliver(delivery)
    assert sender.code is None

    engine.pool.deliver("pacs")
    engine.journal.commit()
    assert sender.code is None
    engine.deliver(engine.queued[-1])

    assert sender.code == "AA"
    assert not engine.waiters


@pytest.mark.parametrize(
    ("reply", "said"), [("his", b"verbatim"), ("ack", None), ("lab", b"2")]
)
async def test_the_answer_may_be_what_a_destination_said(start, reply, said):
    """Of the one that is named alone, also when another answers last; a destination that is
    called `ack` is none that `reply: ack` means."""
    engine = await start(when="delivered", reply=reply)
    sender = engine.send()
    engine.journal.commit()
    engine.pool.deliver("his", "lab", "ack")
    engine.journal.commit()
    for delivery, content in zip(engine.queued, (b"verbatim", b"2", b"3"), strict=True):
        engine.deliver(delivery, content=content)
    (receipt,) = sender.told

    assert receipt.replies == (said,) if said else sender.code == "AA"


@pytest.mark.parametrize("unmatched", ["drop", "park", "refuse"])
async def test_answers_that_come_to_a_channel_are_kept_and_credited(start, unmatched):
    """A12: once journaled, each time one comes; other messages are taken as ever, and an
    answer that no agent takes is nobody's matter."""
    engine = await start(agents=(), unmatched=unmatched)
    engine.intake.policy = replace(engine.policy, answers=True)
    ack = b"MSH|^~\\&|LAB|ST|HIS|ST|2026||ACK|9|P|2.5\rMSA|AA|1\r"
    for content in (ack, ack):
        engine.take(content)
        assert engine.credited == []
    engine.send()
    engine.journal.commit()

    assert engine.credited == [("adt", ack), ("adt", ack)]
    kept = [signal.ended for signal in engine.journal.signals.values()]
    assert kept[:2] == ["unmatched", "unmatched"]


async def test_delivered_with_nothing_to_deliver_is_answered_at_the_verdict(start):
    """A filtered message has no destination to wait for."""
    engine = await start(when="delivered")
    sender = engine.send()
    engine.journal.commit()
    engine.pool.deliver()
    engine.journal.commit()

    assert sender.code == "AA"


async def test_a_parked_delivery_is_told(start):
    """delivered: AE as soon as one destination would not have it."""
    engine = await start(when="delivered")
    sender = engine.send()
    engine.journal.commit()
    engine.pool.deliver("his", "lab")
    engine.journal.commit()
    engine.deliver(engine.queued[0], "parked")

    assert sender.code == "AE"


@pytest.mark.parametrize("when", ["processed", "delivered"])
async def test_a_sender_that_was_told_holds_no_memory(start, when):
    """A destination that is down for days keeps no message of a told sender in memory."""
    engine = await start(when=when, timeout=5.0)
    engine.send()
    engine.journal.commit()
    engine.pool.deliver("his")
    engine.journal.commit()
    engine.time.pass_(5)

    assert not engine.waiters


@pytest.mark.parametrize(
    ("unmatched", "code", "states"),
    [("drop", "AA", []), ("park", "AA", [State.PARKED]), ("refuse", "AR", [])],
)
async def test_unmatched_goes_by_the_channels_policy(start, unmatched, code, states):
    """Dropped and refused ones end in their own row, parked ones wait for a person."""
    engine = await start(agents=(), unmatched=unmatched)
    sender = engine.send()
    engine.journal.commit()

    ended = {"drop": "unmatched", "refuse": "refused:unmatched", "park": ""}[unmatched]
    assert sender.code == code
    assert [one.ended for one in engine.journal.signals.values()] == [ended]
    assert engine.journal.states() == states


async def test_unmatched_and_parked_is_told_to_a_sender_that_waits(start):
    """processed: it need not wait for its time-out."""
    engine = await start(agents=(), unmatched="park", when="processed")
    sender = engine.send()
    engine.journal.commit()

    assert sender.code == "AE"
    assert [row.code for row in engine.journal.parked] == ["unmatched"]


async def test_a_message_that_cannot_be_read_is_journaled_and_refused(start):
    """No MSH: no answer can be made, the connection closes; the bytes are kept."""
    engine = await start()
    sender = engine.send(kind="")
    engine.journal.commit()

    (signal,) = engine.journal.signals.values()
    assert sender.code == "AE"
    assert signal.ended == "refused:message.required_missing"


async def test_a_repeat_gets_the_same_answer_and_runs_nothing(start):
    """A13: byte for byte the first answer, and one session."""
    engine = await start()
    first, second = engine.send(), engine.send()
    engine.journal.commit()
    third = engine.send()
    engine.journal.commit()

    assert first.told == second.told == third.told
    assert len(engine.pool.items) == 1
    assert engine.journal.states() == [State.DUPLICATE, State.DUPLICATE]


async def test_repeats_are_run_where_the_channel_says_so(start):
    """duplicates: {same: process}."""
    engine = await start(same="process")
    engine.send()
    engine.send()
    engine.journal.commit()

    assert len(engine.pool.items) == 2


async def test_a_repeat_after_the_window_is_a_new_message(start):
    """The window is the channel's own, whatever the journal looks back."""
    engine = await start(window=60.0)
    engine.send()
    engine.journal.commit()
    engine.time.pass_(61)
    engine.send()
    engine.journal.commit()

    assert len(engine.pool.items) == 2


async def test_a_repeat_waits_for_the_verdict_of_the_first(start, looked):
    """processed, the first still running: no answer before its end, then the same one."""
    engine = await start(when="processed")
    first = engine.send()
    engine.journal.commit()
    second = engine.send()
    engine.journal.commit()
    await looked(engine)
    assert second.code is None

    engine.pool.deliver()
    engine.journal.commit()
    await looked(engine)
    engine.journal.commit()

    assert (first.code, second.code) == ("AA", "AA")
    assert first.told == second.told
    assert not engine.pool.items


@pytest.mark.parametrize("end", ["refuse", "fault"])
async def test_after_a_refusal_or_an_error_a_repeat_runs_anew(start, looked, end):
    """A13, and a third one is the repeat of the second, which went well."""
    engine = await start(when="processed")
    engine.send()
    engine.journal.commit()
    getattr(engine.pool, end)()
    engine.journal.commit()
    second = engine.send()
    engine.journal.commit()
    await looked(engine)
    engine.pool.deliver()
    engine.journal.commit()
    third = engine.send()
    engine.journal.commit()
    await looked(engine)

    assert second.code == "AA"
    assert third.told == second.told
    assert not engine.pool.items


async def test_a_repeat_of_what_never_ends_is_told_in_time(start, looked):
    """Its own limit counts; it is no second run."""
    engine = await start(when="processed", timeout=10.0)
    engine.send()
    engine.journal.commit()
    second = engine.send()
    engine.journal.commit()
    await looked(engine)
    engine.time.pass_(10)
    await looked(engine)
    engine.journal.commit()

    assert second.code == "AE"
    assert engine.journal.states() == [State.DUPLICATE]


async def test_a_changed_message_is_processed_and_flagged(start):
    """A13: same MSH-10, other bytes: the agent sees `flags: changed`."""
    engine = await start()
    engine.send()
    engine.journal.commit()
    sender = engine.send(name="OTHER")
    engine.journal.commit()

    assert sender.code == "AA"
    assert [item.envelope["flags"] for _, item, _, _ in engine.pool.items] == [(), ("changed",)]


async def test_agents_may_ask_for_changed_messages(start):
    """The flag is known before the agents are chosen anew."""

    def agents(context):
        return ("b",) if "changed" in context.envelope["flags"] else ("a",)

    engine = await start(agents=agents)
    engine.send()
    engine.journal.commit()
    engine.send(name="OTHER")
    engine.journal.commit()

    assert [agent for agent, *_ in engine.pool.items] == ["a", "b"]


@pytest.mark.parametrize("unmatched", ["drop", "refuse", "park"])
async def test_an_agent_for_changed_messages_alone_sees_them(start, unmatched):
    """What nobody takes is the channel's matter; what turns out to be changed is that agent's,
    and the journal learns of the flag."""

    def agents(context):
        return ("a",) if "changed" in context.envelope["flags"] else ()

    engine = await start(agents=agents, unmatched=unmatched)
    first = engine.send()
    engine.journal.commit()
    second = engine.send(name="OTHER")
    engine.journal.commit()
    ends = {"drop": State.FILTERED, "refuse": State.REFUSED, "park": State.PARKED}

    assert first.code == ("AR" if unmatched == "refuse" else "AA")
    assert engine.journal.states()[0] is ends[unmatched]
    if unmatched != "refuse":  # what was refused is no earlier one
        assert second.code == "AA"
        assert [agent for agent, *_ in engine.pool.items] == ["a"]
        engine.pool.deliver("his")
        engine.journal.commit()
        assert engine.journal.ends[-1].flag == "changed"


async def test_a_changed_message_is_parked_where_the_channel_says_so(start):
    """It is kept under the code `changed`, so the sender is told AA."""
    engine = await start(changed="park")
    engine.send()
    engine.journal.commit()
    sender = engine.send(name="OTHER")
    engine.journal.commit()

    assert sender.code == "AA"
    assert [row.code for row in engine.journal.parked] == ["changed"]
    assert len(engine.pool.items) == 1


@pytest.mark.parametrize("when", ["journaled", "processed"])
async def test_a_changed_message_is_refused_each_time(start, looked, when):
    """AE with 205 at MSH-10; sent again it is refused again, and the first one still AA."""
    engine = await start(changed="refuse", when=when)
    engine.send()
    engine.journal.commit()
    engine.pool.deliver()
    engine.journal.commit()
    told = []
    for name in ("OTHER", "OTHER", "MUSTER"):
        sender = engine.send(name=name)
        engine.journal.commit()
        await looked(engine)
        engine.journal.commit()
        told.append(sender.code)

    assert told == ["AE", "AE", "AA"]
    assert engine.journal.states()[1:] == [State.REFUSED, State.REFUSED, State.DUPLICATE]


async def test_the_debt_of_answers_is_told_as_it_grows_and_shrinks(start):
    """Back-pressure counts answers not given yet."""
    engine = await start()
    debts = []
    engine.intake.pressed = lambda taken: debts.append(taken.owed)
    engine.send("1")
    engine.send("2")
    engine.journal.commit()

    assert debts == [1, 2, 1, 0]


@pytest.mark.parametrize(
    ("kind", "content", "told"),
    [
        ("json", b'{"mrn": 7}', "accepted"),
        ("json", b"{", "refused"),
        ("json", b"  ", "silent"),
        ("bytes", b"\xff\x00", "accepted"),
        ("bytes", b"\n", "accepted"),
        ("bytes", b"", "silent"),
    ],
)
async def test_other_content_is_taken_and_told(start, kind, content, told):
    """JSON and bytes as HL7: journaled, answered in words that any protocol can say."""
    engine = await start()
    engine.intake.policy = Policy(Rules("adt", Content(kind)), Answering())
    sender = engine.take(content)
    engine.journal.commit()

    assert sender.told[0].told == told


async def test_a_header_counts_again_when_a_signal_is_read_back(start):
    """P2: the agents of a request are those of its header, at the door and after a restart."""
    wanted = Place.parse("header/x-ward")
    engine = await start(agents=lambda c: ("a",) if wanted.text(c) == "7" else ())
    sender = engine.send()
    engine.journal.commit()
    (signal,) = engine.journal.signals.values()
    kept = structs.replace(signal, about=b'{"header":{"x-ward":"7"}}')

    assert sender.code == "AA"
    assert engine.recaller.read(signal, engine.policy)[2] == set()
    assert engine.recaller.read(kept, engine.policy)[2] == {"a"}
