"""`portico hl7`: messages in files, looked at without an engine."""

import json

import pytest
from typer.testing import CliRunner

from portico.cli import main

ONE = (
    b"MSH|^~\\&|HIS|HOSP|LAB|L|20260131120000||ADT^A01^ADT_A01|77|P|2.5.1\r"
    b"EVN|A01|20260131120000\r"
    b"PID|1||123^^^HOSP^MR~9^^^STATE^SS||MUSTER^MAX||19800131|M||\"\"\r"
    b"PV1|1|I\rZPI|1|x\\T\\y\r"
)  # fmt: skip
TWO = ONE.replace(b"|77|", b"|78|").replace(b"MUSTER", b"MEIER")
BATCH = b"FHS|^~\\&|A\rBHS|^~\\&|A\r" + ONE + b"\r\n" + TWO + b"BTS|2\rFTS|1\r"


@pytest.fixture
def hl7(tmp_path, monkeypatch):
    """Runs `portico hl7 ARGUMENTS...` where a.hl7, b.hl7 and day.hl7 lie."""
    monkeypatch.chdir(tmp_path)
    for name, content in (("a", ONE), ("b", TWO), ("day", BATCH)):
        (tmp_path / f"{name}.hl7").write_bytes(content)
    command = main.made("hl7")

    def run(*arguments, stdin=b""):
        return CliRunner().invoke(command, list(map(str, arguments)), input=stdin)

    return run


def test_show_names_the_fields_and_masks_the_patient(hl7):
    """Every valued field, each repetition on its own; `--phi` shows all."""
    done = hl7("show", "a.hl7")
    assert done.exit_code == 0
    assert "a.hl7  ADT^A01 77 2.5.1" in done.stdout
    assert "  PID-3[2] Patient Identifier List: 9^^^xxxxx^xx" in done.stdout
    assert "  PID-5 Patient Name: xxxxxx^xxx" in done.stdout
    assert "  PV1-2 Patient Class: I" in done.stdout
    assert "PID-2" not in done.stdout
    assert "MUSTER" not in done.stdout
    assert "  PID-5 Patient Name: MUSTER^MAX" in hl7("show", "--phi", "a.hl7").stdout
    assert "  ZPI-2: x\\T\\y" in hl7("show", "--phi", "a.hl7").stdout


def test_standard_input_and_batches_are_read_too(hl7):
    """B1: each message of a batch is named by its number."""
    done = hl7("show", stdin=BATCH)
    assert done.exit_code == 0
    assert [line for line in done.stdout.splitlines() if "ADT^A01 7" in line] == [
        "-  ADT^A01 77 2.5.1",
        "-#2  ADT^A01 78 2.5.1",
    ]


def test_get_prints_one_line_for_each_match(hl7):
    """Masked, unless the field is open or `--phi` is given; nothing there is exit code 1."""
    assert hl7("get", "PID-5.1", "day.hl7").stdout == "xxxxxx\nxxxxx\n"
    assert hl7("get", "PID-5.1", "day.hl7", "--phi").stdout == "MUSTER\nMEIER\n"
    assert hl7("get", "MSH-10", "a.hl7", "b.hl7").stdout == "77\n78\n"
    assert hl7("get", "ZPI-2", "--phi", "a.hl7").stdout == "x&y\n"
    assert hl7("get", "PID-10", "a.hl7").stdout == '""\n'
    assert hl7("get", "PID-99", "a.hl7").exit_code == 1
    wrong = hl7("get", "PID.5", "a.hl7")
    assert (wrong.exit_code, "try 'PID-5'" in wrong.stderr) == (1, True)


def test_diff_tells_what_differs_and_exits_with_1(hl7):
    """By path, masked unless asked; equal files exit with 0; batches pair by pair."""
    done = hl7("diff", "a.hl7", "b.hl7")
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [
        "a.hl7  MSH-10: '77' -> '78'",
        "a.hl7  PID-5.1: 'xxxxxx' -> 'xxxxx'",
    ]
    assert "'MUSTER' -> 'MEIER'" in hl7("diff", "a.hl7", "b.hl7", "--phi").stdout
    assert json.loads(hl7("diff", "a.hl7", "b.hl7", "--json").stdout)[1] == {
        "message": "a.hl7", "at": "PID-5.1", "before": "xxxxxx", "after": "xxxxx",
        "moved": False,
    }  # fmt: skip
    same = hl7("diff", "day.hl7", "-", stdin=BATCH.replace(b"\r", b"\n"))
    assert (same.exit_code, same.stdout) == (0, "")
    more = hl7("diff", "a.hl7", "day.hl7")
    assert (more.exit_code, "day.hl7 has more messages" in more.stderr) == (1, True)


def test_validate_names_place_and_code(hl7, tmp_path):
    """0 when all is well, 1 when not; every finding, of every message."""
    done = hl7("validate", "day.hl7")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "nothing to report\n")
    (tmp_path / "bad.hl7").write_bytes(
        ONE.replace(b"PV1|1|I\r", b"") + TWO.replace(b"|19800131|", b"|1980131|")
    )
    bad = hl7("validate", "bad.hl7")
    assert bad.exit_code == 1
    assert bad.stdout.splitlines() == [
        "bad.hl7  PV1 is missing  [101]",
        "bad.hl7#2  PID-7.1 is not of type DTM  [102]",
    ]
    assert json.loads(hl7("validate", "--json", "bad.hl7").stdout)[0] == {
        "message": "bad.hl7", "at": "PV1", "code": "101", "text": "PV1 is missing",
    }  # fmt: skip


def test_validate_finds_a_wrong_character_set_type_or_version(hl7):
    """C2, A5: before any structure."""
    for old, new, code in (
        (b"MUSTER", b"M\xdcSTER", "102"),
        (b"2.5.1", b"2.99", "203"),
        (b"ADT^A01^ADT_A01", b"ZZZ^Z01", "200"),
    ):
        done = hl7("validate", stdin=ONE.replace(old, new))
        assert (done.exit_code, f"[{code}]" in done.stdout) == (1, True)
    assert (
        hl7("validate", "--charset", "8859/1", stdin=ONE.replace(b"MU", b"M\xdc")).exit_code
        == 0
    )


def test_validate_goes_on_behind_a_file_that_is_none(hl7, tmp_path):
    """Each file has its say; a text without its place in it is told where."""
    (tmp_path / "none.hl7").write_bytes(b"no message")
    (tmp_path / "latin.hl7").write_bytes(ONE.replace(b"MUSTER", b"M\xdcSTER"))
    done = hl7("validate", "none.hl7", "latin.hl7")

    assert done.exit_code == 1
    assert done.stdout.splitlines() == [
        "none.hl7  something that is no message stands first  [100]",
        "latin.hl7  PID-5: a byte outside the character set ascii  [102]",
    ]


def test_validate_by_a_profile(hl7, tmp_path):
    """An XML profile; what is none is a wrong option."""
    (tmp_path / "p.xml").write_text(
        '<HL7v2xConformanceProfile><HL7v2xStaticDef MsgStructID="X">'
        '<Segment Name="MSH" Usage="R"/><Segment Name="PID" Usage="R"/>'
        "</HL7v2xStaticDef></HL7v2xConformanceProfile>"
    )
    done = hl7("validate", "--profile", "p.xml", "a.hl7")
    assert "a.hl7  EVN is not of X  [100]" in done.stdout
    assert hl7("validate", "--profile", "a.hl7", "a.hl7").exit_code == 2


def test_convert_brings_back_the_same_bytes(hl7, tmp_path):
    """E2: a JSON value a line, and back; one value over many lines is read too."""
    done = hl7("convert", "--to", "json", "day.hl7")
    values = [json.loads(line) for line in done.stdout.splitlines()]
    assert [value["segments"][2]["fields"]["5"]["1"] for value in values] == ["MUSTER", "MEIER"]
    assert hl7("convert", "--to", "hl7", stdin=done.stdout_bytes).stdout_bytes == ONE + TWO
    (tmp_path / "a.json").write_text(json.dumps(values[0], indent=2))
    assert hl7("convert", "--to", "hl7", "a.json").stdout_bytes == ONE
    assert hl7("convert", "--to", "hl7", "a.hl7").exit_code == 1
    assert hl7("convert", "--to", "xml", "a.hl7").exit_code == 2


def test_deid_writes_twins_with_their_envelope(hl7, tmp_path):
    """Consistent within a run; a key makes the next run the same."""
    (tmp_path / "key").write_bytes(b"secret")
    done = hl7("deid", "day.hl7", "--key-file", "key").stdout_bytes
    assert done.startswith(b"FHS|^~\\&|A\rBHS|^~\\&|A\rMSH|")
    assert done.endswith(b"BTS|2\rFTS|1\r")
    assert b"MUSTER" not in done
    ids = [line.split(b"|")[3] for line in done.split(b"\r") if line.startswith(b"PID")]
    assert ids[0] == ids[1] != b"123^^^HOSP^MR~9^^^STATE^SS"
    assert hl7("deid", "day.hl7", "--key-file", "key").stdout_bytes == done
    assert hl7("deid", "day.hl7").stdout_bytes != done


@pytest.mark.parametrize("key", [b"", b"\n"])
def test_deid_wants_a_key_that_is_one(hl7, tmp_path, key):
    """With none, whoever has a list of names finds whom the twins are of."""
    (tmp_path / "key").write_bytes(key)
    done = hl7("deid", "day.hl7", "--key-file", "key")

    assert (done.exit_code, done.stdout) == (2, "")
    assert "key is empty" in done.stderr


@pytest.mark.parametrize(
    "command", ["show", "get PID-5", "validate", "convert --to json", "deid"]
)
def test_what_is_no_message_ends_with_a_reason(hl7, command):
    """Exit codes are those of every command."""
    done = hl7(*command.split(), stdin=b"id;name\r\n1;x\r\n")
    assert (done.exit_code, "stands first" in done.stdout + done.stderr) == (1, True)
    missing = hl7(*command.split(), "no.hl7")
    assert (missing.exit_code, "no.hl7" in missing.stderr) == (2, True)


def test_a_wrong_count_is_told_and_the_messages_are_shown(hl7):
    """B2: looking at a file is lenient."""
    done = hl7("get", "MSH-10", stdin=BATCH.replace(b"BTS|2", b"BTS|3"))
    assert (done.exit_code, done.stdout) == (0, "77\n78\n")
    assert "BTS-1 says 3, messages counted: 2" in done.stderr


async def test_it_runs_as_a_process_in_a_pipe(portico):
    """Bytes in, bytes out."""
    done = await portico("hl7", "get", "PID-5.1", "--phi", stdin=ONE)
    assert (done.code, done.out) == (0, "MUSTER\n")


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_files_in_utf_16_are_read_as_any(hl7, tmp_path, codec):
    """C1: a batch too, with its mark or by the M of its header; twins leave in UTF-8."""
    text = (
        BATCH.decode().replace("MUSTER", "MÜSTER").replace("|P|2.5.1", "|P|2.5.1||||||UTF-16")
    )
    for mark in ("\ufeff", "") if text[0] == "M" else ("\ufeff",):
        (tmp_path / "wide.hl7").write_bytes((mark + text).encode(codec))
        done = hl7("get", "--phi", "PID-5.1", "wide.hl7")
        assert (done.exit_code, done.stdout.split()) == (0, ["MÜSTER", "MEIER"])
    assert b"UNICODE UTF-8" in hl7("deid", "wide.hl7").stdout_bytes
