"""What an `llm` step asks (steps/llm.py), and what of it leaves for a provider."""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from portico.llm import framing
from portico.llm.contract import MOST_TOKENS, Request
from portico.llm.deidentify import Deidentifier


class Wanted(Struct, frozen=True):
    """One question. parts: (kind, text) of the prompt. prompt: the digest of its file. model:
    empty, [provider] or [provider, model]. identifiers: (kind, text) that can tell a patient.
    turns: earlier answers, each with what was wrong."""

    parts: list[tuple[str, str]]
    prompt: str
    schema: dict[str, Any]
    phi: Any
    model: list[str]
    timeout: float
    budget: list[float]
    identifiers: list[tuple[str, str]]
    patient: str
    turns: list[tuple[str, str]] = []


decode = msgspec.json.Decoder(Wanted).decode


def veil(wanted: Wanted, key: Callable[[], bytes]) -> Deidentifier | None:
    """What replaces and puts back; None where all may leave as it is. key: of the tokens."""
    if wanted.phi != "deidentified":
        return None
    return Deidentifier(key(), wanted.patient, wanted.identifiers)


def request(wanted: Wanted, model: str, veil: Deidentifier | None) -> Request:
    """What leaves."""
    parts, turns = wanted.parts, wanted.turns
    if veil is not None:
        parts = [(kind, veil.out(kind, text)) for kind, text in parts]
        turns = [(veil.out("free", answer), veil.out("free", wrong)) for answer, wrong in turns]
    system, prompt = framing.framed(parts)
    told = tuple((answer, wrong) for answer, wrong in turns)
    return Request(system, prompt, wanted.schema, told, model, wanted.timeout, MOST_TOKENS)
