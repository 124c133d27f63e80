"""Telephone numbers as machines dial them: E.164, `+493023125820`."""

import re

from portico.authoring import Message
from transforms import repetitions

FIELDS = ("PID-13", "PID-14")  # home, business


def normalize(msg: Message, prefix: str = "49", trunk: str = "0") -> None:
    """Every number of PID-13 and PID-14 to E.164; what is no number stays as it is.

    prefix, trunk: the patient's country: its calling code, and what is dialled before a
    national number (`0` in Germany, `1` in the United States, nothing in Italy).
    """
    for field in FIELDS:
        for place in repetitions.places(msg, field):
            dialled = e164(msg.get(f"{place}.1"), prefix, trunk)
            if dialled:
                msg[f"{place}.1"] = dialled


def e164(text: str, prefix: str, trunk: str) -> str:
    """The number in international form, or an empty text when it cannot be one.

    Source: ITU-T E.164: at most 15 digits, the country's code first.
    """
    if re.search(r"[A-Za-z]", text):
        return ""  # an extension or a remark: a person reads it better than a machine
    digits = re.sub(r"\D", "", text)
    if text.strip().startswith("+"):
        pass
    elif digits.startswith("00"):
        digits = digits[2:]
    elif trunk and digits.startswith(trunk):
        digits = prefix + digits[len(trunk) :]
    else:
        digits = prefix + digits
    return f"+{digits}" if 8 <= len(digits) <= 15 else ""
