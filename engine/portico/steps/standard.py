"""Message structures of the standard, from hl7apy's tables of versions 2.1 to 2.8.2.

This module alone imports hl7apy, and is itself imported only where a structure is asked for.
The tables of a version take about 0.1 s to load; a structure is built once and kept.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import hl7apy

from portico.errors import RuleBroken
from portico.hl7.header import Header
from portico.hl7.structure import Grammar, Part, Rule

_TYPE, _VERSION = "200", "203"  # table 0357: unsupported message type, version id

# Table 0354: events that share the structure of another. MSH-9.3 says it from 2.3.1 on, but
# not in every message.
_SHARED = {
    "ADT": {
        "A01": "A04 A08 A13", "A05": "A14 A28 A31", "A06": "A07", "A09": "A10 A11",
        "A21": "A22 A23 A25 A26 A27 A29 A32 A33", "A30": "A34 A35 A36 A46 A47 A48 A49",
        "A39": "A40 A41 A42", "A43": "A44", "A50": "A51", "A52": "A53", "A54": "A55",
        "A61": "A62",
    },
    "BAR": {"P01": "P05 P06"},
    "MDM": {"T01": "T03 T05 T07 T09 T11", "T02": "T04 T06 T08 T10"},
    "PEX": {"P07": "P08"},
    "PPR": {"PC1": "PC2 PC3"},
    "SIU": {"S12": "S13 S14 S15 S16 S17 S18 S19 S20 S21 S22 S23 S24 S26"},
    "SRM": {"S01": "S02 S03 S04 S05 S06 S07 S08 S09 S10 S11"},
}  # fmt: skip
_STRUCTURES = {
    f"{code}_{other}": f"{code}_{event}"
    for code, events in _SHARED.items()
    for event, others in events.items()
    for other in others.split()
}


def grammar(header: Header) -> Grammar:
    """The structure of a message. Raises RuleBroken: its version or its type is not known."""
    if header.version not in hl7apy.SUPPORTED_LIBRARIES:
        raise RuleBroken("MSH-12 is no version from 2.1 to 2.8.2", "MSH-12", _VERSION)
    messages = hl7apy.load_library(header.version).MESSAGES
    code, event = header.message_code, header.trigger
    named = f"{code}_{event}"
    for name in (header.structure, named, _STRUCTURES.get(named, ""), code):
        if name in messages:
            return _grammar(header.version, name)
    raise RuleBroken(
        f"version {header.version} has no structure for this message type", "MSH-9", _TYPE
    )


@lru_cache(maxsize=256)
def _grammar(version: str, name: str) -> Grammar:
    parts = _parts(version, hl7apy.load_library(version).MESSAGES[name])
    return Grammar(name, parts, tolerant=True)


def _parts(version: str, reference: Any) -> tuple[Part, ...]:
    return tuple(_part(version, *child) for child in reference[1])


def _part(version: str, name: str, inner: Any, many: tuple[int, int], kind: str) -> Part:
    least, most = many[0], None if many[1] < 0 else many[1]
    if kind == "SEG":
        return Part(name, least, most, fields=_fields(version, name))
    return Part(name, least, most, _parts(version, inner), choice=inner[0] == "choice")


@lru_cache(maxsize=1024)
def _fields(version: str, segment: str) -> tuple[Rule, ...]:
    """The fields by number. Where the tables have a gap, nothing is asked."""
    reference = hl7apy.load_library(version).SEGMENTS.get(segment)
    rules = dict(_rules(reference))
    return tuple(rules.get(number, Rule("")) for number in range(1, max(rules, default=0) + 1))


def _rules(reference: Any) -> Iterator[tuple[int, Rule]]:
    """What is inside a segment, field or component, by number: `PID_3`, `CX_1`.

    A field that was withdrawn (at most 0) may stand all the same: receivers ignore it.
    """
    if not reference or reference[0] != "sequence":
        return
    for name, inner, (least, most), _ in reference[1] or ():
        number = name.rpartition("_")[2]
        if inner and number.isdigit() and len(inner) > 2:
            rules = tuple(rule for _, rule in _rules(inner))
            yield int(number), Rule(str(inner[2]), least, most if most > 0 else None, rules)
