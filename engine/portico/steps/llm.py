"""`llm`: a language model reads what a prompt places, and answers by a schema.

The prompt is a file of the site. What it places is data: it stands between marks that no
message can know, and never among the instructions. The answer must fit `output`, hold no
identifier that was not in the prompt, and pass `checks`; if not, the model is told what was
wrong, `retries` times. Each exchange is one call of the journal, so that a Signal that runs
again, or is replayed, pays for none of them twice.
"""

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from pydantic import Field, PlainValidator, WithJsonSchema

from portico.errors import ContentInvalid, MessageError, PathInvalid, Permanent
from portico.language.condition import Condition
from portico.language.content import parse_json
from portico.language.place import Hl7Place
from portico.language.template import Template
from portico.model.call import MEANWHILE
from portico.spec import fields
from portico.spec.fields import ONE_OR_MANY, Count, Name, Options, Span, Switch, Text
from portico.spec.models import Budget, ModelField, Phi
from portico.spec.rules import AsideField, ConditionField
from portico.steps import grounding, identifying
from portico.steps.body import Body, Hl7Body
from portico.steps.contract import Build, End, StepType
from portico.steps.state import RunState

VERB, CONVERSE, REVIEW = "llm", "converse", "review"
_LARGEST = 256 << 10  # bytes of a prompt file
_LARGEST_MESSAGE = 1 << 20


class Review(Options):
    """When a person must agree. meanwhile: whether the lane waits, too."""

    when: ConditionField | None = None
    meanwhile: Literal["wait", "continue"] = "wait"


def _review(value: Any) -> Review:
    if isinstance(value, Review):
        return value
    if value == "always":
        return Review()
    if isinstance(value, dict):
        return Review.model_validate(value)
    raise fields.wrong("config.value", "review is always, or {when: CONDITION}")


class LlmOptions(Options):
    """prompt, output: files below the site. into: where the answer is put aside. phi: what the
    prompt may place. detect: look for more in its free text. timeout: seconds of one exchange.
    retries: of an answer that is wrong. capabilities: None for the agent's. rounds: exchanges
    until there must be an answer.
    """

    prompt: Text
    output: Text
    into: AsideField
    checks: ConditionField | None = None
    review: Annotated[
        Review | None,
        PlainValidator(_review),
        WithJsonSchema({"anyOf": [{"const": "always"}, {"type": "object"}]}),
    ] = None
    phi: Phi = "none"
    detect: Switch = False
    model: ModelField | None = None
    timeout: Span = 60.0
    retries: Annotated[Count, Field(le=10)] = 2
    budget: Budget | None = None
    capabilities: Annotated[tuple[Name, ...], ONE_OR_MANY] | None = None
    rounds: Annotated[Count, Field(ge=1, le=50)] = 8
    parallel: Annotated[Count, Field(ge=1, le=16)] = 4


@dataclass(frozen=True, slots=True)
class _Contract:
    """What is compiled. digest: of the prompt file. closed: texts that need not be grounded.
    granted: what the model may use (llm.granted.Frozen.plain)."""

    prompt: Template
    digest: str
    rules: Any  # steps.jsonrules.JsonRules
    schema: Any
    closed: frozenset[str]
    granted: Mapping[str, Any]


class _Llm:
    def __init__(self, options: LlmOptions, contract: _Contract) -> None:
        self._options = options
        self._contract = contract

    def run(self, state: RunState) -> End | None:
        options = self._options
        request, given = self._request(state)
        answer = self._answer(state, request, given)
        review = options.review
        if review is not None and (
            review.when is None or self._holds(state, review.when, answer)
        ):
            answer = self._reviewed(state, answer, review.meanwhile == "continue")
        state.aside[options.into] = answer
        return None

    def _answer(self, state: RunState, request: dict[str, Any], given: list[str]) -> Any:
        """The first answer that nothing is wrong with."""
        turns: list[tuple[str, str]] = []
        wrong = ""
        for _ in range(self._options.retries + 1):
            verb = CONVERSE if self._contract.granted.get("tools") else VERB
            outcome = msgspec.json.decode(state.ask(verb, _json({**request, "turns": turns})))
            text, given = str(outcome["text"]), [*given, *outcome.get("given", ())]
            try:
                answer = parse_json(text.encode())
                wrong = self._wrong(state, answer, given)
            except ContentInvalid:
                wrong = "the answer is no JSON"
            if not wrong:
                return answer
            turns.append((text, wrong))
        raise Permanent(f"no answer of the model fits: {wrong} [llm.invalid]")

    def _wrong(self, state: RunState, answer: Any, given: list[str]) -> str:
        """What is wrong with an answer, in words that hold none of it."""
        if broken := self._contract.rules.broken(answer):
            return str(broken[0].text)
        listed: set[str] = set(self._contract.closed)
        if self._options.checks is not None:
            for table in self._options.checks.tables:
                listed.update(state.context.tables[table].rows)
        at = grounding.news(answer, given, listed)
        if at != "none":
            return f"{at} holds an identifier that the message does not have"
        checks = self._options.checks
        if checks is not None and not self._holds(state, checks, answer):
            return "the checks of the step do not hold"
        return ""

    def _holds(self, state: RunState, condition: Condition, answer: Any) -> bool:
        """Whether it holds once the answer is put aside; it is taken back."""
        into, before = self._options.into, dict(state.aside)
        state.aside[into] = answer
        try:
            return condition.holds(state.context)
        finally:
            state.aside.clear()
            state.aside.update(before)

    def _reviewed(self, state: RunState, answer: Any, meanwhile: bool) -> Any:
        """What a person made of it. Raises Permanent when it was rejected."""
        asked = {"answer": answer, "into": self._options.into}
        outcome = parse_json(state.ask(MEANWHILE if meanwhile else REVIEW, _json(asked)))
        if outcome["verdict"] == "rejected":
            raise Permanent("a person rejected the answer [llm.rejected]")
        if outcome["verdict"] == "edited" and self._contract.rules.broken(outcome["answer"]):
            raise Permanent("what a person wrote does not fit the schema [llm.invalid]")
        return outcome["answer"]

    def _request(self, state: RunState) -> tuple[dict[str, Any], list[str]]:
        """What the engine is asked, the same each time; and the texts that the model has."""
        options, contract = self._options, self._contract
        phi = options.phi
        identifiers = (
            identifying.told(state.origin, state.body) if phi == "deidentified" else []
        )
        granted = contract.granted
        around = ([("", one) for one in granted.get(at, ())] for at in ("before", "after"))
        before, after = around
        parts = [*before, *_parts(contract.prompt, state, phi), *after]
        given = [text for _, text in parts]
        request = {
            "parts": parts,
            "prompt": contract.digest,
            "schema": contract.schema,
            "phi": phi,
            "model": [options.model.provider, options.model.model] if options.model else [],
            "timeout": options.timeout,
            "budget": _budget(options.budget),
            "identifiers": identifiers,
            "detect": options.detect,
            "patient": identifying.patient(state.origin, identifiers, state.context),
            **(_message(state.body) if "hl7_read" in granted.get("tools", ()) else {}),
        }
        return request, given


def _parts(prompt: Template, state: RunState, phi: str) -> list[tuple[str, str]]:
    """(kind, text): empty kind for what the file says, else the kind of the value."""
    if phi == "deidentified" and state.body.kind not in identifying.MAPPED:
        raise Permanent(f"nothing can de-identify {state.body.kind} content; see phi")
    return [
        ("", text) if place is None else (identifying.kind_of(place, state.context), text)
        for place, text in prompt.pieces(state.context)
    ]


def _budget(budget: Budget | None) -> tuple[int | None, float, int | None] | None:
    return (budget.tokens, budget.per, budget.cost) if budget else None


def _message(body: Body) -> dict[str, Any]:
    """The message for `hl7.read`, as it is here. Raises Permanent for one that is too large."""
    if not isinstance(body, Hl7Body):
        return {}
    content = body.content()
    if len(content) > _LARGEST_MESSAGE:
        raise Permanent(
            f"a message over {_LARGEST_MESSAGE >> 20} MiB is too large for hl7.read"
        )
    return {"message": content, "policy": body.message.view.policy}


_ENCODER = msgspec.json.Encoder(order="sorted", decimal_format="number")


def _json(value: Any) -> bytes:
    return _ENCODER.encode(value)


def _build(options: Any, build: Build) -> _Llm:
    prompt, schema = _file(build.root, options.prompt), _file(build.root, options.output)
    try:
        template = Template.parse(prompt.decode("utf-8"))
    except UnicodeDecodeError:
        raise ValueError(f"{options.prompt} is not UTF-8") from None
    except (ValueError, PathInvalid) as error:
        raise ValueError(f"{options.prompt}: {error}") from None
    try:
        # By name: only sites that ask a model load what reads schemas.
        found = importlib.import_module("portico.steps.jsonrules")
        rules, whole = found.JsonRules(schema), parse_json(schema)
    except (ValueError, MessageError) as error:
        raise ValueError(f"{options.output}: {error}") from None
    if not isinstance(whole, dict) or whole.get("type") != "object":
        raise ValueError(f"{options.output}: the answer is an object; say 'type': 'object'")
    for wrong in _misplaced(template, options.phi):
        raise ValueError(wrong)
    digest = blake2b(prompt, digest_size=16).hexdigest()
    closed = frozenset(grounding.closed(whole))
    plain = msgspec.json.decode(schema)
    contract = _Contract(template, digest, rules, plain, closed, build.granted)
    return _Llm(options, contract)


def _misplaced(template: Template, phi: str) -> Iterator[str]:
    """Places that the prompt may not have."""
    for place in template.places:
        if phi == "none" and not identifying.safe(place):
            yield f"the prompt places {{{place}}}, which phi: none forbids; " + (
                "only codes may leave (docs/llm.md); say phi: deidentified or allowed"
            )
        if isinstance(place, Hl7Place) and place.path.field is None:
            yield f"the prompt places the segment {{{place}}}; name its fields"


def _file(root: Path, name: str) -> bytes:
    """A file of the site. Raises ValueError."""
    path = (root / name).resolve()
    if not path.is_relative_to(root.resolve()):
        raise ValueError(f"{name} is not below the site")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{name}: {error.strerror}") from None
    if len(content) > _LARGEST:
        raise ValueError(f"{name} is larger than {_LARGEST >> 10} KiB")
    return content


LLM = StepType("llm", "Has a language model read and answer by a schema", LlmOptions, _build)
