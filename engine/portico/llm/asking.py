"""What an `llm` step asks (steps/llm.py), and what of it leaves for a provider."""

from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Any

import msgspec
from msgspec import Struct

from portico.errors import ContentInvalid
from portico.language.content import parse_json
from portico.llm import framing
from portico.llm.contract import MOST_TOKENS, Request, Round, Tool, Use
from portico.llm.deidentify import Deidentifier

Pieces = tuple[tuple[str, str], ...]  # (kind, text); an empty kind is no data


class Past(Struct, frozen=True):
    """A round before: what the model said, and what it is told of each use, or of it."""

    text: str
    uses: tuple[Use, ...] = ()
    told: tuple[Pieces, ...] = ()


class Question(Struct, frozen=True):
    """One question. parts: (kind, text) of the prompt. prompt: the digest of its file. model:
    empty, [provider] or [provider, model]. identifiers: (kind, text) that can tell a patient.
    budget: tokens, seconds (None: for ever) and millionths of money. turns: earlier answers,
    each with what was wrong. rounds: all of a conversation before.
    """

    parts: list[tuple[str, str]]
    prompt: str
    schema: dict[str, Any]
    phi: Any
    model: list[str]
    timeout: float
    budget: tuple[int | None, float | None, int | None] | None
    identifiers: list[tuple[str, str]]
    patient: str
    turns: list[tuple[str, str]] = []
    tools: tuple[Tool, ...] = ()
    rounds: tuple[Past, ...] = ()
    detect: bool = False


class Talk(Question, frozen=True):
    """The question that begins a conversation. message: for `hl7.read`, with the charset and
    what to do with what it does not hold."""

    message: bytes = b""
    policy: tuple[str, str] = ("ascii", "replace")


_encode = msgspec.json.Encoder(decimal_format="number").encode
decode = msgspec.json.Decoder(Question).decode
decode_talk = msgspec.json.Decoder(Talk).decode


def veil(
    wanted: Question, key: Callable[[], bytes], detect: bool = False
) -> Deidentifier | None:
    """What replaces and puts back; None where all may leave as it is. key: of the tokens.
    detect: what the provider's policy says of free text."""
    if wanted.phi != "deidentified":
        return None
    return Deidentifier(key(), wanted.patient, wanted.identifiers, detect or wanted.detect)


def back(veil: Deidentifier, said: str) -> str:
    """An answer, or a tool's arguments, with the values that stood there before: in JSON its
    texts, since a value may hold what JSON escapes."""
    try:
        value = parse_json(said.encode("utf-8", "replace"))
    except ContentInvalid:
        return veil.back(said)
    return _encode(veil.back_in(value)).decode()


def request(wanted: Question, model: str, veil: Deidentifier | None) -> Request:
    """What leaves."""
    past = (
        *wanted.rounds,
        *(Past(text, (), ((("", wrong),),)) for text, wrong in wanted.turns),
    )
    out = veil.out if veil is not None else _plain
    parts = [(kind, out(kind, text)) for kind, text in wanted.parts]
    said = (one for each in past for one in each.told)
    told = [_together((kind, out(kind, text)) for kind, text in one) for one in said]
    words = framing.framed(parts, told, bool(wanted.tools))
    rest = iter(words.told)
    rounds = tuple(
        Round(
            out("free", each.text),
            tuple(Use(use.id, use.name, out("free", use.arguments)) for use in each.uses),
            tuple(next(rest) for _ in each.told),
        )
        for each in past
    )
    return Request(
        words.system,
        words.prompt,
        wanted.schema,
        rounds,
        wanted.tools,
        model,
        wanted.timeout,
        MOST_TOKENS,
    )


def _together(pieces: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """One piece of what one tool gave, not a mark for each word of it."""
    runs = groupby(pieces, key=lambda piece: bool(piece[0]))
    return [("data" if data else "", "".join(text for _, text in run)) for data, run in runs]


def _plain(_: str, text: str) -> str:
    return text


def outcome(text: str, uses: Iterable[Use] = ()) -> bytes:
    """What the step is told: the answer, and the tools that the model wants."""
    said = [Use(use.id, use.name, _storable(use.arguments)) for use in uses]
    return msgspec.json.encode({"text": _storable(text), "uses": said})


def _storable(text: str) -> str:
    """Without lone surrogates, which a model may write and UTF-8 does not have."""
    return text.encode("utf-8", "replace").decode()
