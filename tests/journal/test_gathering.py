"""portico.journal.gathering: what one flush takes of each line."""

from types import SimpleNamespace

from portico.ids import SignalId
from portico.journal import gathering
from portico.journal.contract import Act, Conclusion, Mark, SessionRow
from portico.journal.gathering import Gathering
from portico.model.delivery import Answered, Attempt
from portico.model.signal import Signal

ID = SignalId(bytes(16))
LARGE = bytes(gathering.MOST_BYTES // 4)


def nothing(*_):
    """Nobody hears of it."""


def pending(content=LARGE):
    """A Signal that arrives."""
    return SimpleNamespace(signal=Signal(ID, "adt", 0, content, b""))


def conclusion(**more):
    """The end of a session."""
    return Conclusion(ID, "adt", 1, SessionRow(1, "a", "", "deliver", 0), nothing, **more)


def mark(answer=b""):
    """The end of an attempt."""
    attempt = Attempt(Answered.ANSWERED, "AA", answer)
    return Mark(ID, 1, "his", 1, "delivered", 1, 0, attempt, nothing)


def test_large_messages_that_keep_coming_hold_up_nothing_else():
    """Fifty senders of scanned letters have more under way than a flush takes, for hours: what
    agents conclude, and what people do, is stored meanwhile."""
    lines = Gathering()
    lines.arrived.extend(pending() for _ in range(50))
    lines.conclusions.append(conclusion())
    lines.marks.append(mark())
    lines.acts.append(Act((), nothing, nothing))

    batch = lines.next(1)
    sizes = len(batch.arrived), len(batch.conclusions), len(batch.marks), len(batch.acts)
    assert sizes == (4, 1, 1, 1)


def test_all_that_is_stored_counts():
    """What agents emit and what channels answer with; what destinations have answered."""
    lines = Gathering()
    lines.conclusions.extend(conclusion(emitted=(pending(), pending())) for _ in range(9))
    lines.marks.extend(mark(LARGE) for _ in range(9))
    batch = lines.next(1)
    assert (len(batch.conclusions), len(batch.marks)) == (2, 4)


def test_one_at_a_time_is_one_of_all_lines():
    """While a row that the database refuses is looked for."""
    lines = Gathering()
    lines.arrived.append(pending(b""))
    lines.conclusions.append(conclusion())
    lines.marks.append(mark())
    lines.alone = 3
    assert [lines.next(n).size for n in range(3)] == [1, 1, 1]
    assert not len(lines) and not lines.alone
