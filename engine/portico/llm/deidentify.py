"""What leaves in place of what can tell a patient, and the way back.

Names, numbers, addresses and phones become tokens such as `NAME_3f9a01c2`: the same text the
same token under one key, whatever its case, so that a model can tell who is who. Dates move by
as many days for all of a patient. Both are put back in the answer, here and nowhere else.
Values of listed places are replaced whole; wherever else in the prompt's data one of them
occurs, it is replaced there. What free text says beside that is found by llm/freetext.py where
it is asked for, and stays where it is not.
"""

import hmac
import re
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from portico.llm import dates, freetext

_TELLING = ("name", "id", "address", "phone")
_SEPARATORS = re.compile(r"([\^&~\n]+)")
_FARTHEST = 365  # days
_LONG = 6  # characters with a digit: looked for inside of words, too; a date: perhaps whole
TOKEN = re.compile(r"(?:NAME|ID|ADDRESS|PHONE)_[0-9a-f]{8}(?:_[0-9a-f]{4})?")


class Deidentifier:
    """The tokens of one prompt. key: of this installation. patient: what dates move by.
    identifiers: (kind, text) of all of the message that can tell a patient. detect: look for
    more in free text."""

    def __init__(
        self,
        key: bytes,
        patient: str,
        identifiers: Sequence[tuple[str, str]],
        detect: bool = False,
    ) -> None:
        self._key = key
        self._detect = detect
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
        return self._scrubbed(text, self._detect and kind == "free")

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
                spelled = dates.spellings(text) or [text][: len(text) >= _LONG]
                ways |= dict.fromkeys(map(str.casefold, spelled), "date")
                continue
            words = [text.strip(), *(text.split() if kind == "name" else ())]
            for word in words:
                if len(word) > 1:
                    ways.setdefault(word.casefold(), kind)
        return ways

    def _scrubbed(self, text: str, detect: bool) -> str:
        spans = [
            (*match.span(), self._ways.get(" ".join(match[0].casefold().split()), "id"))
            for match in (self._found.finditer(text) if self._found else ())
            if not (len(match[0]) == 2 and match[0].islower())  # "an", "is": hardly the name
        ]
        made, at = [], 0
        for start, end, kind in freetext.found(text, spans) if detect else spans:
            told = text[start:end]
            made.append(text[at:start])
            made.append(self._replaced(kind, told))
            at = end
        return "".join((*made, text[at:]))

    def _replaced(self, kind: str, text: str) -> str:
        if kind != "date":
            return self._token(kind, text)
        return self._moved(text) if len(text) >= _LONG else self._token("id", text)

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
        found = dates.moved(text, self._shift)
        if found is None:
            return text if len(text) < _LONG else self._token("id", text)
        before, head = found
        self._back[head] = before
        return head + text[len(before) :]

    def _digest(self, purpose: str, text: str) -> bytes:
        return hmac.digest(self._key, f"{purpose}\0{text}".encode(), "sha256")


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
