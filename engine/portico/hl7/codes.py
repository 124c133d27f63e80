"""The HL7 tables that the engine itself speaks. Source: HL7 v2.5.1 chapter 2, appendix A."""

from enum import StrEnum


class AckCode(StrEnum):
    """Table 0008: MSA-1. The first letter is the phase: accept or application."""

    CA = "CA"
    CE = "CE"
    CR = "CR"
    AA = "AA"
    AE = "AE"
    AR = "AR"


POSITIVE = frozenset((AckCode.AA, AckCode.CA))


class Condition(StrEnum):
    """Table 0155: when MSH-15 or MSH-16 ask for an answer."""

    AL = "AL"  # always
    NE = "NE"  # never
    ER = "ER"  # on error or reject only
    SU = "SU"  # on success only


class Severity(StrEnum):
    """Table 0516: ERR-4."""

    FATAL = "F"
    ERROR = "E"
    WARNING = "W"
    INFORMATION = "I"


# Table 0357: ERR-3. 100 to 103 and 207 go with AE or CE, 200 to 203 with AR or CR.
ERRORS = {
    "0": "Message accepted",
    "100": "Segment sequence error",
    "101": "Required field missing",
    "102": "Data type error",
    "103": "Table value not found",
    "200": "Unsupported message type",
    "201": "Unsupported event code",
    "202": "Unsupported processing id",
    "203": "Unsupported version id",
    "204": "Unknown key identifier",
    "205": "Duplicate key identifier",
    "206": "Application record locked",
    "207": "Application internal error",
}
