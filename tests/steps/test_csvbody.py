"""portico.steps.csvbody: the verbs of the language over CSV."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portico.language.content import Content
from portico.language.csvview import CsvView
from portico.language.place import Place
from portico.steps.body import open_body

FORM = Content("csv", separator=";").plain()
TABLE = 'id;"name";born\r\n1;"Müller";19800131;x\r\n\r\n2;Muster\r\n'.encode()
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))


def out(trial, *steps, given=TABLE):
    """What the steps and a last `send` let out."""
    return trial.out(*steps, given=given, content=FORM)


def test_an_untouched_table_leaves_as_it_came(trial):
    """Read by a condition, and not one byte changed."""
    assert out(trial, {"filter": {"keep": {"/name": "Müller"}}}) is TABLE


def test_map_writes_cells_of_the_first_row(trial):
    """Quotes where they were or are needed; separator and line ends stay."""
    lines = {
        "set": {"/id": "{/name};2"},
        "copy": {"/4": "/born"},
        "format": {"/name": "upper", "/born": {"date": "%Y"}},
    }
    assert out(trial, {"map": lines}) == (
        'id;"name";born\r\n"Müller;2";"MÜLLER";1980;19800131\r\n2;Muster\r\n'.encode()
    )
    assert b'\r\n1;"";' in out(trial, {"map": {"remove": "/name"}})


def test_each_row_is_a_part(trial):
    """Below the names; a short row has absent cells."""
    steps = [
        {"filter": {"keep": {"/born": {"exists": "no"}}}},
        {"map": {"set": {"/born": "{part}"}}},
        {"send": {"to": "lab", "file": "{/id}.csv"}},
    ]
    result = trial.run({"split": {"at": "/", "steps": steps}}, given=TABLE, content=FORM)
    assert [(one.content, one.file) for one in result.outputs] == [
        (b'id;"name";born\r\n2;Muster;2\r\n', "2.csv")
    ]


def test_csv_becomes_hl7_and_json(trial):
    """By `new`, as SITE says."""
    lines = {"new": "ADT^A28^ADT_A05", "set": {"PID-3.1": "{/id}", "PID-5.1": "{/name}"}}
    assert "PID|||1||Müller\r".encode() in out(trial, {"map": lines})
    assert out(trial, {"map": {"new": "json", "set": {"/n": "{/name}"}}}) == (
        '{"n":"Müller"}'.encode()
    )


def test_a_column_that_is_not_there_cannot_be_written(trial):
    """By name; a number beyond the names makes the row longer."""
    result = trial.run({"map": {"set": {"/zip": "x"}}}, given=TABLE, content=FORM)
    assert "no such column" in result.failure.text
    result = trial.run({"map": {"set": {"/id": "x"}}}, given=b"id;n\r\n", content=FORM)
    assert "there is no row" in result.failure.text
    latin = trial.run(
        {"map": {"set": {"/id": "€"}}}, given=TABLE.decode().encode("latin-1"), content=FORM,
        charset={"name": "8859/1"},
    )  # fmt: skip
    assert (latin.failure.code, latin.failure.location) == ("message.text_unencodable", "/id")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXTS, st.sampled_from(["/id", "/name", "/3", "/7"]))
def test_a_text_that_is_set_reads_back_and_moves_nothing(text, place):
    """For any text: separators, quotes and line ends are its own."""
    form = Content.of(FORM)
    body = open_body(form, TABLE).fork()
    body.write(Place.parse(place), text)
    view = CsvView(body.content(), form)
    assert (view.text_at(place) or "") == text
    rows = list(view.rows())
    assert len(rows) == 2 and rows[1].cells == ("2", "Muster")
    others = [other for other in ("/id", "/name", "/born", "/4") if other != place]
    if place == "/3":
        others.remove("/born")
    before = CsvView(TABLE, form)
    assert [view.text_at(other) for other in others] == [before.text_at(o) for o in others]
