"""XML trees: finding, writing and removing what a path names, on lxml's elements.

An element without elements inside is its text; one with elements is its XML. Whatever is
written goes through the tree, so no text can become mark-up.
"""

from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Any

from lxml import etree
from msgspec import Struct

from portico.errors import PathInvalid, TextUnencodable
from portico.language.xpath import Name, XPath

Element = Any  # lxml has no types
Namespaces = tuple[tuple[str, str], ...]  # prefix, URI

_XML = "http://www.w3.org/XML/1998/namespace"
_STRING = etree.XPath("string()")


class XmlTarget(Struct, frozen=True):
    """A path whose names are lxml's: `{uri}local`. steps: (tag, tests)."""

    source: str
    steps: tuple[tuple[str, tuple[int | tuple[str, str], ...]], ...]
    attribute: str | None


@lru_cache(maxsize=4096)
def resolve(path: XPath, namespaces: Namespaces) -> XmlTarget:
    """The path in these namespaces. Raises PathInvalid for a prefix that is not among them."""
    uris = {"xml": _XML, **dict(namespaces)}

    def named(name: Name) -> str:
        prefix, local = name
        if prefix and prefix not in uris:
            raise PathInvalid(
                f"{path.source}: the prefix {prefix!r} is not among content.namespaces",
                path.source,
            )
        return f"{{{uris[prefix]}}}{local}" if prefix else local

    steps = tuple(
        (
            named(step.name),
            tuple(
                one if isinstance(one, int) else (named(one[0]), one[1]) for one in step.tests
            ),
        )
        for step in path.steps
    )
    return XmlTarget(path.source, steps, named(path.attribute) if path.attribute else None)


def found(root: Element, target: XmlTarget) -> Iterator[Element]:
    """The elements that a path names, in the order of the document."""
    tag, tests = target.steps[0]
    tops = _chosen((one for one in (root,) if _fits(one, tag)), tests)
    for top in tops:
        yield from _below(top, target.steps, 1)


def text_at(root: Element, target: XmlTarget) -> str | None:
    """The text of the first element or attribute; None when it is empty or not there."""
    for element in found(root, target):
        if target.attribute is None:
            return text_of(element) or None
        text = element.get(target.attribute)
        if text is not None:
            return text or None
    return None


def text_of(element: Element) -> str:
    """Its text, or its XML when there are elements inside."""
    if not len(element):
        return element.text or ""
    if next(element.iterchildren("*"), None) is None:  # nothing but comments
        return str(_STRING(element))
    return str(etree.tostring(element, encoding="unicode", with_tail=False))


def put(root: Element, target: XmlTarget, text: str) -> None:
    """Write a text; elements on the way are made. What was inside the element goes.

    Raises PathInvalid where they cannot be made, TextUnencodable for what XML cannot carry.
    """
    element = _wanted(root, target)
    try:
        if target.attribute is not None:
            element.set(target.attribute, text)
        else:
            del element[:]
            element.text = text or None
    except ValueError:
        raise TextUnencodable("a character that XML cannot carry", target.source) from None


def graft(root: Element, target: XmlTarget, origin: Element) -> None:
    """Write all that is inside an element of another tree: its text, elements, attributes."""
    element = _wanted(root, target)
    for name in list(element.attrib):
        del element.attrib[name]
    element.attrib.update(origin.attrib)
    element.text = origin.text
    element[:] = list(origin)


def drop(root: Element, target: XmlTarget) -> None:
    """Take the element or attribute away; nothing happens when there is none."""
    for element in found(root, target):
        if target.attribute is None:
            _cut(element, target)
            return
        if target.attribute in element.attrib:
            del element.attrib[target.attribute]
            return


def _wanted(root: Element, target: XmlTarget) -> Element:
    """The element to write to: the first with the attribute, the first, or a new one."""
    elements = list(found(root, target))
    for element in elements:
        if target.attribute is None or target.attribute in element.attrib:
            return element
    return elements[0] if elements else _grown(root, target)


def _grown(root: Element, target: XmlTarget) -> Element:
    tag, tests = target.steps[0]
    element = next(_chosen((one for one in (root,) if _fits(one, tag)), tests), None)
    if element is None:
        raise PathInvalid(f"{target.source}: the root is another element", target.source)
    for tag, tests in target.steps[1:]:
        child = next(_chosen(element.iterchildren(tag), tests), None)
        element = _made(element, tag, tests, target) if child is None else child
    return element


def _made(
    parent: Element, tag: str, tests: tuple[int | tuple[str, str], ...], target: XmlTarget
) -> Element:
    if tag.endswith("*"):
        raise PathInvalid(f"{target.source}: '*' names no element to make", target.source)
    if not len(parent) and (parent.text or "").strip():
        raise PathInvalid(f"{target.source}: a text is in the way", target.source)
    child = etree.SubElement(parent, tag)
    for test in tests:
        if not isinstance(test, int):
            child.set(*test)
    if next(_chosen(parent.iterchildren(tag), tests), None) is not child:
        parent.remove(child)
        raise PathInvalid(f"{target.source}: those before it are not there", target.source)
    return child


def _cut(element: Element, target: XmlTarget) -> None:
    """Take an element out; the text behind it stays where it is."""
    parent, before, tail = element.getparent(), element.getprevious(), element.tail or ""
    if parent is None:
        raise PathInvalid(f"{target.source}: the root cannot be removed", target.source)
    if before is not None:
        before.tail = (before.tail or "") + tail
    else:
        parent.text = (parent.text or "") + tail
    parent.remove(element)


def _below(
    element: Element, steps: tuple[tuple[str, tuple[int | tuple[str, str], ...]], ...], at: int
) -> Iterator[Element]:
    if at == len(steps):
        yield element
        return
    tag, tests = steps[at]
    for child in _chosen(element.iterchildren(tag), tests):
        yield from _below(child, steps, at + 1)


def _chosen(
    elements: Iterator[Element], tests: tuple[int | tuple[str, str], ...]
) -> Iterator[Element]:
    """Those that pass every test, the later ones counting what the earlier let through."""
    for test in tests:
        if isinstance(test, int):
            elements = islice(elements, test - 1, test)
        else:
            elements = _having(elements, *test)
    return elements


def _having(elements: Iterator[Element], attribute: str, text: str) -> Iterator[Element]:
    return (element for element in elements if element.get(attribute) == text)


def _fits(element: Element, tag: str) -> bool:
    if not tag.endswith("*"):
        return bool(element.tag == tag)
    return tag == "*" or str(element.tag).startswith(tag[:-1])
