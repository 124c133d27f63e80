"""What a simulated model says: a script of acts, for `sim` and for its HTTP twin.

A script is a JSON file: {"way": ..., "answers": [...], "delay": seconds, "faults": [...]}.
way: `random` (true to the schema, by a seed that the prompt decides; the default), `fixed` and
`sequence` (the answers, the last of a sequence for ever), `echo` (every text of the schema
holds the prompt's data), `attacker` (does what the data tell it, see obey), `recorded`
(answers by the prompt's digest, see llm/recording.py; else the first of `answers` that has no
other keys than the schema; else HTTP 404). An answer that is a list is one for each
round of a conversation, the last for ever; {"$call": [{"tool": NAME, "with": {...}}]} calls
tools instead. faults: of the first calls, in order: a status such as 429, `slow`, `cut`,
`garbage`, or null.
"""

import base64
import contextlib
import hashlib
import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from portico.errors import ConfigError
from portico.llm import recording
from portico.llm.contract import Round, Tool, Use

WAYS = ("random", "fixed", "sequence", "echo", "attacker", "recorded")
_SLOW = 3600.0
_ORDER = re.compile(
    r"(?:ignore|disregard|answer|reply|output|respond|say|write|set)\b.*", re.I | re.S
)
_BREAK = re.compile(r"\n|\\\.br\\|</?data-[0-9a-f]+>")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{16,}={0,2}")
_OBJECT = re.compile(r"\{.*\}", re.S)
_TOOL_ORDER = re.compile(r"call (?:the )?tool ([\w.-]+)(?: with (\{[^}]*\}?))?", re.I)
CALL = "$call"


@dataclass(frozen=True, slots=True)
class ScriptedAnswer:
    """One answer. text: instead of `answer`, as it stands. delay: seconds. cut: the connection
    ends in the middle. uses: tools that are called instead."""

    answer: Any = None
    text: str | None = None
    status: int = 200
    delay: float = 0.0
    cut: bool = False
    uses: tuple[Use, ...] = ()


@dataclass(slots=True)
class Script:
    """Acts, one after the other. recorded: answers by `digest`."""

    way: str = "random"
    answers: list[Any] = field(default_factory=list)
    delay: float = 0.0
    faults: list[Any] = field(default_factory=list)
    recorded: dict[str, Any] = field(default_factory=dict)
    calls: int = 0

    def act(
        self,
        prompt: str,
        schema: Mapping[str, Any],
        model: str = "",
        tools: Sequence[Tool] = (),
        rounds: Sequence[Round] = (),
    ) -> ScriptedAnswer:
        """The next. model: a way, when it is one: it goes before the script's. tools: what may
        be called; rounds: of the conversation before."""
        number = self.calls
        self.calls += 1
        fault = self.faults[number] if number < len(self.faults) else None
        if isinstance(fault, int):
            return ScriptedAnswer(status=fault, delay=self.delay)
        if fault == "slow":
            return ScriptedAnswer(delay=_SLOW)
        if fault == "cut":
            return ScriptedAnswer(cut=True)
        if fault == "garbage":
            return ScriptedAnswer(text='{"half": [tru', delay=self.delay)
        way = model if model in WAYS else self.way
        if way == "attacker" and (use := ordered(prompt, rounds)) is not None and tools:
            return ScriptedAnswer(delay=self.delay, uses=(use,))
        if way == "random" and tools and len(rounds) < _seed(prompt) % 3:
            return ScriptedAnswer(delay=self.delay, uses=(_picked(tools, prompt, len(rounds)),))
        act = self._said(way, prompt, schema, number, len(rounds))
        return _calling(act, len(rounds)) if tools else act

    def _said(
        self, way: str, prompt: str, schema: Mapping[str, Any], number: int, rounds: int
    ) -> ScriptedAnswer:
        if way in ("fixed", "sequence"):
            at = 0 if way == "fixed" else min(number, len(self.answers) - 1)
            return ScriptedAnswer(_of_round(self.answers[at], rounds), delay=self.delay)
        if way == "recorded":
            known = self.recorded.get(recording.digest(prompt), self._else(schema))
            said = _of_round(recording.told(known, prompt), rounds)
            return ScriptedAnswer(
                said, delay=self.delay, status=200 if said is not None else 404
            )
        if way == "echo":
            return ScriptedAnswer(filled(schema, random.Random(0), prompt), delay=self.delay)  # noqa: S311
        if way == "attacker":
            return ScriptedAnswer(text=obey(prompt, schema), delay=self.delay)
        chance = random.Random(_seed(prompt))  # noqa: S311  no secret
        return ScriptedAnswer(filled(schema, chance), delay=self.delay)

    def _else(self, schema: Mapping[str, Any]) -> Any:
        """The first answer whose keys the schema has: of what is not recorded."""
        keys = set(schema.get("properties") or ())
        fit = (one for one in self.answers if isinstance(one, dict) and keys >= set(one))
        return next(fit, None)

    def record(self, prompt: str, answer: Any) -> None:
        """Keep an answer to be given again."""
        self.recorded[recording.digest(prompt)] = answer


def _seed(prompt: str) -> int:
    return int.from_bytes(hashlib.sha256(prompt.encode()).digest()[:8], "big")


def _of_round(answer: Any, rounds: int) -> Any:
    """Of answers for each round the one whose turn it is."""
    return answer[min(rounds, len(answer) - 1)] if isinstance(answer, list) else answer


def _calling(act: ScriptedAnswer, rounds: int) -> ScriptedAnswer:
    """With the calls of tools that the answer stands for."""
    if not isinstance(act.answer, dict) or CALL not in act.answer:
        return act
    uses = tuple(
        Use(f"call_{rounds}_{number}", one["tool"], json.dumps(one.get("with", {})))
        for number, one in enumerate(act.answer[CALL])
    )
    return replace(act, uses=uses)


def _picked(tools: Sequence[Tool], prompt: str, rounds: int) -> Use:
    """A call that fits the schema of one of them."""
    chance = random.Random(_seed(prompt) + rounds)  # noqa: S311  no secret
    tool = chance.choice(tools)
    return Use(f"call_{rounds}_0", tool.name, json.dumps(filled(tool.schema, chance)))


def ordered(prompt: str, rounds: Sequence[Round]) -> Use | None:
    """The call of a tool that the data order, in the prompt or in what a tool gave: its
    arguments as they stand there."""
    told = "".join(one for each in rounds for one in each.told)
    found = _TOOL_ORDER.search(prompt + told)
    if found is None:
        return None
    return Use(f"call_{len(rounds)}_0", found[1], found[2] or "{}")


def refused(act: ScriptedAnswer, prompt: str) -> str:
    """Why an act is no answer."""
    if act.status == 404:
        return f"no answer is recorded for {recording.digest(prompt)}"
    return f"HTTP {act.status}"


def load(path: Path | None) -> Script:
    """The script of a file; without one, the default. Raises ConfigError."""
    if path is None:
        return Script()
    try:
        said = json.loads(path.read_bytes())
        made = Script(**said)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"{path.name} is no script: {type(error).__name__}") from None
    if made.way not in WAYS or (made.way in ("fixed", "sequence") and not made.answers):
        raise ConfigError(f"{path.name}: way is one of {', '.join(WAYS)}; fixed needs answers")
    return made


def obey(prompt: str, schema: Mapping[str, Any]) -> str:
    """What a model says that does whatever the data tell it: a JSON object that stands in them
    is the answer, word for word; else each text of the schema holds the order."""
    told = next(
        (order[0] for text in _readings(prompt) if (order := _ORDER.search(text))), prompt
    )
    found = _OBJECT.search(told)
    if found is not None:
        return found[0]
    return json.dumps(filled(schema, random.Random(1), told[:2000], loose=True))  # noqa: S311


def _readings(prompt: str) -> Iterator[str]:
    """The data as they stand, with their lines joined, decoded from base64; then the prompt."""
    data = prompt.partition("<data-")[2]
    yield from (data, _BREAK.sub("", data))
    for run in _BASE64.findall(data):
        with contextlib.suppress(ValueError):
            yield base64.b64decode(run, validate=True).decode()
    yield prompt


def filled(
    schema: Any, chance: random.Random, text: str | None = None, loose: bool = False
) -> Any:
    """A value that fits a schema. text: of free texts. loose: of closed lists, too."""
    if not isinstance(schema, Mapping):
        return text or "x"
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return text if loose and text else chance.choice(schema["enum"])
    kind = schema.get("type", "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {
            key: filled(each, chance, text, loose)
            for key, each in (schema.get("properties") or {}).items()
        }
    if kind == "array":
        most = min(schema.get("maxItems", 2), 3)
        count = max(schema.get("minItems", 0), chance.randint(0, most))
        return [filled(schema.get("items"), chance, text, loose) for _ in range(count)]
    return _scalar(kind, schema, chance, text)


def _scalar(
    kind: str, schema: Mapping[str, Any], chance: random.Random, text: str | None
) -> Any:
    if kind == "boolean":
        return chance.random() < 0.5
    low, high = schema.get("minimum", 0), schema.get("maximum", 1)
    if kind == "integer":
        return chance.randint(int(low), max(int(low), int(high)))
    if kind == "number":
        return round(chance.uniform(low, high), 3)
    if kind == "null":
        return None
    said = text if text is not None else chance.choice(("normal", "unclear", "urgent"))
    return said[: schema.get("maxLength", len(said))].ljust(schema.get("minLength", 0), "x")
