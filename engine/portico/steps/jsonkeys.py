"""What the keys of JSON say of the values below them: whether they can tell a patient.

`kind("patientLastName", "")` is `name`: a key counts whole, else by its last word, else as the
key above it. FHIR's element names are among them. Source of FHIR's: R4, R5.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

CODED = "coded"  # below FHIR's `coding`: words of a code system, and nobody's name

_DATE = re.compile(r"\d{4}-\d\d(-\d\d(T[\d:.]+(Z|[+-]\d\d:?\d\d)?)?)?|(19|20)\d{6}(\d{4,6})?")
_BLOB = re.compile(r"[A-Za-z0-9+/_-]{80,}={0,2}")
_BARE = re.compile(r"[^a-z0-9]")
_PIECES = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def _each(kind: str, words: str) -> dict[str, str]:
    return dict.fromkeys(words.split(), kind)


_KEYS = {
    **_each(
        "name",
        """name names family given prefix suffix firstname lastname middlename surname forename
        familyname givenname fullname maidenname birthname mothersmaidenname nickname nok
        nextofkin patient physician doctor practitioner nurse clinician provider performer
        author recorder asserter requester participant guardian guarantor spouse relative
        subscriber insured beneficiary policyholder informant signature initials display""",
    ),
    **_each(
        "id",
        """id ids identifier identifiers mrn pid ssn svnr nhs number account visit encounter
        caseid license licence passport placer filler accession reference fullurl url uri device
        udi serial lot ip photo picture image username user login token fingerprint vin plate
        medicalrecord insurance policy member""",
    ),
    **_each(
        "address",
        """address addresses street line city town village suburb zip zipcode postalcode
        postcode plz ort strasse district county parish latitude longitude lat lng lon geo
        geolocation birthplace""",
    ),
    **_each(
        "phone",
        """telecom phone phones telephone mobile cell fax email mail contact tel pager
        contactpoint""",
    ),
    **_each("date", "birthdate dob dateofbirth born deathdate dateofdeath deceaseddatetime"),
    "coding": CODED,
}
_ENDS = _KEYS | {"no": "id", "nr": "id", "record": "id", "point": "phone", "birth": "date"}
# Inside one of the above: words of a standard, and no person's.
_WORDS = frozenset("use system type rank resourcetype unit mode status".split())
_OF_CODES = frozenset("code display version userselected".split())
# Before `name`: a thing has it.
_THINGS = frozenset(
    """drug medication medicine substance test product organization organisation facility
    hospital department ward clinic code event panel analyte observation field file study
    procedure diagnosis vaccine table message channel order specimen""".split()
)
_PATIENT = frozenset("mrn pid patientid patientnumber medicalrecordnumber".split())


def kind(key: str, above: str) -> str:
    """The kind of what stands under a key; empty: it says nothing by itself."""
    bare = _BARE.sub("", key.lower())
    if bare in _WORDS or (above == CODED and bare in _OF_CODES):
        return above if above == CODED else ""
    if bare in _KEYS:
        return _KEYS[bare]
    words = [word.lower() for word in _PIECES.findall(key)]
    ends = _ENDS.get(words[-1], "") if words else ""
    if ends == "name" and not _THINGS.isdisjoint(words):
        ends = ""
    return ends or above


def of_value(value: Any, said: str) -> str:
    """The kind of a leaf whose keys say that: dates and encoded files tell it themselves."""
    if isinstance(value, str):
        if _DATE.fullmatch(value):
            return "date"
        if _BLOB.fullmatch(value):
            return "id"
    return "" if said == CODED else said


def leaves(value: Any, above: str = "") -> Iterator[tuple[str, str]]:
    """(kind, text) of every leaf that can tell a patient."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from leaves(each, kind(key, above))
    elif isinstance(value, list):
        for each in value:
            yield from leaves(each, above)
    elif value is not None and not isinstance(value, bool):
        said = of_value(value, above)
        if said:
            yield said, str(value)


def pieces(value: Any, above: str = "") -> Iterator[tuple[str, str]]:
    """A value as JSON, in (kind, text): what can tell a patient apart from the rest."""
    if isinstance(value, Mapping):
        for number, (key, each) in enumerate(value.items()):
            yield "free", f"{', ' if number else '{'}{json.dumps(key, ensure_ascii=False)}: "
            yield from pieces(each, kind(key, above))
        yield "open", "}" if value else "{}"
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield "open", ", " if number else "["
            yield from pieces(each, above)
        yield "open", "]" if value else "[]"
    else:
        told = next(leaves(value, above), None)
        yield told or ("free", json.dumps(value, ensure_ascii=False, default=str))


def patient(value: Any) -> str:
    """Whose it is: of FHIR the Patient's id or the reference to it, else what a key such as
    `mrn` says; the same in every message of a patient. Empty: nothing says it."""
    if isinstance(value, list):
        return next(filter(None, map(patient, value)), "")
    if not isinstance(value, Mapping):
        return ""
    if value.get("resourceType") == "Patient" and value.get("id"):
        return str(value["id"])
    for key, each in value.items():
        if key in ("subject", "patient") and isinstance(each, Mapping):
            reference = each.get("reference")
            if isinstance(reference, str):
                return reference.rpartition("/")[2]
        if _BARE.sub("", key.lower()) in _PATIENT and isinstance(each, str | int):
            return str(each)
    return next(filter(None, map(patient, value.values())), "")
