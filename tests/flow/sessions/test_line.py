"""Barriers among the order keys of an agent: order, whatever fails (P4)."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portico.flow.runs import Run
from portico.flow.sessions.failing import FailureTerms
from portico.flow.sessions.running import Running, RunningWorld
from portico.flow.sessions.shelf import Shelf
from portico.model import lane as names
from portico.model.signal import Signal
from portico.model.verdict import Failure, Kind, SessionResult
from portico.workers.backlog import NOT_RUN, Outcome

KEYS = "abcd"
DONE = SessionResult(Kind.DELIVER)


class Agent:
    """One agent's Running, on a pool that keeps the order of each group and no other."""

    def __init__(self, time):
        self.time, self.groups, self.concluded, self.queue = time, {}, [], []
        quiet = type("Quiet", (), {"__getattr__": lambda self, name: lambda *a, **k: None})()
        self.running = Running(
            RunningWorld(
                self, self, time, time.later, lambda: 0.5, lambda event: None, quiet,
                lambda signal, emission: None, self.queue.append,
                lambda to, key, signal, number: key, lambda run, output, number: "",
                lambda run: None, lambda agent, run, call, replied: None,
                Shelf(lambda run: None),
            )
        )  # fmt: skip
        self.running.adopt({"a": FailureTerms("v1", most=4.0)})

    def conclude(self, conclusion):
        """As the journal's writer."""
        self.concluded.append(conclusion.waiting)

    def submit(self, agent, item, group, done):
        """As the pool."""
        self.groups.setdefault(group, []).append((int.from_bytes(item.signal), done))

    def start(self, seq, *keys):
        """A Signal of these order keys comes."""
        key = names.joined(keys)
        signal = Signal(seq.to_bytes(16), "adt", 0, b"", b"", order_key=key)
        self.running.start(Run(signal, seq, {"a"}, {}))

    @property
    def out(self):
        """What the pool has, the first of each group first."""
        return {group: [seq for seq, _ in items] for group, items in self.groups.items()}

    def end(self, group, result=DONE):
        """The first of a group ended so; after a failure those behind it come back."""
        items = self.groups[group]
        (_, done), behind = items.pop(0), []
        if result.kind is Kind.FAULT:
            behind, items[:] = items[:], []
        if not items:
            del self.groups[group]
        done(Outcome(result, "v1"))
        for _, back in behind:
            back(NOT_RUN)


def failed(transient=True, hold=False):
    """A session that failed."""
    failure = Failure("step.failed", "no", "s1", transient=transient)
    return SessionResult(Kind.FAULT, failure=failure, hold=hold)


@pytest.fixture
def agent(time):
    """One agent."""
    return Agent(time)


def test_a_barrier_runs_alone_between_what_came_before_and_after(agent):
    """One of each of its keys before it, one behind; a third key does not notice."""
    for seq, keys in enumerate((("a",), ("b",), ("a", "b"), ("b",), ("c",)), 1):
        agent.start(seq, *keys)
    assert agent.out == {"adt\na": [1], "adt\nb": [2], "adt\nc": [5]}

    agent.end("adt\na")
    assert "adt\na\x1fb" not in agent.out
    agent.end("adt\nb")
    assert agent.out["adt\na\x1fb"] == [3]
    assert "adt\nb" not in agent.out

    agent.end("adt\na\x1fb")
    assert agent.out["adt\nb"] == [4]


def test_barriers_that_cross_run_in_the_journals_order(agent):
    """a+b, b+c, c+a: none waits for another in a circle."""
    for seq, keys in enumerate((("a", "b"), ("b", "c"), ("c", "a"), ("a",)), 1):
        agent.start(seq, *keys)
    ran = []
    while agent.out:
        ((group, (seq,)),) = agent.out.items()
        ran.append(seq)
        agent.end(group)

    assert ran == [1, 2, 3, 4]


def test_a_barrier_that_fails_is_tried_again_in_its_place(agent):
    """What stands behind it waits for the retry."""
    agent.start(1, "a", "b")
    agent.start(2, "b")
    agent.end("adt\na\x1fb", failed())
    assert not agent.out

    agent.time.pass_(5)

    assert agent.out == {"adt\na\x1fb": [1]}


def test_a_barrier_that_holds_keeps_all_its_keys_for_a_person(agent):
    """on_error: stop; also after a restart, by the parked row."""
    again = Agent(agent.time)
    again.running.hold("adt", "a", "a\x1fb")
    agent.start(1, "a", "b")
    agent.end("adt\na\x1fb", failed(transient=False, hold=True))
    for one in (agent, again):
        for seq, key in enumerate("abc", 2):
            one.start(seq, key)
        assert one.out == {"adt\nc": [4]}


def test_a_kept_key_keeps_a_barrier_and_the_barrier_its_other_key(agent):
    """Until the retry; then all go on in order."""
    agent.start(1, "a")
    agent.start(2, "a", "b")
    agent.start(3, "b")
    agent.end("adt\na", failed())
    assert not agent.out

    agent.time.pass_(5)
    for group in ("adt\na", "adt\na\x1fb", "adt\nb"):
        agent.end(group)

    assert agent.concluded == [1, 2, 3]


def test_a_barrier_that_a_person_ends_lets_the_next_one_run(agent):
    """Of the same keys, with nothing between them that would say so."""
    agent.start(1, "a", "b")
    agent.start(2, "a", "b")
    agent.end("adt\na\x1fb", failed())
    (attempt,) = agent.running.waiting((1).to_bytes(16))

    agent.running.cancel(attempt, Failure("step.cancelled", "no"))

    assert (agent.concluded, agent.out) == ([1], {"adt\na\x1fb": [2]})


def test_a_key_that_is_held_stays_so_while_its_agent_is_away(agent):
    """on_error: stop; a reload takes the agent from the site, another brings it back."""
    agent.start(1, "a")
    agent.end("adt\na", failed(transient=False, hold=True))
    agent.running.adopt({})
    agent.running.adopt({"a": FailureTerms("v1")})
    agent.start(2, "a")
    agent.start(3, "b")
    assert agent.out == {"adt\nb": [3]}

    agent.running.free("adt", "a", "a")

    assert agent.out == {"adt\nb": [3], "adt\na": [2]}


def test_a_retry_from_before_its_agent_left_frees_no_key_that_a_person_keeps(agent):
    """What waited for it was parked when the agent went; the key is held since it is back."""
    agent.start(1, "a")
    agent.end("adt\na", failed())
    agent.running.adopt({})
    agent.running.adopt({"a": FailureTerms("v1")})
    agent.start(2, "a")
    agent.start(3, "a")
    agent.end("adt\na", failed(transient=False, hold=True))

    agent.time.pass_(60)

    assert (agent.concluded, agent.out) == ([1, 2], {})
    assert not agent.running.waiting((1).to_bytes(16))


def test_a_key_is_held_for_an_agent_that_comes_later(agent):
    """The engine was started while the agent was not in the site."""
    again = Agent(agent.time)
    again.running.hold("adt", "b", "x\x1fy")
    again.running.adopt({"b": FailureTerms("v1")})
    again.running.start(
        Run(Signal((4).to_bytes(16), "adt", 0, b"", b"", order_key="x"), 4, {"b"}, {})
    )

    assert not again.out


def test_an_agent_that_leaves_gives_back_what_waits_behind_barriers(agent):
    """Nothing of it stays in memory."""
    agent.start(1, "a", "b")
    agent.start(2, "a")
    agent.start(3, "b", "c")
    agent.running.adopt({})
    agent.end("adt\na\x1fb")

    assert sorted(agent.concluded) == [1, 2, 3]
    assert not agent.out


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 2**32))
def test_order_holds_for_each_key_and_everything_runs(time, seed):
    """Any keys, any barriers, any order of ends, any failures that pass."""
    chance, agent, keys_of, seq = random.Random(seed), Agent(type(time)()), {}, 0
    while len(agent.concluded) < 80:
        act = chance.choice("saaf t")
        if act == "s" and seq < 80:
            seq += 1
            keys_of[seq] = chance.sample(KEYS, chance.choice((1, 1, 1, 2, 3)))
            agent.start(seq, *keys_of[seq])
        elif act in "af" and agent.out:
            group = chance.choice(sorted(agent.out))
            fails = act == "f" and chance.random() < 0.5
            agent.end(group, failed() if fails else DONE)
        elif act == "t":
            agent.time.pass_(1.0)
        together = [set(keys_of[s]) for group in agent.out.values() for s in group[:1]]
        assert sum(map(len, together)) == len(set().union(*together)), "two of one key run"

    for key in KEYS:
        mine = [one for one in agent.concluded if key in keys_of[one]]
        assert mine == sorted(mine)
    assert not agent.running._lines["a"].crossings
