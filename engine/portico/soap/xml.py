"""XML from strangers: no DTD, no entity, no network, bounded depth and number of elements; and
text that XML can hold.

Source: W3C XML 1.0 sections 2.2 (characters), 2.11 (line ends) and 4 (entities).
"""

import re
from itertools import islice
from typing import Any

from lxml import etree

from portico.errors import HttpBroken

Element = Any  # lxml has no types of its own

DEPTH = 100
_TOO_DEEP = etree.XPath("boolean(" + "/*" * (DEPTH + 1) + ")")
# What may begin an element or an attribute, a small one of which costs fifty times its bytes.
_BEGINS = re.compile(rb"<[^/]|=\s*[\"']")
_DOCTYPE = re.compile(rb"<!(?:DOCTYPE|ENTITY)")
_LARGE = 10_000_000  # bytes that libxml2 lets one text have, unless it is told of large ones
# Told so it no longer bounds what an entity grows to: only where no declaration can hide.
_PLAIN = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*<(?!\?xml[^>]*encoding\s*=\s*[\"'](?!utf-8[\"']))", re.IGNORECASE
)
_UNSENDABLE = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def parse(content: bytes, most: int | None = None) -> Element:
    """The root element. most: of elements and attributes. Raises HttpBroken, which never quotes
    the content.

    The text before the root element is looked at first, so that no declaration is ever read.
    """
    head = content[:4]
    if b"\0" in head or head[:2] in (b"\xfe\xff", b"\xff\xfe"):
        raise HttpBroken(400, "the XML is in neither UTF-8 nor a superset of ASCII")
    if _DOCTYPE.search(_prolog(content)):
        raise HttpBroken(400, "a document type or an entity is declared")
    if most is not None and _more(content, most):
        raise HttpBroken(400, f"the XML holds more than {most} elements and attributes")
    large = len(content) > _LARGE and _PLAIN.match(content) is not None
    try:
        root = etree.fromstring(content, _parser(large))
    except (etree.XMLSyntaxError, ValueError, LookupError):
        raise HttpBroken(400, "the content is not XML") from None
    if root.getroottree().docinfo.doctype:
        raise HttpBroken(400, "a document type or an entity is declared")
    if _TOO_DEEP(root):
        raise HttpBroken(400, f"the XML is nested deeper than {DEPTH}")
    return root


def alone(element: Element) -> Element:
    """The element as a document of its own, with the namespaces that it uses."""
    return etree.fromstring(etree.tostring(element, with_tail=False), _parser(large=True))


def _parser(large: bool) -> Any:
    return etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=large,
        remove_comments=True,
        remove_pis=True,
    )


def _prolog(content: bytes) -> bytes:
    """All before the root element's tag; comments may hold what looks like one."""
    at = 0
    while (start := content.find(b"<", at)) >= 0:
        if content.startswith(b"<?", start):
            end = content.find(b"?>", start)
        elif content.startswith(b"<!--", start):
            end = content.find(b"-->", start)
        else:
            return content[at : start + 9]
        if end < 0:
            return content
        at = end + 1
    return content


def _more(content: bytes, most: int) -> bool:
    """Counted without an object for each, and only where there is room for so many."""
    found = _BEGINS.finditer(content) if len(content) > 2 * most else iter(())
    return next(islice(found, most, None), None) is not None


def sendable(text: str) -> str:
    """The text with what XML 1.0 cannot hold as U+FFFD."""
    return _UNSENDABLE.sub("\ufffd", text)


def written(root: Element) -> bytes:
    """The document in UTF-8; a return in text leaves as a character reference (W6)."""
    text: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8")
    return text
