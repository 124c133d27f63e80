"""What leaves in place of what can tell a patient, and the way back.

Names, numbers, addresses and phones become tokens such as `NAME_3f9a01c2`: the same text the
same token under one key, whatever its case, so that a model can tell who is who. Dates move by
as many days for all of a patient. Both are put back in the answer, here and nowhere else.
Values of listed places are replaced whole; wherever else in the prompt's data one of them
occurs, it is replaced there. Free text that quotes somebody whom no listed place names stays
as it is: to find those is no part of this module (docs/llm.md).
"""

import hmac
import re
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Any

_TELLING = ("name", "id", "address", "phone")
_SEPARATORS = re.compile(r"([\^&~\n]+)")
_MOMENT = re.compile(r"(\d{4})(-?)(\d\d)\2(\d\d)")
_LAYOUTS = ("%Y%m%d", "%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y")
_FARTHEST = 365  # days
_LONG = 6  # characters with a digit from which a text is looked for inside of words, too
TOKEN = re.compile(r"(?:NAME|ID|ADDRESS|PHONE)_[0-9a-f]{8}(?:_[0-9a-f]{4})?")


class Deidentifier:
    """The tokens of one prompt. key: of this installation. patient: what dates move by.
    identifiers: (kind, text) of all of the message that can tell a patient."""

    def __init__(
        self, key: bytes, patient: str, identifiers: Sequence[tuple[str, str]]
    ) -> None:
        self._key = key
        days = 1 + int.from_bytes(self._digest("days", patient)[:4], "big") % _FARTHEST
        self._shift = timedelta(days=-days)
        self._back: dict[str, str] = {}
        self._ways = self._replacements(identifiers)
        self._found = _pattern(self._ways)

    def out(self, kind: str, text: str) -> str:
        """One value as it may leave; an empty kind is the prompt's own words."""
        if not kind:
            return text
        if kind in _TELLING:
            return "".join(
                piece if _SEPARATORS.fullmatch(piece) or not piece else self._token(kind, piece)
                for piece in _SEPARATORS.split(text)
            )
        if kind == "date":
            return self._moved_all(text)
        return self._scrubbed(text)

    def back(self, text: str) -> str:
        """An answer with the values that stood there before."""
        if not self._back:
            return text
        known = sorted(self._back, key=len, reverse=True)
        pattern = re.compile("|".join(map(re.escape, known)))
        return pattern.sub(lambda match: self._back[match[0]], text)

    def back_in(self, value: Any) -> Any:
        """The same in every text of a JSON value."""
        if isinstance(value, str):
            return self.back(value)
        if isinstance(value, list):
            return [self.back_in(each) for each in value]
        if isinstance(value, dict):
            return {self.back(key): self.back_in(each) for key, each in value.items()}
        return value

    def _replacements(self, identifiers: Iterable[tuple[str, str]]) -> dict[str, str]:
        """Text in lower case to its kind; the words of a name count by themselves."""
        ways: dict[str, str] = {}
        for kind, text in identifiers:
            if kind == "date":
                ways |= dict.fromkeys(_spelled(text), "date")
                continue
            words = [text.strip(), *(text.split() if kind == "name" else ())]
            for word in words:
                if len(word) > 1:
                    ways.setdefault(word.casefold(), kind)
        return ways

    def _scrubbed(self, text: str) -> str:
        return self._found.sub(self._replaced, text) if self._found else text

    def _replaced(self, match: re.Match[str]) -> str:
        text = match[0]
        if len(text) == 2 and text.islower():
            return text  # "an", "is": hardly the name
        kind = self._ways.get(text.casefold(), "id")
        return self._moved(text) if kind == "date" else self._token(kind, text)

    def _token(self, kind: str, text: str) -> str:
        bare = text.strip()
        plain = bare.casefold()
        token = f"{kind.upper()}_{self._digest('token', plain).hex()[:8]}"
        if self._back.setdefault(token, bare) != bare:  # another spelling
            token += f"_{self._digest('spelling', bare).hex()[:4]}"
            self._back[token] = bare
        return token

    def _moved_all(self, text: str) -> str:
        return "".join(
            piece if _SEPARATORS.fullmatch(piece) or not piece else self._moved(piece)
            for piece in _SEPARATORS.split(text)
        )

    def _moved(self, text: str) -> str:
        """The date as many days away, in its own layout; what is no whole date as a token."""
        for layout in _LAYOUTS:
            size = 8 if layout == "%Y%m%d" else 10
            found = _read(text[:size], layout)
            if found is not None:
                try:
                    head = (found + self._shift).strftime(layout)
                except OverflowError:
                    break
                self._back[head] = text[:size]
                return head + text[size:]
        return text if len(text) < 6 else self._token("id", text)

    def _digest(self, purpose: str, text: str) -> bytes:
        return hmac.digest(self._key, f"{purpose}\0{text}".encode(), "sha256")


def _read(text: str, layout: str) -> date | None:
    if len(text) != (8 if layout == "%Y%m%d" else 10):
        return None
    shape = {"%Y%m%d": (0, 4, 6), "%Y-%m-%d": (0, 5, 8)}.get(layout)
    year, month, day = shape or ((6, 3, 0) if layout[1] == "d" else (6, 0, 3))
    marks = {"%Y%m%d": "", "%Y-%m-%d": "-"}.get(layout, layout[2])
    if marks and (text[4 if shape else 2], text[7 if shape else 5]) != (marks, marks):
        return None
    try:
        return date(
            int(text[year : year + 4]), int(text[month : month + 2]), int(text[day : day + 2])
        )
    except ValueError:
        return None


def _spelled(text: str) -> list[str]:
    """A date of a message in the layouts that free text may use; as it stands, too."""
    match = _MOMENT.match(text)
    if match is None:
        return []
    found = _read("".join((match[1], match[3], match[4])), "%Y%m%d")
    return [found.strftime(layout) for layout in _LAYOUTS] if found else []


def _pattern(ways: Iterable[str]) -> re.Pattern[str] | None:
    """All of them, the longest first; short ones only as whole words."""
    known = sorted(ways, key=len, reverse=True)
    if not known:
        return None
    return re.compile("|".join(map(_one, known)), re.IGNORECASE)


def _one(text: str) -> str:
    spaced = r"\s+".join(map(re.escape, text.split()))
    inside = len(text) >= _LONG and any(map(str.isdigit, text))
    return spaced if inside else rf"(?<!\w){spaced}(?!\w)"
