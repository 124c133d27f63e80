"""portico.hl7.path: the language of places, for HL7."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.errors import PathInvalid
from portico.hl7.path import Path, Select

NUMBER = st.integers(1, 9999)
TEXT = st.text(st.characters(exclude_characters="]", exclude_categories=("Cs",)), min_size=1)


def select(*, places):
    return st.builds(Select, st.lists(NUMBER, min_size=1, max_size=places).map(tuple), TEXT)


@st.composite
def paths(draw):
    """Any path that the grammar can say."""
    which = draw(st.sampled_from(("first", "number", "every", "where", "every where")))
    path = {"segment": draw(st.from_regex(r"[A-Z][A-Z0-9]{2}", fullmatch=True))}
    path["occurrence"] = draw(NUMBER) if which == "number" else None
    path["every"] = which.startswith("every")
    path["where"] = draw(select(places=3)) if which.endswith("where") else None
    if draw(st.booleans()):
        path["field"] = draw(NUMBER)
        rep = draw(st.sampled_from(("whole", "number", "where")))
        path["repetition"] = draw(NUMBER) if rep == "number" else None
        path["repetition_where"] = draw(select(places=2)) if rep == "where" else None
        path["component"] = draw(st.none() | NUMBER)
        path["subcomponent"] = draw(st.none() | NUMBER) if path["component"] else None
    return Path(**path)


@given(paths())
def test_every_path_prints_what_parses_back_to_it(path):
    """parse(str(path)) == path, whatever the path."""
    assert Path.parse(str(path)) == path


@pytest.mark.parametrize(
    "text",
    [
        "PID-5", "PID-3[2].1", "PID-3.4.2", "OBX[3]-5", "ZPI", "PID-3[5=MR].1",
        "OBX[3.1=PDF]-5", "OBX[*]-5", "OBX[*2=ED]-5", "OBX[*2=ED]", "MSH-9.2",
        "PID-3[4.1=A B^C]", "PID-3[4=[]", "OBX[5=A[]-3", "OBX[5=[]-3[1=[].2",
    ],
)  # fmt: skip
def test_the_places_of_the_site_language_parse_and_print_back(text):
    """The shapes of the site reference, section 2."""
    assert str(Path.parse(text)) == text


def test_the_parts_of_a_path_are_told_apart():
    """`OBX[*3.1=PDF]-5[2].4.1` names each part."""
    assert Path.parse("OBX[*3.1=PDF]-5[2].4.1") == Path(
        "OBX",
        every=True,
        where=Select((3, 1), "PDF"),
        field=5,
        repetition=2,
        component=4,
        subcomponent=1,
    )


def test_paths_are_values():
    """Equal texts give equal, hashable paths."""
    assert len({Path.parse("PID-3.1"), Path("PID", field=3, component=1)}) == 1


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("pid-5", "PID-5"),
        ("PID.5.1", "PID-5.1"),
        ("PID-5-1", "PID-5.1"),
        ("/PID-3-1-2", "PID-3.1.2"),
        ("PID5", "PID-5"),
        ("PID-0", "PID-1"),
    ],
)
def test_other_tools_spellings_are_refused_with_ours(text, near):
    """The error says what would be right."""
    with pytest.raises(PathInvalid, match=f"try '{near}'"):
        Path.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "PI", "PIDX-1", "PID-", "PID[]-5", "PID[0]-5", "PID-5.", "PID-5[].1", "PID-3[*].1",
        "PID-3[5=].1", "PID[=X]-5", "PID-5.1.1.1", "PID-99999", "PID-5 ", "PID-٥", "1ID-5",
        "PID-5\n", "PID[**]-1", "PID-3[1.2.3=X]", "PID.1=X",
    ],
)  # fmt: skip
def test_what_is_no_path_is_refused(text):
    """PathInvalid, with a path that would do."""
    with pytest.raises(PathInvalid, match="try '"):
        Path.parse(text)
