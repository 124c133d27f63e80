"""`show --egress`: what left this machine for a Signal, to whom, under which policy."""

import base64
from pathlib import Path

from portico.api.models import CallItem, CallPage
from portico.cli import console, exits, when
from portico.cli.control import Engine


def show(site: Path, signal: str, phi: bool, json: bool) -> int:
    """Every call of it, from the journal of the running engine."""
    asked = {"phi": str(phi).lower()}
    page = CallPage.model_validate(
        Engine(site).call("GET", f"/v1/signals/{signal}/egress", asked)
    )
    if json:
        console.say_json(page)
        return exits.OK
    for one in page.calls:
        _call(one)
    if not page.calls:
        console.note("nothing left this machine for it but its deliveries")
    elif not phi:
        console.note("the bytes are hidden; --phi shows them")
    return exits.OK


def _call(one: CallItem) -> None:
    how = one.error or "ok"
    console.line(f"{when.local(one.at)} {one.agent}/{one.step} {one.verb} {how}", style="bold")
    console.line(f"    to {one.target}  {one.micros / 1000:.0f} ms")
    if one.verb == "llm":
        policy = one.detail.get("policy") or {}
        placed = one.detail.get("phi", "")
        under = f", agreement {policy['agreement']}" if policy.get("agreement") else ""
        console.line(
            f"    placed phi: {placed}; the provider may have {policy.get('phi')}{under}"
        )
        console.line(f"    prompt {one.detail.get('prompt')}  usage {one.detail.get('usage')}")
    if one.verb.startswith("review"):
        console.line(f"    {one.detail.get('verdict')} by {one.detail.get('by')}")
    console.line(f"    sent {one.sent_size} bytes, sha-256 {one.sha256}")
    for name, coded in (("sent", one.sent), ("received", one.received)):
        if coded:
            text = base64.b64decode(coded).decode("utf-8", "replace")
            console.line(f"    {name}: {console.printable(text)}")
