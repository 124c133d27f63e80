"""What of a content can tell a patient, for a prompt: HL7 by data type, JSON by key
(steps/jsonkeys.py). XML, CSV and opaque bytes have no map.
"""

from collections.abc import Iterator
from itertools import chain

from portico.hl7 import identifying
from portico.language.context import Context
from portico.language.place import AsidePlace, EnvelopePlace, Hl7Place, Place, PointerPlace
from portico.steps import jsonkeys
from portico.steps.body import Body, Hl7Body, JsonBody

MAPPED = ("hl7", "json")
OPEN_WORDS = frozenset(("channel", "signal", "type", "size", "part"))


def told(*bodies: Body) -> list[tuple[str, str]]:
    """(kind, text) of all that can tell a patient, dates too, each once, in order.

    bodies: the content as it came and as it is: a step may have taken the patient out.
    """
    found = chain.from_iterable(map(_of_body, bodies))
    return list(dict.fromkeys((kind, text) for kind, text in found if text.strip()))


def _of_body(body: Body) -> Iterator[tuple[str, str]]:
    if isinstance(body, Hl7Body):
        return identifying.values(body.message.view)
    return jsonkeys.leaves(body.value) if isinstance(body, JsonBody) else iter(())


def kind_of(place: Place, context: Context) -> str:
    """The kind of what a place gives now."""
    if isinstance(place, Hl7Place):
        version = Place.parse("MSH-12.1").text(context)
        said = version if isinstance(version, str) else ""
        return identifying.kind_of(place.path, said, "TX")
    if isinstance(place, PointerPlace):
        kind = ""
        for token in place.source.split("/")[1:]:
            kind = jsonkeys.kind(token, kind)
        value = place.value(context)
        whole = isinstance(value, dict | list)
        return "free" if whole else jsonkeys.of_value(value, kind) or "free"
    if isinstance(place, EnvelopePlace):
        return _envelope(place)
    return "free"


def _envelope(place: EnvelopePlace) -> str:
    if place.word in OPEN_WORDS or place.word == "flags":
        return "open"
    return "date" if place.word == "received" else "id"


def safe(place: Place) -> bool:
    """Whether a step with `phi: none` may place it."""
    if isinstance(place, Hl7Place):
        return identifying.safe(place.path)
    if isinstance(place, AsidePlace):
        return False
    return isinstance(place, EnvelopePlace) and place.word in OPEN_WORDS


def patient(body: Body, identifiers: list[tuple[str, str]], context: Context) -> str:
    """What dates are moved by: the first of PID-3.1, or whom JSON is about; else the first id,
    else nothing. body: as it came."""
    first = Place.parse("PID-3.1").text(context)
    if isinstance(first, str):
        return first
    if isinstance(body, JsonBody) and (whose := jsonkeys.patient(body.value)):
        return whose
    return next((text for kind, text in identifiers if kind == "id"), "")
