"""Editing: from what a person writes down to a change of bytes."""

from collections.abc import Callable, Mapping

from portico.language.content import AUTO
from portico.language.place import Place
from portico.steps.body import open_body


def editor(places: Mapping[str, str], content: bytes | None) -> Callable[[bytes], bytes]:
    """The change: other bytes, or the old ones, with these texts written at these places.

    MSH goes first: MSH-18 rules how the rest is written. The change raises MessageError when a
    place or a text does not fit the content.
    """

    def change(old: bytes) -> bytes:
        begun = old if content is None else content
        if not places:
            return begun
        body = open_body(AUTO, begun).fork()
        for place, text in sorted(places.items(), key=_headers_first):
            body.write(Place.parse(place), text)
        return body.content()

    return change


def _headers_first(written: tuple[str, str]) -> bool:
    return not written[0].startswith("MSH")
