"""What a simulated model says: a script of acts, for `sim` and for its HTTP twin.

A script is a JSON file: {"way": ..., "answers": [...], "delay": seconds, "faults": [...]}.
way: `random` (true to the schema, by a seed that the prompt decides; the default), `fixed` and
`sequence` (the answers, the last of a sequence for ever), `echo` (every text of the schema
holds the prompt's data), `attacker` (does what the data tell it: see obey), `recorded`
(answers by the prompt's digest, as record keeps them). faults: of the first calls, in order: a
status such as 429, `slow`, `cut`, `garbage`, or null.
"""

import hashlib
import json
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from portico.errors import ConfigError

WAYS = ("random", "fixed", "sequence", "echo", "attacker", "recorded")
_SLOW = 3600.0
_ORDER = re.compile(
    r"(?:ignore|disregard|answer|reply|output|respond|say|write|set)\b.*", re.I | re.S
)
_OBJECT = re.compile(r"\{.*\}", re.S)


@dataclass(frozen=True, slots=True)
class Act:
    """One answer. text: instead of `answer`, as it stands. delay: seconds. cut: the connection
    ends in the middle."""

    answer: Any = None
    text: str | None = None
    status: int = 200
    delay: float = 0.0
    cut: bool = False


@dataclass(slots=True)
class Script:
    """Acts, one after the other. recorded: answers by `digest`."""

    way: str = "random"
    answers: list[Any] = field(default_factory=list)
    delay: float = 0.0
    faults: list[Any] = field(default_factory=list)
    recorded: dict[str, Any] = field(default_factory=dict)
    calls: int = 0

    def act(self, prompt: str, schema: Mapping[str, Any], model: str = "") -> Act:
        """The next. model: a way, when it is one: it goes before the script's."""
        number = self.calls
        self.calls += 1
        fault = self.faults[number] if number < len(self.faults) else None
        if isinstance(fault, int):
            return Act(status=fault, delay=self.delay)
        if fault == "slow":
            return Act(delay=_SLOW)
        if fault == "cut":
            return Act(cut=True)
        if fault == "garbage":
            return Act(text='{"half": [tru', delay=self.delay)
        way = model if model in WAYS else self.way
        return self._said(way, prompt, schema, number)

    def _said(self, way: str, prompt: str, schema: Mapping[str, Any], number: int) -> Act:
        if way in ("fixed", "sequence"):
            at = 0 if way == "fixed" else min(number, len(self.answers) - 1)
            return Act(self.answers[at], delay=self.delay)
        if way == "recorded":
            known = self.recorded.get(digest(prompt))
            return Act(known, delay=self.delay, status=200 if known is not None else 404)
        if way == "echo":
            return Act(filled(schema, random.Random(0), prompt), delay=self.delay)  # noqa: S311
        if way == "attacker":
            return Act(text=obey(prompt, schema), delay=self.delay)
        seed = int.from_bytes(hashlib.sha256(prompt.encode()).digest()[:8], "big")
        return Act(filled(schema, random.Random(seed)), delay=self.delay)  # noqa: S311  no secret

    def record(self, prompt: str, answer: Any) -> None:
        """Keep an answer to be given again."""
        self.recorded[digest(prompt)] = answer


def digest(prompt: str) -> str:
    """What an answer is kept under; the marks around data differ each time and do not count."""
    bare = re.sub(r"data-[0-9a-f]{12}", "data", prompt)
    return hashlib.sha256(bare.encode()).hexdigest()


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
    order = _ORDER.search(prompt.partition("<data-")[2]) or _ORDER.search(prompt)
    told = order[0] if order else prompt
    found = _OBJECT.search(told)
    if found is not None:
        return found[0]
    return json.dumps(filled(schema, random.Random(1), told[:2000], loose=True))  # noqa: S311


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
