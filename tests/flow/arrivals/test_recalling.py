"""What is read back from the journal after its agents got other names."""

from dataclasses import replace
from functools import partial

import pytest
from msgspec import structs

from portico.flow.arrivals.recalling import REPLAY, VERSIONS
from portico.journal.contract import Recovered
from portico.language.content import encode_json
from portico.model.verdict import Emission
from portico.policy.routing import Rules


@pytest.fixture
async def recall(start):
    """What is left to do of a Signal that says this of itself and that `now` has concluded, on
    a site whose agent `then` is called `now` since it was journaled."""
    engine = await start()
    engine.send("m1", "7")
    engine.journal.commit()
    (original, *_) = engine.journal.signals.values()
    recaller = replace(engine.recaller, agent={"then": "now"}.get)

    def left(about, concluded=("now",)):
        signal = structs.replace(original, flags=(REPLAY,), about=encode_json(about))
        run = recaller.recall(Recovered(9, signal, concluded, 0, (), ("deliver",)), None)
        return run and (run.todo, run.editions)

    return left


async def test_what_an_agent_has_concluded_it_has_concluded_under_its_new_name(recall):
    """A replay as recorded names its agents as they were called: it is not run twice."""
    about = {VERSIONS: {"then": "v1"}}

    assert recall(about) is None
    assert recall(about, ()) == ({"now"}, {"now": "v1"})


async def test_what_an_agent_emits_is_read_in_the_character_set_of_its_origin(start):
    """Else search would not know its patient, and agents that ask for a name would miss it."""
    engine = await start()
    engine.send()
    (parent,) = [one.signal for one in engine.journal.pending]
    rules = partial(Rules, charset="8859/1")
    recaller = replace(engine.recaller, rules=rules)
    content = "MSH|^~\\&|A||||2026||ADT^A01|1|P|2.5\rPID|1||Ä7||Müller\r".encode("latin-1")

    assert recaller.emitted(parent, Emission("more", content, None)).signal.patient == "Ä7"
    assert engine.recaller.emitted(parent, Emission("more", content, None)).signal.patient == ""
