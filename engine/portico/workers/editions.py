"""Versions of one agent as workers load them: on trial, then in force."""

from dataclasses import dataclass

from portico.workers.protocol import Load


@dataclass(frozen=True, slots=True)
class CrewTerms:
    """fewest, most: workers kept and allowed. time: seconds for one item. recycle: items
    after which a worker is replaced; 1 gives each item a fresh one. owner: whose quota those
    beyond the fewest count to. weight: its part where agents want more than there may be."""

    fewest: int = 1
    most: int = 4
    time: float = 30.0
    recycle: int = 10_000
    owner: str = ""
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Edition:
    """A plan as workers load it. number: counts up with every proof."""

    number: int
    plan: Load
    terms: CrewTerms


@dataclass(frozen=True, slots=True)
class Proof:
    """A plan that one worker has loaded, and may be put in force."""

    agent: str
    version: str
    token: int
    edition: Edition
