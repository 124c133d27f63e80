"""XML bodies. Imported when the first XML content is opened."""

import copy
from collections.abc import Iterator

from portico.language import xmltree
from portico.language.content import Content, View
from portico.language.context import Context
from portico.language.place import Place, PointerPlace
from portico.language.xmlview import XmlView
from portico.steps.body import Body


class XmlBody(Body):
    """An XML document. written: whether the tree differs from the view's bytes."""

    kind = "xml"
    __slots__ = ("_mine", "_view", "_written")

    def __init__(self, view: XmlView, written: bool = False) -> None:
        self._view = view
        self._written = written
        self._mine = False  # whether the tree is no other body's too

    @property
    def form(self) -> Content:
        """XML with these namespaces and bounds."""
        return self._view.kind

    @property
    def reading(self) -> View:
        """The view for places."""
        return self._view

    def content(self) -> bytes:
        """The bytes as they came, or the tree written out once something changed."""
        return self._view.encode() if self._written else self._view.content

    def fork(self) -> "XmlBody":
        """A body of its own, whose tree is copied when it is first written to."""
        return XmlBody(self._view, self._written)

    def write(self, place: Place, text: str) -> None:
        """A text at that point; elements on the way are made."""
        view = self._own(place)
        xmltree.put(view.root, view.target(place.source), text)

    def copy(self, context: Context, origin: Place, place: Place) -> None:
        """XML to XML with attributes and elements; anything else as text."""
        view = self._own(place)
        inner = _element(context, origin)
        if inner is None or view.target(place.source).attribute is not None:
            text = origin.text(context)
            xmltree.put(
                view.root, view.target(place.source), text if isinstance(text, str) else ""
            )
        else:
            xmltree.graft(view.root, view.target(place.source), copy.deepcopy(inner))

    def parts(self, at: Place) -> Iterator[Body]:
        """A document for each element there."""
        if not isinstance(at, PointerPlace):
            raise self._foreign(at)
        for element in self._view.elements(at.source):
            yield XmlBody(self._view.part(element))

    def remove(self, place: Place) -> None:
        """The element or attribute is taken out."""
        view = self._own(place)
        xmltree.drop(view.root, view.target(place.source))

    def _own(self, place: Place) -> XmlView:
        if not isinstance(place, PointerPlace):
            raise self._foreign(place)
        if not self._mine:
            self._view = self._view.fork()
            self._mine = self._written = True
        return self._view


def _element(context: Context, origin: Place) -> xmltree.Element:
    """The element that a place names in XML content; None for all else."""
    view = context.view
    if not isinstance(origin, PointerPlace) or not isinstance(view, XmlView):
        return None
    if view.target(origin.source).attribute is not None:
        return None
    return next(iter(view.elements(origin.source)), None)


def opened(content: bytes, kind: Content, charset: str, on_charset_error: str) -> XmlBody:
    """The body of a content."""
    return XmlBody(XmlView(content, kind, charset, on_charset_error))
