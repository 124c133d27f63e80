"""portico.agents.match: which agents answer a Signal."""

from portico.agents.match import Matcher
from portico.language.condition import Condition
from portico.language.content import open_content
from portico.language.context import Context


def matcher(**agents):
    return Matcher({name: Condition.parse(on) for name, on in agents.items()})


def test_agents_of_the_channel_answer_in_their_order():
    """By type, by list, by any of several conditions."""
    found = matcher(
        z={"channel": "adt", "type": "ADT^A0*"},
        b={"channel": ["adt", "lab"]},
        c={"channel": "lab"},
        d=[{"channel": "lab"}, {"signal": "urgent"}],
        a={"type": "ADT^*"},
    )

    def names(**envelope):
        return found.matching(Context(None, envelope))

    assert names(channel="adt", type="ADT^A01") == ("z", "b", "a")
    assert names(channel="lab", type="ORU^R01") == ("b", "c", "d")
    assert names(channel="other", type="ADT^A01") == ("a",)
    assert names(signal="urgent", type="") == ("d",)
    assert names(signal="other", type="") == ()


def test_a_message_meets_only_the_agents_of_its_channel():
    """A condition on content of another channel is never asked."""
    found = matcher(mine={"channel": "mine"}, other={"channel": "other", "/a": "x"})
    broken = Context(open_content("json", b"{"), {"channel": "mine"})

    assert found.matching(broken) == ("mine",)


def test_who_may_answer_is_known_without_the_content():
    """Where channel, signal and type decide, exactly; where content does, it may."""
    found = matcher(
        typed={"channel": "adt", "type": "ADT^A0*"},
        other={"channel": "lab"},
        content={"channel": "adt", "PV1-2": "I"},
        flagged={"channel": "adt", "flags": "replay"},
        signal={"signal": "urgent"},
    )
    assert found.possible("adt", "ADT^A01") == {"typed", "content", "flagged"}
    assert found.possible("adt", "ORU^R01") == {"content", "flagged"}
    assert found.possible("signal:urgent", "") == {"signal"}
    assert found.possible("signal:other", "") == found.possible("other", "") == frozenset()
