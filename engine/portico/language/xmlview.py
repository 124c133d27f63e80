"""XML content: parsed with bounds when first read, and written again as it was declared.

No document type declaration, so no entity and nothing fetched; at most SIZE bytes, MARKS
tags and the depth of the content's kind. A content that was edited keeps its byte order
mark, declaration and encoding; line ends inside it are those of XML, a line feed.
"""

import copy
from functools import lru_cache
from typing import Any

from lxml import etree

from portico.errors import ContentInvalid
from portico.language import xmltext, xmltree, xpath
from portico.language.content import SIZE, Content, PointView
from portico.language.xmltext import Prolog
from portico.language.xmltree import Element, XmlTarget

MARKS = 1_000_000  # "<" in one content: parsed, an element takes some 250 bytes
_SPACE = b" \t\r\n"
_LARGE = 64 << 10  # bytes; intake parses above twice as much in a thread


class XmlView(PointView):
    """An XML document. Read-only: `tree` is changed only in a view that `fork` gave.

    content: the bytes as they came.
    """

    __slots__ = ("_prolog", "_tree", "content", "kind")

    def __init__(
        self,
        content: bytes,
        kind: Content,
        charset: str = "ascii",
        on_charset_error: str = "refuse",
    ) -> None:
        # The declaration tells the encoding; the channel's default is of HL7 and CSV.
        self.content = content
        self.kind = kind
        self._prolog: Prolog | None = None
        self._tree: Any = None

    @property
    def root(self) -> Element:
        """The root element. Raises ContentInvalid."""
        if self._tree is None:
            self._prolog = xmltext.read(self.content)
            self._tree = parse(self._prolog.body, self.kind.depth)
        return self._tree.getroot()

    def check(self) -> str:
        """Parses it: the local name of the root."""
        self.root  # noqa: B018 -- it raises
        assert self._prolog is not None
        return self._prolog.root

    def target(self, source: str) -> XmlTarget:
        """The path of a place in this content's namespaces. Raises PathInvalid.

        Where the site names none, as for what agents emit, the root's own prefixes hold.
        """
        named = self.kind.namespaces or tuple(
            (prefix, uri) for prefix, uri in self.root.nsmap.items() if prefix
        )
        return xmltree.resolve(xpath.parse(source), named)

    def text_at(self, source: str) -> str | None:
        """The text of the first element there, its XML when it has elements inside."""
        return xmltree.text_at(self.root, self.target(source))

    def elements(self, source: str) -> list[Element]:
        """Every element there."""
        return list(xmltree.found(self.root, self.target(source)))

    def fork(self) -> "XmlView":
        """The same content in a tree of its own."""
        self.root  # noqa: B018 -- parsed once, not by both
        return self._of(copy.deepcopy(self._tree))

    def part(self, element: Element) -> "XmlView":
        """A document with that element as its root, and this one's declaration."""
        root = copy.deepcopy(element)
        root.tail = None
        view = self._of(root.getroottree())
        assert self._prolog is not None
        name = str(etree.QName(root).localname)
        view._prolog = Prolog(self._prolog.lead, self._prolog.codec, b"", 0, name)
        view.content = view.encode()
        return view

    def encode(self) -> bytes:
        """The tree as bytes; what the encoding cannot carry becomes character references."""
        self.root  # noqa: B018 -- the prolog is read with it
        assert self._prolog is not None
        body, start = self._prolog.body, self._prolog.start
        parts = [body[:start].decode()]
        for one in (self.root, *self.root.itersiblings()):
            parts.append(etree.tostring(one, encoding="unicode", with_tail=False))
        parts.append(body[len(body.rstrip(_SPACE)) :].decode())
        codec = self._prolog.codec
        return self._prolog.lead + "".join(parts).encode(codec, "xmlcharrefreplace")

    def _of(self, tree: Any) -> "XmlView":
        view = XmlView(self.content, self.kind)
        view._prolog, view._tree = self._prolog, tree
        return view


def parse(body: bytes, depth: int) -> Any:
    """The tree of a document in UTF-8 without declaration. Raises ContentInvalid."""
    if len(body) > SIZE:
        raise ContentInvalid(f"the XML is larger than {SIZE >> 20} MiB")
    if body.count(b"<") > MARKS:
        raise ContentInvalid(f"the XML has more than {MARKS} tags")
    try:
        # A parser takes one text at a time: what is large may be in a thread, and has its own.
        root = etree.fromstring(body, _SMALL if len(body) < _LARGE else _parser())
    except etree.XMLSyntaxError as error:
        raise ContentInvalid(_why(error)) from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise ContentInvalid("the XML has a document type declaration; send it without")
    if _deeper(depth)(root):
        raise ContentInvalid(f"the XML is nested deeper than {depth}")
    return root.getroottree()


def _parser() -> Any:
    """A parser that fetches nothing, resolves nothing and keeps libxml2's own limits."""
    return etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        strip_cdata=False,
    )


_SMALL = _parser()


@lru_cache(maxsize=16)
def _deeper(depth: int) -> Any:
    return etree.XPath("boolean(" + "/*" * (depth + 1) + ")")


def _why(error: Any) -> str:
    """Where it breaks; libxml2's own words may quote the content."""
    if error.code in (etree.ErrorTypes.ERR_RESOURCE_LIMIT, etree.ErrorTypes.ERR_NAME_TOO_LONG):
        return "the XML is nested too deep, or one of its texts is larger than 10 MB"
    line, column = error.position
    return f"the content is not well-formed XML (line {line}, column {column})"
