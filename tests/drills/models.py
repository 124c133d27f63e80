"""What a model may say and what a message may hold: answers gone wrong, and forty canaries.

All in this process: steps, boundary and simulator are the real ones, without an engine around.
"""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from portico.agents.item import Item
from portico.agents.plan import Plan, compile_plan
from portico.agents.run import run
from portico.hl7.message import Message
from portico.hl7.view import MessageView
from portico.llm import asking
from portico.model.call import Call, Reply
from portico.model.verdict import Kind, SessionResult

CODES = ("X1", "X2")
PROMPT = (
    "{PID-3} {PID-4} {PID-5} {PID-7} {PID-11} {PID-13} {PID-14} {PID-18} {PID-19} {NK1-2} "
    "{NK1-4} {NK1-5} {PV1-7} {PV1-19} {GT1-3} {IN1-36} {OBR-2} {NTE[*]-3} {OBX[*]-5}"
)
SCHEMA = {
    "type": "object",
    "properties": {
        "code": {"enum": list(CODES)},
        "quote": {"type": "string", "maxLength": 40},
        "sure": {"type": "number", "minimum": 0, "maximum": 1},
    },
    "required": ["code", "quote"],
    "additionalProperties": False,
}
MESSAGE = (
    b"MSH|^~\\&|HIS|ST|LAB|ST|20260131||ORU^R01|1|P|2.5.1\r"
    b"PID|1||4711123^^^ST^MR||Muster^Erika||19780412|F\r"
    b"OBX|1|TX|N||The fracture is old and 5 mm wide\r"
)
_GIVEN = ("Quill", "Okonkwo", "Szabo", "Iwu", "Marsh", "Dubois", "Yildiz", "Novak")


def _step(verb: str, number: int, **args: Any) -> dict[str, Any]:
    name = f"{verb}_{number}"
    return {
        "verb": verb,
        "name": name,
        "when": None,
        "on_error": None,
        "at": "a:1",
        "args": args,
    }


def plan(root: Path) -> Plan:
    """An agent: asks, puts the answer into two fields, and sends by its code."""
    (root / "p.md").write_text(PROMPT)
    (root / "s.json").write_text(json.dumps(SCHEMA))
    ask = {"prompt": "p.md", "output": "s.json", "into": "found", "phi": "deidentified"}
    ways = [
        _step("send", number, to=[f"out_{code.lower()}"]) | {"when": {"found/code": code}}
        for number, code in enumerate(CODES, 4)
    ]
    steps = [
        _step("llm", 1, **ask, retries="0", checks={"found/quote": {"within": "OBX[*]-5"}}),
        _step("map", 2, set={"ZAI-1": "{found/code}", "ZAI-2": "{found/quote}"}),
        *ways,
    ]
    document = {"agent": "a", "on": {"channel": "in"}, "content": "hl7", "steps": steps}
    return compile_plan(document | {"charset": {"name": "utf-8", "on_error": "replace"}}, root)


def asked(agent: Plan, content: bytes, *replies: Reply) -> SessionResult:
    """One run."""
    envelope = {"channel": "in", "type": "ORU^R01", "received": 0}
    return run(agent, Item(b"\1" * 16, content, envelope, "k", replies=replies), lambda: 0)


def call(agent: Plan, content: bytes) -> Call:
    """What the step asks."""
    result = asked(agent, content)
    assert result.kind is Kind.CALL
    assert result.call is not None
    return result.call


def leaving(asks: Call) -> str:
    """All that would leave, in small letters."""
    wanted = asking.decode(asks.request)
    request = asking.request(wanted, "m", asking.veil(wanted, lambda: b"k" * 32))
    return (request.system + request.prompt + json.dumps(request.schema)).lower()


def answered(agent: Plan, asks: Call, text: str) -> SessionResult:
    """The run with this answer of the model."""
    return asked(agent, MESSAGE, Reply(asks.digest, asking.outcome(text)))


def unfit(result: SessionResult) -> str:
    """What is wrong with what a run would send; empty: nothing is."""
    if result.kind is not Kind.DELIVER:
        return "" if not result.outputs and not result.emissions else "sent by a failed run"
    if len(result.outputs) != 1 or result.emissions:
        return "not one message"
    [output] = result.outputs
    view = MessageView(output.content or MESSAGE, "utf-8")
    made, lines = Message(output.content or MESSAGE), [s.name for s in view.segments()]
    code, quote = made.get("ZAI-1"), made.get("ZAI-2")
    before = MESSAGE.split(b"\r")[:-1]
    if (
        lines != ["MSH", "PID", "OBX", "ZAI"]
        or (output.content or b"").split(b"\r")[:3] != before
    ):
        return "another field was touched"
    if code not in CODES or output.destination != f"out_{code.lower()}":
        return "a code or a way that is none"
    return (
        "" if quote in Message(MESSAGE).get("OBX-5") and len(quote) <= 40 else "a false quote"
    )


def answers(seed: int) -> Iterator[str]:
    """Answers for ever: right ones, nearly right ones, and what no parser has seen."""
    chance = random.Random(seed)
    while True:
        yield _answer(chance)


def _answer(chance: random.Random) -> str:
    value: Any = {"code": chance.choice(CODES), "quote": chance.choice(_QUOTES)}
    for _ in range(chance.choice((0, 0, 1, 1, 2))):
        value[chance.choice(_KEYS)] = chance.choice(_VALUES)
    text = json.dumps(value, ensure_ascii=chance.random() < 0.5)
    kind = chance.randrange(8)
    if kind == 0:
        return text[: chance.randrange(len(text))]
    if kind == 1:
        at = chance.randrange(len(text))
        return text[:at] + chr(chance.choice((0, 13, 28, 34, 92, 124, 8238, 65279))) + text[at:]
    if kind == 2:
        return text[:-1] + f',"code":{json.dumps(chance.choice(_VALUES[:6]))}}}'  # said twice
    if kind == 3:
        return chance.choice(
            ("", "null", "[]", "[" * 5000, "NaN", text + text, f"```json\n{text}")
        )
    return text


_QUOTES = (
    *4 * ("fracture", "The fracture is old", "5 mm"), "", "tumour", "old\rZZZ|1",
    "old|2^3~4&5\\E\\",
    "\x0b", "fracture\x1c\r", "4711123", "Muster", "NAME_01234567", "a" * 41,
    "\u202eold", "\ud800",
)  # fmt: skip
_KEYS = ("code", "quote", "sure", "route", "to", "send", "__class__", "Code", "found", "")
_VALUES: tuple[Any, ...] = (
    "X1", "X2", "X3", "x1", "X1 ", "out_x2", None, True, 0, -1, 0.5, 2, 1e308, 10**400, [],
    ["X1"], {"code": "X1"}, "MSH|^~\\&|", "4930123456789", "\u0000", "X1\r",
)  # fmt: skip


def canaries(number: int) -> tuple[bytes, list[str]]:
    """A message with forty values of one patient, in fields and free text; and the values."""
    n = f"{number:05}"
    name = _GIVEN[number % len(_GIVEN)] + "".join(chr(97 + int(digit)) for digit in n)
    day = f"{1 + number % 28:02}", f"{1 + number % 12:02}", str(1930 + number % 80)
    people = [f"{name}{end}" for end in ("us", "ia", "or", "et", "in", "am", "ul", "ov")]
    ids = [f"{kind}{n}77" for kind in ("81", "82", "83", "84", "85", "86", "87", "88")]
    phones = [f"0171{kind}{n}" for kind in ("21", "22", "23", "24")]
    places = [f"{end} {name}" for end in ("12 Rook Lane", "7 Heron Row", "3 Wren Walk")]
    towns = [f"{name}{end}" for end in ("ton", "ville", "burg")]
    dates = [
        "".join(reversed(day)),
        ".".join(day),
        "-".join(reversed(day)),
        f"{day[1]}/{day[0]}/{day[2]}",
    ]
    made = [*people, *ids, *phones, *places, *towns, *dates]
    made += [one.upper() for one in (*people[:4], *places, *towns)]
    made = made[:40]
    text = " ".join((*people, *ids, *phones, *places, *towns, *dates[1:]))
    return (
        "MSH|^~\\&|HIS|ST|LAB|ST|2026||ORU^R01|1|P|2.5.1\r"
        f"PID|1||{ids[0]}^^^ST^MR|{ids[1]}^^^ST|{people[0]}^{people[1]}||{dates[0]}|F|||{places[0]}^^{towns[0]}||"
        f"{phones[0]}|{phones[1]}||||{ids[2]}|{ids[3]}\r"
        f"NK1|1|{people[2]}^{people[3]}|MTH|{places[1]}^^{towns[1]}|{phones[2]}\r"
        f"NTE|1||{text.upper()}\r"
        f"PV1|1|I|||||{ids[4]}^{people[4]}^{people[5]}||||||||||||{ids[5]}\r"
        f"GT1|1||{people[6]}^{people[7]}||{places[2]}^^{towns[2]}|{phones[3]}\r"
        f"IN1|1|{'|' * 34}{ids[6]}\r"
        f"OBR|1|{ids[7]}^HIS\r"
        f"OBX|1|TX|N||{text}\rOBX|2|FT|N||{text.lower()}\r"
    ).encode(), made
