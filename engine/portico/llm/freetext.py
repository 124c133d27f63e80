"""What in free text can tell a patient although no field of the message says so.

By patterns and lists, without a model: e-mail addresses, URLs, phones, dates, addresses,
numbers, and ages from 90, by their shape; names by a title or a role before them (`Mrs`, `seen
by`), by initials, or by the list (names.txt). Rather too much than too little: what is
replaced is put back in the answer. A name that has none of these beside it is not found.

    found("seen by Dr. Quill, q@example.org") == [(12, 17, "name"), (19, 32, "id")]
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

Span = tuple[int, int, str]
Word = re.Match[str]

_MONTH = (
    r"(?:jan(?:uary|uar)?|feb(?:ruary|ruar)?|mar(?:ch)?|märz|apr(?:il)?|may|mai|june?|juni|july?"
    r"|juli|aug(?:ust)?|sept?(?:ember)?|o[ck]t(?:ober)?|nov(?:ember)?|de[cz](?:ember)?)\b\.?"
)
_STREET = (
    "Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Court|Ct|Boulevard|Blvd|Way|Place|Square"
    "|Terrace|Close|Crescent|Parkway|Highway|Gardens|Grove"
)
_GERMAN = "straße|strasse|str\\.|weg|gasse|platz|allee|damm|ufer|ring"
_CASED = (
    rf"\b\d{{1,5}}[A-Za-z]?,? (?:[A-Z][\w'.-]{{0,40}} ){{1,4}}(?:{_STREET})\b\.?",
    rf"\b[A-ZÄÖÜ][\w-]{{0,40}}(?:{_GERMAN}) ?\d{{1,4}} ?[a-z]?\b",
    r"\b[A-Z][\w'-]{1,40}(?: [A-Z][\w'-]{1,40}){0,2}, [A-Z]{2} \d{5}(?:-\d{4})?\b",
    r"(?<!\d)(?:[A-Z]{1,2}-)?\d{5} [A-ZÄÖÜ][a-zäöüß]{2,}(?:[ -][A-ZÄÖÜ][a-zäöüß]+)?",
    r"\b[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}\b",
    r"\b[Pp]\.? ?[Oo]\.? [Bb]ox \d+",
)
# In the order in which they claim a text; `it`: what is replaced, where not the whole.
_SHAPES = (
    ("id", r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}"),
    ("id", r"\b(?:https?://|www\.)[^\s<>\"]+"),
    ("id", r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])"),
    ("date", r"(?<!\d)(?:19|20)\d\d(-?)(?:0\d|1[0-2])\1[0-3]\d(?:T?[\d:]{4,8})?(?!\d)"),
    ("date", r"(?<![\d./-])\d{1,2}([./-])\d{1,2}\1(?:\d{4}|\d\d)(?![\d/])"),
    (
        "date",
        rf"(?<!\d)\d{{1,2}}(?:\.? ?|-|(?:st|nd|rd|th) )(?:of )?{_MONTH}(?:,?[ -]\d{{4}})?",
    ),
    ("date", rf"\b{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?(?:,? \d{{4}})?(?!\d)"),
    ("date", r"(?<![\d.])[0-3]\d\.[01]\d\.(?!\d)"),
    ("phone", r"(?<!\w)(?:\+|00)\d[\d ()/.-]{5,}\d"),
    ("phone", r"(?<![\w.])\(?0\d{1,5}\)?[ /-]{1,2}\d[\d /-]{3,}\d"),
    ("phone", r"(?<!\w)(?:\(\d{3}\) ?|\d{3}[-. ])?\d{3}[-.]\d{4}(?![\w-])"),
    (
        "phone",
        r"\b(?:tel|phone|fax|mobile|mobil|cell|ext|pager|bleep)\b[.: ]*(?P<it>\d[\d /-]+\d)",
    ),
    *(("address", f"(?-i:{shape})") for shape in _CASED),
    ("id", r"(?<!\w)\d{3}-\d\d-\d{4}(?!\d)"),
    ("id", r"(?<![\d.])(?=(?:[ .-]?\d){7})\d{2,}(?:[ .-]\d{2,})+(?![.\d])"),
    ("id", r"(?<!\d)\d{5,}"),
    (
        "id",
        r"\b(?:mrn|id|nr|no|number|nummer|case|fall|acct|account|ssn|nhs|room|bed)\b"
        r"[.:# ]*(?P<it>\d{3,}[\w-]*)",
    ),
    ("id", r"\b(?=\w*[a-z])(?=(?:\w*\d){3})\w+\b"),
    ("id", r"(?<!\d)(?:9\d|1[01]\d)(?=[- ]?(?:years?|yrs?|y/?o|jährig|jahre))"),
)
_COMPILED = tuple((kind, re.compile(shape, re.IGNORECASE)) for kind, shape in _SHAPES)

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_TITLES = frozenset(
    """mr mrs ms miss mx dr doctor prof professor sister nurse frau herr hr fr mme mlle madame
    monsieur señor señora sra signor signora rev reverend""".split()
)
_LOOSE = frozenset("mr mrs dr prof herr frau".split())  # before names in small letters, too
_ROLES = frozenset(
    """patient pt patientin mother father wife husband son daughter brother sister partner
    aunt uncle niece nephew carer guardian neighbour neighbor friend contact attending
    consultant surgeon radiologist pathologist signed dictated transcribed reported by with
    called informed phoned name named nok mutter vater ehefrau ehemann tochter sohn schwester
    bruder gez unterzeichnet durch sig dear hello regards sincerely""".split()
)
_LINKS = frozenset("is was the his her their named and mit".split())
_PARTICLES = frozenset("van von der den de del la le di da dos al el bin ibn zu".split())
_NEVER = frozenset(
    """the a an and or of in on at for has had have is was were are with without no not to from
    who which complains presents reports denies states shows seen came der die das und oder
    hat ist war wird patient patientin radiology cardiology surgery pathology oncology neurology
    ward clinic hospital laboratory lab emergency department urgent normal chest left right pain
    result results report history impression findings plan he she they we it""".split()
)  # fmt: skip
_NEXT = re.compile(r"\.?,? *")
_MOST = 3  # words of one name


@dataclass(frozen=True, slots=True)
class _Lists:
    """Of names.txt, in small letters."""

    given: frozenset[str]
    family: frozenset[str]
    either: frozenset[str]


def found(text: str, known: Sequence[Span] = ()) -> list[Span]:
    """(start, end, kind) in order, without overlap; kind: `name id address phone date`. known:
    what is replaced anyway."""
    taken = bytearray(len(text))
    spans = list(known)
    for start, end, _ in known:
        taken[start:end] = b"\1" * (end - start)
    for kind, start, end in _claims(text):
        spans += [(*run, kind) for run in _free(text, taken, start, end)]
        taken[start:end] = b"\1" * (end - start)
    return sorted(spans)


def _claims(text: str) -> Iterator[tuple[str, int, int]]:
    for kind, shape in _COMPILED:
        for match in shape.finditer(text):
            yield kind, *match.span("it" if "it" in shape.groupindex else 0)
    for word in _names(text):
        yield "name", *word.span()


def _free(text: str, taken: bytearray, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The runs of a span that nothing has claimed, without spaces around them."""
    while (at := taken.find(0, start, end)) >= 0:
        stop = taken.find(1, at, end)
        start = end if stop < 0 else stop
        run = text[at:start]
        if run.strip():
            yield start - len(run.lstrip()), at + len(run.rstrip())


def _names(text: str) -> Iterator[Word]:
    """Every word of a name."""
    words, lists = list(_WORD.finditer(text)), _lists()
    shouted = text.isupper()
    for at, word in enumerate(words):
        plain = word[0].casefold()
        if plain in _TITLES:
            yield from _named(words, at + 1, any_case=plain in _LOOSE)
        elif plain in _ROLES and not shouted:
            after = at + 1
            while after < len(words) and words[after][0].casefold() in _LINKS | _TITLES:
                after += 1
            yield from _named(words, after)
        elif _is_name(words, at, lists):
            if at and text[words[at - 1].end() : word.start()] == ", ":
                yield from _capital(words[at - 1])
            yield from _named(words, at)


def _is_name(words: Sequence[Word], at: int, lists: _Lists) -> bool:
    """Whether a word is one by the list, or an initial before a capital."""
    word = words[at][0]
    plain = word.casefold()
    if not word[0].isupper():
        return False
    if plain in lists.given or plain in lists.family:
        return True
    follows = at + 1 < len(words) and any(_capital(words[at + 1]))
    if plain in lists.either:
        return follows and _beside(words, at) in (" ", ". ")
    return len(word) == 1 and follows and _beside(words, at) in (". ", ".")


def _named(words: Sequence[Word], at: int, any_case: bool = False) -> Iterator[Word]:
    """The words of a name that begins there; with any_case one in small letters, too."""
    taken = 0
    while at < len(words) and taken < _MOST:
        word = words[at]
        if taken and not _NEXT.fullmatch(_beside(words, at - 1)):
            return
        if word[0].casefold() in _PARTICLES and at + 1 < len(words):
            at += 1
            continue
        small = any_case and not taken and word[0].casefold() not in _NEVER | _lists().either
        if not small and not any(_capital(word)):
            return
        yield word
        at, taken = at + 1, taken + 1


def _capital(word: Word) -> Iterator[Word]:
    if word[0][0].isupper() and word[0].casefold() not in _NEVER:
        yield word


def _beside(words: Sequence[Word], at: int) -> str:
    """What stands between a word and the next."""
    return words[at].string[words[at].end() : words[at + 1].start()]


@cache
def _lists() -> _Lists:
    lines = (Path(__file__).parent / "names.txt").read_text("utf-8").splitlines()
    lists: dict[str, set[str]] = {}
    words: set[str] = set()
    for line in lines:
        if line in ("given", "family", "either"):
            words = lists.setdefault(line, set())
        elif not line.startswith("#"):
            words.update(line.casefold().split())
    return _Lists(*(frozenset(lists[key]) for key in ("given", "family", "either")))
