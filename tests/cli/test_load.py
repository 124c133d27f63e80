"""The load generator: what it sends, what it counts, and when it ends."""

import asyncio

import pytest

from portico.cli import exits, load
from portico.cli.load import SAMPLE, LoadMessage, LoadPlan, LoadReport, run_load
from portico.hl7.view import MessageView


def plan(peer, **options):
    """A plan against that peer."""
    host, _, port = peer.address.rpartition(":")
    return LoadPlan(host, int(port), **options)


async def test_every_message_has_a_control_id_of_its_own(peer):
    """Else a receiver would take them for repeats."""
    report = await run_load(
        plan(peer, count=200, connections=4, outstanding=3), LoadMessage(SAMPLE)
    )
    sent = [MessageView(one.encode()).text("MSH-10") for one in peer.got]

    assert len(set(sent)) == 200
    assert report.accepted
    assert (report.sent, report.answered, report.counted, report.codes["AA"]) == (200,) * 4
    assert len(report.latencies) == 200


async def test_patients_go_round(peer):
    """So that a receiver's order keys are many."""
    await run_load(plan(peer, count=9), LoadMessage(SAMPLE, patients=3))
    seen = [MessageView(one.encode()).text("PID-3.1") for one in peer.got]

    assert seen == ["LOAD0", "LOAD1", "LOAD2"] * 3


async def test_a_message_is_unchanged_but_for_its_control_id():
    """What is measured is the message that was given."""
    content = b"MSH|^~\\&|A|B|C|D|1||ADT^A01|X|P|2.5\rPID|||P1^^^H\r"
    control_id, block = LoadMessage(content, prefix="R").render(7)

    assert control_id == b"R00000007"
    assert block == b"\x0b" + content.replace(b"|X|", b"|R00000007|") + b"\x1c\r"


async def test_refusals_are_counted_and_are_no_success(peer):
    """A fast no is not throughput."""
    peer.code = "AE"
    report = await run_load(plan(peer, count=5), LoadMessage(SAMPLE))

    assert (report.codes["AE"], report.counted, report.accepted) == (5, 0, False)


async def test_an_answer_to_another_message_is_counted_as_foreign(peer):
    """Every MSA-2 is looked at."""
    peer.wrong_id = True
    report = await run_load(plan(peer, count=5), LoadMessage(SAMPLE))

    assert (report.foreign, report.counted, report.accepted) == (5, 0, False)


async def test_silence_is_counted_as_lost(peer):
    """A late peer's connection is closed, and the load ends all the same."""
    peer.code = None
    report = await run_load(
        plan(peer, count=3, outstanding=3, timeout=0.1), LoadMessage(SAMPLE)
    )

    assert (report.sent, report.lost, report.accepted) == (3, 3, False)


async def test_a_rate_spreads_the_messages(peer):
    """20 messages at 100 a second take 190 ms however fast the peer is."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    report = await run_load(
        plan(peer, count=20, rate=100.0, outstanding=20), LoadMessage(SAMPLE)
    )

    assert report.accepted
    assert loop.time() - began >= 0.19


async def test_time_ends_the_load(peer):
    """What is open then is still waited for."""
    report = await run_load(plan(peer, seconds=0.2, connections=2), LoadMessage(SAMPLE))

    assert report.accepted
    assert report.seconds == pytest.approx(0.2)


async def test_warm_time_does_not_count(peer):
    """Caches, forks and connections come first."""
    for longer in (1, 10, 50):  # for a machine that is busy
        seconds = 0.1 * longer
        report = await run_load(plan(peer, seconds=seconds, warm=seconds), LoadMessage(SAMPLE))
        if 0 < report.counted < report.answered:
            return

    pytest.fail(f"{report.counted} of {report.answered} counted")


async def test_a_connection_that_is_cut_is_made_again(peer, serving_at):
    """Drills kill the receiver while the load runs."""
    cut = iter([True])
    serve = peer.serve

    async def once_cut(reader, writer):
        if next(cut, False):
            await reader.readmessage()
            writer.close()
        else:
            await serve(reader, writer)

    async with serving_at(peer, once_cut):
        report = await run_load(plan(peer, count=4), LoadMessage(SAMPLE))

    assert (report.sent, report.lost, report.answered) == (4, 1, 3)
    assert report.failures == 1


def test_percentiles_are_of_the_answers_in_order():
    """Half of them were faster than p50."""
    report = LoadReport()
    report.latencies.extend([0.004, 0.001, 0.003, 0.002, 0.005])

    assert report.percentiles(0.0, 0.5, 1.0) == (1.0, 3.0, 5.0)
    assert LoadReport().percentiles(0.5) == (0.0,)


@pytest.mark.parametrize(
    ("frame", "read"),
    [
        (b"MSH|^~\\&|\rMSA|AA|1\r", (b"AA", b"1")),
        (b"MSH|^~\\&|\rMSA|AE|1|text\rERR|", (b"AE", b"1")),
        (b"MSH#*~\\&#\nMSA#AA#1", (b"AA", b"1")),
        (b"MSH|^~\\&|\rMSA|AA", (b"AA", b"")),
        (b"junk", (b"", b"")),
    ],
)
def test_an_answer_is_read_whatever_its_delimiters(frame, read):
    """MSA-1 and MSA-2 are all that is looked at."""
    assert load.read_answer(frame) == read


async def test_the_command_prints_what_programs_want(portico, peer):
    """Rate, latencies, codes."""
    done = await portico("load", "--to", peer.address, "--count", 50, "--json")

    assert done.code == exits.OK, done.err
    assert done.json["codes"] == {"AA": 50}
    assert done.json["p50_ms"] <= done.json["p99_ms"] <= done.json["max_ms"]


async def test_the_command_prints_a_table_for_people(portico, peer):
    """And how many answers were no yes."""
    peer.code = "AR"
    done = await portico("load", "--to", peer.address, "--count", 5, "--patients", 2)

    assert done.code == exits.REFUSED
    assert "AR 5" in done.out and "P99 ms" in done.out
