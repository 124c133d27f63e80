"""`send` and `load`: what the command line does to other systems."""

import asyncio
import os
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

from portico.cli import console, exits, messages, when
from portico.cli import load as loads
from portico.cli.exits import Ended
from portico.cli.load import LoadMessage, LoadPlan, LoadReport
from portico.cli.mllp import Client
from portico.cli.options import JSON
from portico.clock import SystemClock
from portico.errors import MessageError
from portico.hl7 import ack, header
from portico.hl7.codes import POSITIVE
from portico.spec import fields
from portico.spec.fields import HostPort

_LOCAL = "127.0.0.1:2575"
_LONGEST = 1e9  # seconds; `forever` is longer
_WORDS = {
    "AA": "accepted", "CA": "stored", "AE": "error", "CE": "error", "AR": "rejected",
    "CR": "rejected",
}  # fmt: skip


def send(
    files: Annotated[
        list[Path], Argument(metavar="FILE...", help="Files of messages; - is standard input.")
    ],
    to: Annotated[str, Option(help="HOST:PORT of the peer.")] = _LOCAL,
    timeout: Annotated[str, Option(help="How long to wait for an answer.")] = "30s",
    as_is: Annotated[
        bool, Option("--as-is", help="Do not change a byte of the files.")
    ] = False,
    json: Annotated[bool, JSON] = False,
) -> int:
    """Send messages to an MLLP peer and print its answers."""
    found = [(file, content) for file in files for content in messages.read(file, as_is)]
    if not found:
        raise Ended(exits.USAGE, "there is no message in these files")
    client = Client(_address(to), _patience(timeout))
    told: list[dict[str, Any]] = []
    try:
        for file, content in found:
            answer = _exchange(client, file, content)
            told.append(answer)
            if not json:
                _say(answer)
    finally:
        client.close()
    if json:
        console.say_json(told)
    return exits.OK if all(answer["accepted"] for answer in told) else exits.REFUSED


def load(
    to: Annotated[str, Option(help="HOST:PORT of the peer.")] = _LOCAL,
    message: Annotated[
        Path | None, Option(help="A file with the message to send; without it a small ADT^A01.")
    ] = None,
    connections: Annotated[int, Option(min=1, help="Connections at the same time.")] = 1,
    outstanding: Annotated[int, Option(min=1, help="Unanswered messages of each.")] = 1,
    rate: Annotated[
        float | None, Option(min=0.001, max=1e6, help="Messages a second in all.")
    ] = None,
    count: Annotated[int | None, Option(min=1, help="Messages in all.")] = None,
    seconds: Annotated[float | None, Option(min=0.1, help="How long to send.")] = None,
    patients: Annotated[int, Option(min=0, help="Spread over so many patients.")] = 0,
    timeout: Annotated[str, Option(help="How long to wait for an answer.")] = "30s",
    json: Annotated[bool, JSON] = False,
) -> int:
    """Put load on an MLLP peer and measure its answers."""
    address = _address(to)
    if count is None and seconds is None:
        seconds = 10.0
    plan = LoadPlan(
        address.host, address.port, connections, outstanding, count, seconds, rate,
        _patience(timeout),
    )  # fmt: skip
    template = LoadMessage(_message(message), patients=patients)
    try:
        report = _run(plan, template, quiet=json)
    except OSError as error:  # TimeoutError is one, without a number
        reason = os.strerror(error.errno) if error.errno else "no connection in time"
        raise Ended(exits.UNREACHABLE, f"{address}: {reason}") from error
    if json:
        console.say_json(_figures(report))
    else:
        _table(report)
    if report.accepted:
        return exits.OK
    return exits.UNREACHABLE if report.lost or not report.answered else exits.REFUSED


def _address(text: str) -> HostPort:
    try:
        return fields.host_port(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _patience(text: str) -> float:
    """Seconds, and no more than a socket can count."""
    if not (seconds := when.seconds(text)):
        raise typer.BadParameter(f"{text!r} is no time to wait; try '30s'")
    return min(seconds, _LONGEST)


def _exchange(client: Client, file: Path, content: bytes) -> dict[str, Any]:
    """One message sent and what came back, as `--json` prints it."""
    clock = SystemClock()
    began = clock.monotonic()
    answers = [_read(answer) for answer in client.exchange(content)]
    took = (clock.monotonic() - began) * 1000
    kind, control_id = _identity(content)
    right = all(one["control_id"] == control_id for one in answers)
    return {
        "file": str(file),
        "type": kind,
        "control_id": control_id,
        "accepted": right and all(one["code"] in POSITIVE for one in answers),
        "milliseconds": round(took, 3),
        "answers": answers,
    }


def _identity(content: bytes) -> tuple[str, str]:
    try:
        read = header.read(content)
    except MessageError:
        return "not HL7", ""
    return read.type, read.control_id.decode("latin-1")


def _read(answer: bytes) -> dict[str, str]:
    try:
        read = ack.read(answer)
    except MessageError as error:
        return {"code": "", "control_id": "", "text": str(error), "error": "", "location": ""}
    return {
        "code": read.code,
        "control_id": read.control_id.decode("latin-1"),
        "text": read.text,
        "error": read.error_code,
        "location": read.location,
    }


def _say(answer: dict[str, Any]) -> None:
    """`adt.hl7  ADT^A01 MSG1  AA accepted  3.1 ms`, and what a refusal says below it."""
    head = f"{answer['file']}  {answer['type']} {answer['control_id']}"
    if not answer["answers"]:
        console.line(f"{head}  sent; it asks for no answer")
    for one in answer["answers"]:
        code = one["code"] or "no code"
        good = code in POSITIVE
        words = _WORDS.get(code, "unknown answer")
        console.line(
            f"{head}  {code} {words}  {answer['milliseconds']:.1f} ms",
            style="green" if good else "bold red",
        )
        place = f" at {one['location']}" if one["location"] else ""
        number = f"{one['error']} " if one["error"] else ""
        if one["text"] or number or place:
            console.line(f"    {number}{one['text']}{place}")
        if one["control_id"] != answer["control_id"]:
            console.line(f"    it answers another message: MSA-2 is {one['control_id']!r}")


def _message(path: Path | None) -> bytes:
    if path is None:
        return loads.SAMPLE
    found = messages.read(path, as_is=False)
    if not found:
        raise Ended(exits.USAGE, f"there is no message in {path}")
    return found[0]


def _run(plan: LoadPlan, template: LoadMessage, quiet: bool) -> LoadReport:
    """The load with a progress bar on standard error."""
    total = plan.count or (plan.rate and plan.seconds and int(plan.rate * plan.seconds))
    with console.progress(quiet=quiet) as bar:
        task = bar.add_task("answers", total=total or None)
        return asyncio.run(
            loads.run_load(plan, template, lambda done: bar.update(task, completed=done))
        )


def _figures(report: LoadReport) -> dict[str, Any]:
    p50, p90, p99, most = report.percentiles(0.5, 0.9, 0.99, 1.0)
    return {
        "sent": report.sent,
        "answered": report.answered,
        "lost": report.lost,
        "foreign": report.foreign,
        "failures": report.failures,
        "codes": dict(report.codes),
        "seconds": round(report.seconds, 3),
        "rate": round(report.rate, 1),
        "p50_ms": round(p50, 3),
        "p90_ms": round(p90, 3),
        "p99_ms": round(p99, 3),
        "max_ms": round(most, 3),
    }


def _table(report: LoadReport) -> None:
    figures = _figures(report)
    console.line(
        f"{report.sent} sent, {report.answered} answered in {report.seconds:.2f} s: "
        f"{report.rate:,.0f} messages/s"
    )
    made = console.table("ACK", "COUNT", "P50 ms", "P90 ms", "P99 ms", "MAX ms")
    codes = ", ".join(f"{code} {count}" for code, count in report.codes.most_common())
    latencies = (f"{figures[f'{name}_ms']:.2f}" for name in ("p50", "p90", "p99", "max"))
    console.row(made, codes or "none", report.answered, *latencies)
    console.show(made)
    for count, words in (
        (report.lost, "got no answer"),
        (report.foreign, "answers were for another message"),
        (report.failures, "connections failed"),
    ):
        if count:
            console.line(f"{count} {words}", style="bold red")
