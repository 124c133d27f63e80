"""portico.language.condition and .test: every row of the site reference, section 2."""

import timeit

import pytest

from portico.errors import PathInvalid
from portico.language.condition import Condition
from portico.language.content import open_content
from portico.language.context import Context
from portico.language.place import Place

HOLDING = [
    {"PV1-2": "I"},
    {"type": "ORU^*"},
    {"type": "*R01"},
    {"type": "*R*1"},
    {"PID-5.1": "*"},
    {"PID-5.1": ["X*", "MUSTER"]},
    {"PV1-2": ["O", "I"]},
    {"PV1-2": "I", "channel": "lab_in"},
    [{"PV1-2": "O"}, {"PV1-2": "I"}],
    {"any": [{"PV1-2": "O"}, {"PV1-2": "I"}]},
    {"all": [{"PV1-2": "I"}, {"channel": "lab_in"}, {"PID-8": "M"}]},
    {"not": {"PV1-2": "O"}},
    {"not": [{"PV1-2": "O"}, {"PV1-2": "E"}]},
    {"PV1-2": {"is": "I"}},
    {"PV1-2": {"not": "O"}},
    {"PV1-2": {"not": ["O", "E"]}},
    {"PID-99": {"not": "O"}},
    {"PID-5.1": {"matches": "M[A-Z]+R"}},
    {"PID-5": {"exists": "yes"}},
    {"PID-99": {"exists": "no"}},
    {"PID-10": {"exists": "no"}},
    {"PID-10": {"deleted": "yes"}},
    {"PID-5": {"deleted": "no"}},
    {"OBX-5": {"gt": "5", "lt": "6"}},
    {"OBX-5": {"ge": "5.50", "le": "5.5"}},
    {"PID-7": {"lt": "1990-01-01"}},
    {"PID-7": {"ge": "19800131"}},
    {"MSH-7": {"le": "2026-01-31"}},
    {"finding/code": {"in_table": "codes"}},
    {"PID-8": {"within": "PID-5"}},
    {"OBX[3]-5": {"within": "OBX[*]-5"}},
    {"OBX[*]-2": "TX"},
    {"OBX[*]-2": {"every": ["NM", "ED", "TX"]}},
    {"OBX[*]-99": {"exists": "no"}},
    {"OBX[*]-5": {"ge": "5", "lt": "6"}},
    {"OBX[*]-2": {"not": "ZZ"}},
    {"PV1-2": {"every": "I"}},
    {"flags": "replay"},
    {"finding/confidence": {"lt": "0.9"}},
    {"finding/urgent": "true"},
]
NOT_HOLDING = [
    {"PV1-2": "O"},
    {"type": "ADT^*"},
    {"type": "ORU"},
    {"channel": "lab"},
    {"PID-99": "*"},
    {"PID-99": "x"},
    {"PID-10": "*"},
    {"PID-10": ["x", '"*']},
    {"PV1-2": "I", "channel": "other"},
    {"any": {"PV1-2": "O"}},
    {"all": [{"PV1-2": "I"}, {"PID-8": "F"}]},
    {"not": {"PV1-2": "I"}},
    {"type": {"is": "ORU^*"}},
    {"PV1-2": {"not": "I"}},
    {"PID-5.1": {"matches": "MUST"}},
    {"PID-10": {"exists": "yes"}},
    {"PID-99": {"deleted": "yes"}},
    {"OBX-5": {"gt": "5.5"}},
    {"PV1-2": {"gt": "0"}},
    {"PV1-2": {"lt": "2026-01-01"}},
    {"PID-99": {"lt": "5"}},
    {"PID-5.1": {"in_table": "codes"}},
    {"PID-99": {"in_table": "codes"}},
    {"PID-5": {"within": "PV1-2"}},
    {"PID-99": {"within": "PID-5"}},
    {"OBX[*]-2": {"not": "TX"}},
    {"OBX[*]-2": {"every": "NM"}},
    {"OBX[*]-5.5": {"every": "JVBERg=="}},
    {"ZZZ[*]-1": {"every": {"not": "x"}}},
    {"PID-99": {"every": {"not": "x"}}},
    {"OBX[*]-5": {"ge": "5", "le": "5"}},
    {"flags": "bad_charset"},
    {"file": {"exists": "no"}},
    {"signal": {"exists": "yes"}},
]


@pytest.mark.parametrize("source", HOLDING, ids=str)
def test_it_holds(context, source):
    """Each test of the language, on a message for which it is true."""
    assert Condition.parse(source).holds(context) is True


@pytest.mark.parametrize("source", NOT_HOLDING, ids=str)
def test_it_does_not_hold(context, source):
    """Each test of the language, on a message for which it is false."""
    assert Condition.parse(source).holds(context) is False


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ({"PV1-2": ""}, "exists: no"),
        ({"PV1-2": '""'}, "deleted: yes"),
        ({"PV1-2": []}, "empty list"),
        ({"PV1-2": {}}, "empty test"),
        ({"PV1-2": None}, "expected a text"),
        ({"PV1-2": {"matchs": "x"}}, "did you mean 'matches'"),
        ({"PV1-2": {"lt": "many"}}, "neither a number nor a date"),
        ({"PV1-2": {"exists": "true"}}, "yes or no"),
        ({"PV1-2": {"matches": r"(a)\1"}}, "back-reference"),
        ({"PV1-2": {"matches": "(?=a)b"}}, "look-around"),
        ({"PV1-2": {"in_table": "No Table"}}, "transforms/tables"),
        ({"PV1-2": {"is": ["a"]}}, "one text"),
        ({"pv1-2": "I"}, "PV1-2"),
        ({"any": []}, "empty list"),
        ({"PV1-2": {"not": {"within": "pid-5"}}}, "PID-5"),
        ([], "empty list"),
        ({}, "empty condition"),
        ("PV1-2", "expected a condition"),
    ],
    ids=str,
)
def test_a_wrong_condition_says_what_would_be_right(source, hint):
    """Errors name the place and the way out."""
    with pytest.raises((ValueError, PathInvalid), match=hint):
        Condition.parse(source)


def test_an_error_names_its_place_once():
    """`PV1-2: lt: ...`, whatever the depth."""
    with pytest.raises(ValueError, match=r"^all: PV1-2: lt: 'x' is neither"):
        Condition.parse({"all": [{"PV1-2": {"lt": "x"}}]})


@pytest.mark.parametrize(
    ("number", "shown", "bounds"),
    [
        ("0.0000005", "0.0000005", {"gt": "0", "lt": "0.05"}),
        ("5e-7", "0.0000005", {"gt": "0.0000004", "lt": "0.0000006"}),
        ("1.50E3", "1500", {"ge": "1500", "le": "1500"}),
    ],
)
def test_json_numbers_of_any_spelling_are_compared(number, shown, bounds):
    """A probability of a score is often smaller than Python writes without an exponent."""
    body = open_content("json", f'{{"p": {number}}}'.encode())
    for context in (
        Context(body, {}),
        Context(None, {}, {"a": {"p": body.value["p"]}}),
        Context(None, {}, {"a": {"p": float(number)}}),
    ):
        place = "/p" if context.view else "a/p"
        assert Condition.parse({place: bounds}).holds(context)
    assert Place.parse("/p").text(Context(body, {})) == shown


@pytest.mark.parametrize(
    ("source", "allowed"),
    [
        ({"channel": "a"}, {"channel": {"a"}}),
        ({"channel": ["a", "b"], "type": "ADT^A0*"}, {"channel": {"a", "b"}}),
        ([{"channel": "a"}, {"channel": "b", "PV1-2": "I"}], {"channel": {"a", "b"}}),
        ([{"channel": "a"}, {"signal": "s"}], {}),
        ({"all": [{"channel": ["a", "b"]}, {"channel": "b"}]}, {"channel": {"b"}}),
        ({"not": {"channel": "a"}}, {}),
        ({"channel": {"not": "a"}}, {}),
    ],
)
def test_it_knows_which_words_it_allows(source, allowed):
    """By these the matcher finds the agents of a channel."""
    assert Condition.parse(source).allowed == allowed


def test_it_knows_what_it_reads():
    """Places and tables, those of inner tests too."""
    condition = Condition.parse(
        {"PID-5": {"within": "PID-9"}, "not": {"OBX-3": {"not": {"in_table": "codes"}}}}
    )

    assert {str(place) for place in condition.places} == {"PID-5", "PID-9", "OBX-3"}
    assert condition.tables == {"codes"}


def test_the_envelope_is_asked_before_the_content():
    """A message of another channel is never opened, wherever the words stand."""
    condition = Condition.parse({"/a": "x", "channel": "mine"})
    broken = Context(open_content("json", b"{"), {"channel": "other"})

    assert condition.holds(broken) is False


def test_many_stars_take_linear_time():
    """A hostile text against `*a*a*a*...` ends at once."""
    condition = Condition.parse({"channel": "*a" * 20 + "*b"})
    context = Context(None, {"channel": "a" * 200_000})

    assert timeit.timeit(lambda: condition.holds(context), number=1) < 5


def test_equal_sources_are_equal_conditions():
    """Reload compares sites by value."""
    assert Condition.parse({"PV1-2": "I"}) == Condition.parse({"PV1-2": "I"})
    assert len({Condition.parse({"PV1-2": "I"}), Condition.parse({"PV1-2": "I"})}) == 1
    assert repr(Condition.parse({"PV1-2": "I"})) == "Condition({'PV1-2': 'I'})"
