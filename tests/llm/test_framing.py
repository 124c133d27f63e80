"""portico.llm.framing: data stand apart from instructions."""

import re

from hypothesis import given
from hypothesis import strategies as st

from portico.llm.framing import framed


@given(st.lists(st.tuples(st.sampled_from(["", "free"]), st.text()), max_size=5))
def test_no_data_can_close_their_own_mark(parts):
    """The mark is a digest of all of them."""
    system, prompt, _ = framed(parts)
    [mark] = set(re.findall(r"<(data-[0-9a-f]{12})>", system))

    assert prompt.count(f"</{mark}>") == sum(1 for kind, _ in parts if kind)


@given(st.lists(st.lists(st.tuples(st.sampled_from(["", "free"]), st.text()), max_size=3)))
def test_what_a_tool_gave_cannot_close_its_mark_either(told):
    """It is data as the message is."""
    system, _, said = framed([("free", "x")], told, tools=True)
    [mark] = set(re.findall(r"<(data-[0-9a-f]{12})>", system))

    assert len(said) == len(told)
    assert "".join(said).count(f"</{mark}>") == sum(1 for each in told for k, _ in each if k)
