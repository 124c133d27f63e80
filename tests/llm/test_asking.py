"""portico.llm.asking: what leaves for a provider, and what its answer says once put back."""

import json

import pytest

from portico.llm import asking
from portico.llm.asking import Past, Question
from portico.llm.contract import Use
from portico.llm.deidentify import Deidentifier

KEY = b"k" * 32


def veil(*about):
    """One prompt's tokens."""
    return Deidentifier(KEY, "4711", about)


@pytest.mark.parametrize(
    "name", ['Robert "Bob" Fox', "CLINIC\\nfox", "Anna\tFox", "Fox\nAnna", "Großmann"]
)
def test_a_value_is_put_back_in_json_as_json_spells_it(name):
    """A quote, a backslash or a line break of a name neither breaks the answer nor changes."""
    one = veil(("name", name))
    token = one.out("free", f"seen: {name}.").removeprefix("seen: ").removesuffix(".")

    said = asking.back(one, json.dumps({"who": f"{token}, ill", "dose": 1}))

    assert json.loads(said) == {"who": f"{name}, ill", "dose": 1}


def test_the_rest_of_an_answer_stays_as_it_is():
    """Decimals with their zeros, dates that are figures alone, and what is no JSON."""
    one = veil(("date", "20260201"))
    moved = one.out("date", "20260201")

    assert asking.back(one, f'{{"at":{moved},"dose":2.10}}') == '{"at":20260201,"dose":2.10}'
    assert asking.back(one, f"on {moved}") == "on 20260201"


def test_what_a_model_said_leaves_again_without_the_patient():
    """An answer that was wrong, and the arguments of a tool, where JSON spells a line break."""
    said = json.dumps({"note": "seen:\nFox\tFOX"})
    wanted = Question(
        parts=[("", "Read.")],
        prompt="p",
        schema={},
        phi="deidentified",
        model=[],
        timeout=1.0,
        budget=None,
        identifiers=[("name", "Fox")],
        patient="4711",
        turns=[(said, "it does not fit")],
        rounds=(Past("", (Use("1", "find", said),), ((("free", said),),)),),
    )

    request = asking.request(wanted, "m", asking.veil(wanted, lambda: KEY))

    assert "fox" not in repr(request.rounds).lower()
