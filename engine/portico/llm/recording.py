"""Recorded answers: what an answer is kept under, so that it is found again everywhere.

Marks, tokens and dates of a de-identified prompt differ from one installation to the next. In
a recording the tokens are numbered by their first occurrence (`NAME_1`, `ID_2`), in the prompt
and in the answer, and a date in figures is `date`.
"""

import hashlib
import re
from typing import Any

from portico.llm.deidentify import TOKEN

_MARK = re.compile(r"data-[0-9a-f]{12}")
_DATE = re.compile(
    r"(?<!\d)(?:(?:19|20)\d\d(-?)\d\d\1\d\d(?:\d{4}|\d{6})?|\d{1,2}([./-])\d{1,2}\2\d{4})(?!\d)"
)
_NUMBERED = re.compile(r"\b(?:NAME|ID|ADDRESS|PHONE)_(\d{1,3})\b")


def digest(prompt: str) -> str:
    """What an answer is kept under."""
    order = {token: number for number, token in enumerate(tokens(prompt), 1)}
    bare = TOKEN.sub(
        lambda match: f"{match[0].partition('_')[0]}_{order[match[0]]}",
        _MARK.sub("data", prompt),
    )
    return hashlib.sha256(_DATE.sub("date", bare).encode()).hexdigest()[:32]


def tokens(prompt: str) -> list[str]:
    """Each once, as they come."""
    return list(dict.fromkeys(match[0] for match in TOKEN.finditer(prompt)))


def told(answer: Any, prompt: str) -> Any:
    """A recorded answer with the tokens of this prompt in place of their numbers."""
    known = tokens(prompt)

    def token(match: re.Match[str]) -> str:
        number = int(match[1])
        return known[number - 1] if 0 < number <= len(known) else match[0]

    if isinstance(answer, str):
        return _NUMBERED.sub(token, answer)
    if isinstance(answer, list):
        return [told(each, prompt) for each in answer]
    if isinstance(answer, dict):
        return {key: told(each, prompt) for key, each in answer.items()}
    return answer
