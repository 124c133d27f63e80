"""What leaves in place of what can tell a patient, and the way back.

Names, numbers, addresses and phones become tokens such as `NAME_3f9a01c2`: the same text the
same token under one key, whatever its case, so that a model can tell who is who. Dates move by
as many days for all of a patient. Both are put back in the answer, here and nowhere else.
Values of listed places are replaced whole; wherever else in the prompt's data one of them
occurs, it is replaced there, also with other signs between its words, with an umlaut spelled
out, and in JSON, where a line break is two characters. What free text says beside that is found
by llm/freetext.py where it is asked for, and stays where it is not.
"""

import hmac
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from portico.llm import dates, freetext

_TELLING = ("name", "id", "address", "phone")
_SEPARATORS = re.compile(r"([\^&~\n]+)")
_FARTHEST = 365  # days
_LONG = 6  # characters with a digit: looked for inside of words, too; a date: perhaps whole
_NUMBER, _BLOB = 40, 400  # characters: other signs may stand in it; too long for a pattern
_HYPHENS = re.compile(r"[\s\u2010-\u2015-]+")  # and spaces: between the words of a name
_SIGN = re.compile(r"[\W_]")
_ESCAPE = re.compile(r"\\(?:u[0-9a-f]{4}|[bfnrt])")  # of JSON
_WHOLE, _WITHIN, _DATE = r"(?<!\w)(?:%s)(?!\w)", r"(?:%s)", r"(?<!\d)(?:%s)"
_ALIKE = (("ae", "ä"), ("oe", "ö"), ("ue", "ü"), ("ss", "ß"))
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
        self._kinds = {_bare(way): kind for way, kind in reversed(self._ways.items())}
        self._blobs = [way for way in self._ways if len(way) > _BLOB]
        self._patterns = _patterns(self._ways)

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
        if type(value) is int and str(value) in self._back:
            return int(self._back[str(value)])  # a date in figures alone
        return value

    def _replacements(self, identifiers: Iterable[tuple[str, str]]) -> dict[str, str]:
        """Plain text to its kind; the words of a name count by themselves."""
        ways: dict[str, str] = {}
        for kind, text in identifiers:
            if kind == "date":
                spelled = dates.spellings(text) or [text][: len(text) >= _LONG]
                ways |= dict.fromkeys(map(_plain, spelled), "date")
                continue
            words = [text.strip(), *(_HYPHENS.split(text) if kind == "name" else ())]
            for word in words:
                if len(word) > 1 and _bare(word):
                    ways.setdefault(_plain(word), kind)
        return ways

    def _scrubbed(self, text: str, detect: bool) -> str:
        spans = self._known(text)
        made, at = [], 0
        for start, end, kind in freetext.found(text, spans) if detect else spans:
            told = text[start:end]
            made.append(text[at:start])
            made.append(self._replaced(kind, told))
            at = end
        return "".join((*made, text[at:]))

    def _known(self, text: str) -> list[freetext.Span]:
        """Where values stand, in order; of two that overlap each what is left."""
        spans: list[freetext.Span] = []
        plain, at = _plain(text), 0
        matches = [match.span() for one in self._patterns for match in one.finditer(plain)]
        matches += (span for blob in self._blobs for span in _places(blob, plain))
        for start, end in sorted(matches, key=lambda span: (span[0], -span[1])):
            if end - start == 2 and text[start:end].islower():
                continue  # "an", "is": hardly the name
            if end > at:
                kind = self._kinds.get(_bare(plain[start:end]), "id")
                spans.append((max(start, at), end, kind))
                at = end
        return spans

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
        """The date as many days away, in its own layout; what is no whole date as a token, and
        so is one that would look like another day's."""
        found = dates.moved(text, self._shift)
        if found is None:
            return text if len(text) < _LONG else self._token("id", text)
        before, head = found
        if not dates.same_day(self._back.setdefault(head, before), before):
            return self._token("id", text)
        return head + text[len(before) :]

    def _digest(self, purpose: str, text: str) -> bytes:
        return hmac.digest(self._key, f"{purpose}\0{text}".encode(), "sha256")


def _plain(text: str) -> str:
    """In small letters, a space for each sign and for all of an escape: as long as the text."""
    small = text.lower()
    if len(small) != len(text):
        small = "".join(low if len(low := char.lower()) == 1 else char for char in text)
    return _SIGN.sub(" ", _ESCAPE.sub(lambda match: " " * len(match[0]), small))


def _bare(text: str) -> str:
    """What a value's spellings have in common."""
    bare = "".join(_plain(text).split())
    for spelled, letter in _ALIKE:
        bare = bare.replace(letter, spelled)
    return bare


def _places(blob: str, plain: str) -> Iterator[tuple[int, int]]:
    at = plain.find(blob)
    while at >= 0:
        yield at, at + len(blob)
        at = plain.find(blob, at + len(blob))


def _patterns(ways: Mapping[str, str]) -> list[re.Pattern[str]]:
    """For plain texts, the longest first: short ones only as whole words."""
    made: dict[str, list[str]] = {_WHOLE: [], _WITHIN: [], _DATE: []}
    for way in sorted((way for way in ways if len(way) <= _BLOB), key=len, reverse=True):
        long = len("".join(way.split())) >= _LONG and any(map(str.isdigit, way))
        where = _WHOLE if not long else _DATE if ways[way] == "date" else _WITHIN
        short = ways[way] in ("id", "phone") and len(way) <= _NUMBER
        made[where].append(_one(way, long and short))
    return [re.compile(where % "|".join(found)) for where, found in made.items() if found]


def _one(plain: str, number: bool) -> str:
    if number:  # 123456789 may be 123-45-6789
        return " {0,2}".join("".join(plain.split()))
    made = " +".join(plain.split()) if len(plain) > 2 else plain
    for spelled, letter in _ALIKE:
        made = made.replace(letter, spelled).replace(spelled, f"(?:{spelled}|{letter})")
    return made
