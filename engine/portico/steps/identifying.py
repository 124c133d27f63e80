"""What of a content can tell a patient, for a prompt: HL7 by data type, JSON by key.

FHIR JSON is JSON: its element names are among the keys. XML, CSV and opaque bytes have no map.
"""

import re
from collections.abc import Iterator
from itertools import chain
from typing import Any

from portico.hl7 import identifying
from portico.language.context import Context
from portico.language.place import AsidePlace, EnvelopePlace, Hl7Place, Place, PointerPlace
from portico.steps.body import Body, Hl7Body, JsonBody

MAPPED = ("hl7", "json")
OPEN_WORDS = frozenset(("channel", "signal", "type", "size", "part"))

_DATE = re.compile(r"\d{4}-\d\d(-\d\d(T[\d:.]+(Z|[+-]\d\d:?\d\d)?)?)?|(19|20)\d{6}(\d{4,6})?")
_BARE = re.compile(r"[^a-z0-9]")
_KEYS = {
    **dict.fromkeys(
        """name family given prefix suffix firstname lastname middlename surname familyname
        givenname fullname patientname maidenname birthname mothersmaidenname contactname nok
        patient physician doctor practitioner performer author display""".split(),
        "name",
    ),
    **dict.fromkeys(
        """id identifier mrn pid patientid patientnumber medicalrecordnumber ssn svnr nhsnumber
        socialsecuritynumber account accountnumber visit visitnumber encounterid caseid
        casenumber insurancenumber policynumber subscriberid memberid beneficiaryid license
        licensenumber driverslicense passport ordernumber placer filler accession
        accessionnumber reference fullurl url device udi serialnumber ip ipaddress photo
        username user""".split(),
        "id",
    ),
    **dict.fromkeys(
        "address street line city town zip zipcode postalcode postcode district county".split(),
        "address",
    ),
    **dict.fromkeys(
        "telecom phone telephone mobile cell fax email mail contact tel".split(), "phone"
    ),
}  # fmt: skip
# Inside one of the above: words of a standard, and no person's.
_WORDS = frozenset("use system type coding code rank resourcetype unit mode status".split())


def told(*bodies: Body) -> list[tuple[str, str]]:
    """(kind, text) of all that can tell a patient, dates too, each once, in order.

    bodies: the content as it came and as it is: a step may have taken the patient out.
    """
    found = chain.from_iterable(map(_of_body, bodies))
    return list(dict.fromkeys((kind, text) for kind, text in found if text.strip()))


def _of_body(body: Body) -> Iterator[tuple[str, str]]:
    if isinstance(body, Hl7Body):
        return identifying.values(body.message.view)
    return _leaves(body.value, "") if isinstance(body, JsonBody) else iter(())


def _leaves(value: Any, kind: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _leaves(each, kind_of_key(key, kind))
    elif isinstance(value, list):
        for each in value:
            yield from _leaves(each, kind)
    elif value is not None and not isinstance(value, bool):
        text = str(value)
        if isinstance(value, str) and _DATE.fullmatch(text):
            yield "date", text
        elif kind:
            yield kind, text


def kind_of_key(key: str, above: str) -> str:
    """The kind of what stands under a key; empty: it says nothing by itself."""
    bare = _BARE.sub("", key.lower())
    return "" if bare in _WORDS else _KEYS.get(bare) or above


def kind_of(place: Place, context: Context) -> str:
    """The kind of what a place gives now."""
    if isinstance(place, Hl7Place):
        version = Place.parse("MSH-12.1").text(context)
        said = version if isinstance(version, str) else ""
        return identifying.kind_of(place.path, said, "TX")
    if isinstance(place, PointerPlace):
        kind = ""
        for token in place.source.split("/")[1:]:
            kind = kind_of_key(token, kind)
        value = place.value(context)
        if isinstance(value, str) and _DATE.fullmatch(value):
            return "date"
        return kind if kind and not isinstance(value, dict | list) else "free"
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


def patient(identifiers: list[tuple[str, str]], context: Context) -> str:
    """What dates are moved by: the first of PID-3.1, else the first id, else nothing."""
    first = Place.parse("PID-3.1").text(context)
    if isinstance(first, str):
        return first
    return next((text for kind, text in identifiers if kind == "id"), "")
