"""portico.llm.recording: an answer that was recorded here is found in another installation."""

from portico.llm import recording
from portico.llm.deidentify import Deidentifier
from portico.llm.script import Script

NOTE = "Quill called about Marsh on 20260131, Quill again on 20260201"


def prompt(key, mark):
    """What leaves under this key; and how to put it back."""
    veil = Deidentifier(key, "p", [("name", "Quill"), ("name", "Marsh"), ("date", "20260131")])
    return f"Who? <data-{mark}>{veil.out('free', NOTE)}</data-{mark}>", veil


def test_an_answer_is_found_under_another_key_and_speaks_of_the_same_people():
    """Tokens are numbered as they come, so that they can be put back there."""
    here, _ = prompt(b"a" * 32, "0123456789ab")
    there, veil = prompt(b"b" * 32, "ba9876543210")
    script = Script("recorded")
    script.record(here, {"who": ["NAME_2", "NAME_9"], "NAME_1": "NAME_1 called"})

    answer = script.act(there, {}).answer

    assert veil.back_in(answer) == {"who": ["Marsh", "NAME_9"], "NAME_1": "Quill called"}


def test_another_prompt_is_another_answer():
    """Or the first of the script's that fits the schema, or none."""
    script = Script("recorded", answers=[{"b": 1}, {"a": 1}])
    schema = {"properties": {"a": {"type": "integer"}}}
    script.record("Who?", {"a": 7})

    assert script.act("Who?", schema).answer == {"a": 7}
    assert script.act("Who else?", schema).answer == {"a": 1}
    assert script.act("Who else?", {"properties": {"c": {}}}).status == 404
    assert recording.digest("on 20260131") == recording.digest("on 2026-01-30")
    assert recording.digest("on 3.4.1978") == recording.digest("on 12.11.1977")
    assert recording.digest("value 5") != recording.digest("value 6")
