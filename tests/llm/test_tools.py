"""portico.llm.tools: what built-in tools give, and what they keep to themselves."""

import msgspec
import pytest

from portico.hl7.view import MessageView
from portico.language.tables import parse
from portico.llm.contract import ToolFailed
from portico.llm.tools import session_files
from portico.llm.tools.contract import ToolDesk
from portico.llm.tools.table import BUILTINS
from portico.steps.jsonrules import JsonRules

MESSAGE = (
    b"MSH|^~\\&|HIS|ST|LAB|ST|2026||ORU^R01|1|P|2.5.1\r"
    b"PID|1||4711^^^ST^MR||Muster^Max||19800131|M\r"
    b"OBX|1|TX|A||first\rOBX|2|TX|B||second\r"
)
TABLE = parse("wards", b"ward,name\nN,North wing\nS,South wing\n")


class JournalTwin:
    """No Signal but one."""

    async def signals(self, asked):
        """As flow.sessions.history."""
        return [{"id": "1", **asked}]

    async def signal(self, name):
        """As flow.sessions.history."""
        return {"id": name} if name.startswith("0") else None


def desk(phi="deidentified", message=MESSAGE):
    """What the tools see."""
    view = MessageView(message) if message else None
    return ToolDesk(phi, view, {"wards": TABLE}, JournalTwin())


async def gives(call, at=None, **arguments):
    """Its text, after its own schema was asked."""
    tool = BUILTINS[call]
    assert JsonRules(msgspec.json.encode(tool.schema)).broken(arguments) == []
    return "".join(text for _, text in await tool.run(at or desk(), arguments))


async def test_places_and_segments_are_explained():
    """By the message's version."""
    assert '"Patient Name"' in await gives("hl7.name", path="PID-5")
    assert '"PID-5":"Patient Name (XPN)"' in await gives("hl7.explain", segment="PID")


async def test_places_of_the_message_are_read_by_their_kind():
    """A name is told from free text, so that it is replaced before it leaves."""
    read = BUILTINS["hl7.read"].run

    assert (await read(desk(), {"path": "PID-5.1"}))[0] == ("name", "Muster")
    assert await gives("hl7.read", path="OBX[*]-5") == "first\nsecond\n"
    assert await gives("hl7.read", path="PID-30") == "there is nothing at PID-30"


@pytest.mark.parametrize("path", ["PID-5", "PID-3.1", "OBX-5", "PID[5.1=Muster]-8", "ZPI-1"])
async def test_codes_alone_are_read_where_nothing_of_a_patient_may_leave(path):
    """Nor may a question ask whether a name stands there."""
    with pytest.raises(ToolFailed, match="could tell a patient"):
        await gives("hl7.read", desk("none"), path=path)
    assert await gives("hl7.read", desk("none"), path="PID-8.1") == "M\n"


@pytest.mark.parametrize(
    ("call", "arguments", "text"),
    [
        ("hl7.name", {"path": "patient"}, "patient"),
        ("hl7.name", {"path": "ZZZ-1"}, "no version of the standard"),
        ("hl7.read", {"path": "PID"}, "name a field"),
        ("hl7.explain", {"segment": "ZZZ"}, "no version of the standard"),
        ("code_tables.get", {"table": "wards", "key": "X"}, "no such key"),
        ("code_tables.find", {"table": "none", "words": "x"}, "there are: wards"),
        ("journal_search.show", {"id": "1" * 32}, "no such Signal"),
        ("session_files.read", {"name": "none"}, "no such file"),
    ],
)
async def test_what_cannot_be_done_is_said(call, arguments, text):
    """The model can do better next time."""
    with pytest.raises(ToolFailed, match=text):
        await gives(call, **arguments)


async def test_a_message_that_is_no_hl7_cannot_be_read():
    """Nor can none."""
    with pytest.raises(ToolFailed, match="no HL7"):
        await gives("hl7.read", desk(message=b""), path="PID-5")


async def test_tables_are_listed_searched_and_looked_up():
    """By words in any cell, or by key."""
    assert await gives("code_tables.list") == '{"wards":["ward","name","2 rows"]}'
    assert "South" in await gives("code_tables.find", table="wards", words="WING south")
    assert '"N"' not in await gives("code_tables.find", table="wards", words="WING south")
    assert await gives("code_tables.get", table="wards", key="N") == (
        '{"ward":"N","name":"North wing"}'
    )


async def test_the_journal_is_asked_for_states_alone():
    """What it may tell is flow.sessions.history's."""
    assert "parked" in await gives("journal_search.find", state="parked", limit=3)
    assert "01" in await gives("journal_search.show", id="01" * 16)


async def test_files_live_as_long_as_their_conversation_and_within_bounds():
    """Written, listed, read; so many, so large."""
    at = desk()
    await gives("session_files.write", at, name="note", text="Max is ill")
    assert await gives("session_files.read", at, name="note") == "Max is ill"
    assert await gives("session_files.list", at) == "note 10 characters\n"

    for number in range(session_files.MOST - 1):
        await gives("session_files.write", at, name=f"n{number}", text="x")
    with pytest.raises(ToolFailed, match="files already"):
        await gives("session_files.write", at, name="more", text="x")
    for name in ("n0", "n1", "n2", "n3"):
        text = "x" * session_files.LARGEST
        if name == "n3":
            with pytest.raises(ToolFailed, match="at most"):
                await gives("session_files.write", at, name=name, text=text)
        else:
            await gives("session_files.write", at, name=name, text=text)
