"""Message profiles: the XML that HL7 publishes them in, as a Grammar.

Source: HL7 v2.5.1 chapter 2B, section 2.B.11 (the message profile document). Read are Usage
(R required, X never), Min, Max, Datatype, Length and ConstantValue, of segments, groups,
fields, components and subcomponents. A segment that the profile does not name is refused.
"""

from collections.abc import Mapping
from xml.parsers import expat

from portico.hl7.structure import Grammar, Part, Rule

_DEPTH = 32  # of elements; a profile has a dozen at most
_LARGEST = 16 * 1024 * 1024  # bytes of a file
_PARTS = ("Segment", "SegGroup")
_RULES = ("Field", "Component", "SubComponent")


class _Element:
    """One element of those that matter, with the ones inside it."""

    def __init__(self, tag: str, given: Mapping[str, str]) -> None:
        self.tag = tag
        self.given = given
        self.inner: list[_Element] = []


def read(content: bytes) -> Grammar:
    """The grammar of a profile. Raises ValueError, with what would be right."""
    if len(content) > _LARGEST:
        raise ValueError("the profile is larger than 16 MiB")
    root = _parsed(content)
    found = [one for one in root.inner if one.tag == "HL7v2xStaticDef"]
    if root.tag != "HL7v2xConformanceProfile" or not found:
        raise ValueError("it is no message profile: no HL7v2xConformanceProfile in XML")
    static = found[0]
    parts = tuple(_part(one) for one in static.inner if one.tag in _PARTS)
    if not parts:
        raise ValueError("the profile names no segment")
    return Grammar(static.given.get("MsgStructID", "the profile"), parts, tolerant=False)


def _parsed(content: bytes) -> _Element:
    top = _Element("", {})
    stack = [top]

    def start(tag: str, given: dict[str, str]) -> None:
        if len(stack) > _DEPTH:
            raise ValueError(f"the profile is nested more than {_DEPTH} deep")
        stack.append(_Element(tag, given))
        stack[-2].inner.append(stack[-1])

    def refuse(*_: object) -> None:
        raise ValueError("the profile has a document type declaration; take it out")

    # No declaration, so no entity: the input decides nothing about time and memory.
    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda tag: stack.pop()
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise ValueError(f"line {error.lineno} is not well-formed XML") from None
    return top.inner[0]


def _part(element: _Element) -> Part:
    least, most = _many(element)
    name = element.given.get("Name", "")
    if element.tag == "Segment":
        fields = tuple(_rule(one) for one in element.inner if one.tag in _RULES)
        return Part(name, least, most, fields=fields)
    parts = tuple(_part(one) for one in element.inner if one.tag in _PARTS)
    if not parts:
        raise ValueError(f"the group {name!r} holds no segment")
    return Part(name, least, most, parts)


def _rule(element: _Element) -> Rule:
    least, most = _many(element)
    if element.tag != "Field":
        most = 0 if most == 0 else None
    inner = tuple(_rule(one) for one in element.inner if one.tag in _RULES)
    kind = element.given.get("Datatype", "")
    constant = element.given.get("ConstantValue", "")
    return Rule(
        "varies" if kind.lower() == "varies" else kind.upper(),
        least,
        most,
        inner,
        constant,
        _number(element, "Length", 0),
    )


def _many(element: _Element) -> tuple[int, int | None]:
    usage = element.given.get("Usage", "O")
    if usage == "X":
        return 0, 0
    least = max(1, _number(element, "Min", 1)) if usage == "R" else 0
    most = None if element.given.get("Max", "*") == "*" else _number(element, "Max", 1)
    return least, most


def _number(element: _Element, name: str, default: int) -> int:
    text = element.given.get(name) or str(default)
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise ValueError(f"{name} of {element.given.get('Name', element.tag)!r} is no number")
    return int(text)
