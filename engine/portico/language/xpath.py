"""The part of XPath that places use: `/order/item[2]/p:code[@use='x']/@value`.

Steps go down to children; `*` is any element; a test in brackets is a number from 1 or an
attribute's value, and several tests are applied one after the other. A name without a prefix
is in no namespace. Source: XPath 1.0, sections 2.1 to 2.5 (abbreviated syntax).
"""

import re
from functools import lru_cache

from msgspec import Struct

from portico.errors import PathInvalid

_NAME = r"(?:([^\W\d][\w.-]*):)?([^\W\d][\w.-]*|\*)"
_TEST = re.compile(rf"\[(?:([1-9]\d{{0,8}})|@{_NAME}=(?:'([^']*)'|\"([^\"]*)\"))\]")
_STEP = re.compile(rf"/{_NAME}((?:{_TEST.pattern})*)")
_ATTRIBUTE = re.compile(rf"/@{_NAME}")

Name = tuple[str, str]  # prefix, local name


class PathStep(Struct, frozen=True):
    """One element. tests: a position from 1, or (attribute, text)."""

    name: Name
    tests: tuple[int | tuple[Name, str], ...] = ()


class XPath(Struct, frozen=True):
    """A compiled path. attribute: of the last element; None: its text."""

    source: str
    steps: tuple[PathStep, ...]
    attribute: Name | None = None

    @property
    def prefixes(self) -> set[str]:
        """The namespace prefixes that it uses."""
        names = [step.name for step in self.steps]
        names += [test[0] for step in self.steps for test in step.tests if type(test) is tuple]
        names += [self.attribute] if self.attribute else []
        return {prefix for prefix, _ in names} - {""}


@lru_cache(maxsize=4096)
def parse(text: str) -> XPath:
    """The path of a text. Raises PathInvalid, with what would be right."""
    at, steps = 0, []
    while match := _STEP.match(text, at):
        steps.append(PathStep((match[1] or "", match[2]), _tests(match[3])))
        at = match.end()
    attribute = None
    if steps and (match := _ATTRIBUTE.match(text, at)) and match[2] != "*":
        attribute, at = (match[1] or "", match[2]), match.end()
    if not steps or at < len(text):
        known = "/child/p:child[2]/child[@a='x']/@a"
        raise PathInvalid(f"{text!r} is not a path of XML; try {known}", text)
    return XPath(text, tuple(steps), attribute)


def _tests(text: str) -> tuple[int | tuple[Name, str], ...]:
    tests: list[int | tuple[Name, str]] = []
    for number, prefix, name, single, double in _TEST.findall(text):
        tests.append(int(number) if number else ((prefix, name), single or double))
    return tuple(tests)
