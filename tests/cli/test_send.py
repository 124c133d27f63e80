"""`send` against a peer that is not ours."""

import asyncio
from pathlib import Path

import pytest

from portico.cli import exits, messages

SAMPLES = Path(__file__).parents[2] / "samples/hl7"
ADT = SAMPLES / "adt_a01.hl7"


async def test_an_accepted_message_exits_with_zero(portico, peer):
    """The peer has it as the file has it, and the answer is readable."""
    done = await portico("send", ADT, "--to", peer.address)

    assert done.code == exits.OK, done.err
    assert "ADT^A01 ADT00001  AA accepted" in done.out
    assert peer.got[0].rstrip("\r") == ADT.read_bytes().decode().rstrip("\r")


@pytest.mark.parametrize("code", ["AE", "AR", "CE", "XX"])
async def test_a_message_that_is_not_accepted_exits_with_four(portico, peer, code):
    """Only AA and CA are a yes."""
    peer.code = code
    done = await portico("send", ADT, "--to", peer.address, "--json")

    assert done.code == exits.REFUSED
    assert done.json[0]["accepted"] is False
    assert done.json[0]["answers"][0]["code"] == code


async def test_an_answer_to_another_message_is_no_yes(portico, peer):
    """A11: MSA-2 must be the MSH-10 that was sent."""
    peer.wrong_id = True
    done = await portico("send", ADT, "--to", peer.address)

    assert done.code == exits.REFUSED
    assert "it answers another message: MSA-2 is 'ANOTHER'" in done.out


async def test_one_refusal_among_many_shows_in_the_exit_code(portico, peer, tmp_path):
    """All files go out on one connection; one no is a no."""
    file = tmp_path / "two.hl7"
    file.write_bytes(ADT.read_bytes() + b"\n" + (SAMPLES / "adt_a04.hl7").read_bytes())
    done = await portico("send", file, ADT, "--to", peer.address)

    assert done.code == exits.OK, done.err
    assert len(peer.got) == 3


async def test_the_last_block_of_a_file_may_lack_its_0d(portico, peer, tmp_path):
    """As text tools cut it off: that message is sent like those before it."""
    file = tmp_path / "two.mllp"
    one, two = ADT.read_bytes(), (SAMPLES / "adt_a04.hl7").read_bytes()
    file.write_bytes(b"\x0b" + one + b"\x1c\r\x0b" + two + b"\x1c")
    done = await portico("send", file, "--to", peer.address)

    assert done.code == exits.OK, done.err
    assert [text.split("|")[9] for text in peer.got] == ["ADT00001", "ADT00002"]


async def test_a_file_that_ends_amid_a_block_is_not_sent(portico, peer, tmp_path):
    """It is said, and not passed over: the file was cut off."""
    file = tmp_path / "cut.mllp"
    file.write_bytes(b"\x0b" + ADT.read_bytes() + b"\x1c\r\x0b" + ADT.read_bytes()[:99])
    done = await portico("send", file, "--to", peer.address)

    assert done.code == exits.FAILED
    assert "the last MLLP block has no end" in done.err
    assert peer.got == []


async def test_an_answer_may_be_waited_for_for_ever(portico, peer):
    """`forever` is a duration as everywhere; none at all is said."""
    done = await portico("send", ADT, "--to", peer.address, "--timeout", "forever")
    none = await portico("send", ADT, "--to", peer.address, "--timeout", "0s")

    assert done.code == exits.OK, done.err
    assert none.code == exits.USAGE and "'0s' is no time to wait" in none.err


async def test_silence_ends_after_the_timeout(portico, peer):
    """M5: a late answer must not be taken for another message's."""
    peer.code = None
    done = await portico("send", ADT, "--to", peer.address, "--timeout", "200ms")

    assert (done.code, done.err) == (
        exits.UNREACHABLE,
        f"portico: {peer.address}: no answer within 0.2 s\n",
    )


async def test_a_message_that_wants_no_answer_is_not_waited_for(portico, peer, tmp_path):
    """A2: NE/NE. The peer says nothing, and that is right."""
    peer.code = None
    file = tmp_path / "quiet.hl7"
    file.write_bytes(b"MSH|^~\\&|A|B|C|D|2026||ADT^A01|Q1|P|2.5|||NE|NE\r")
    done = await portico("send", file, "--to", peer.address, "--timeout", "5s")

    assert done.code == exits.OK, done.err
    assert "asks for no answer" in done.out


async def test_nobody_listens_is_one_line(portico, peer):
    """The address and the system's own word."""
    server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    done = await portico("send", ADT, "--to", f"127.0.0.1:{port}")

    assert done.code == exits.UNREACHABLE
    assert done.err == f"portico: 127.0.0.1:{port}: Connection refused\n"


async def test_standard_input_is_a_file_too(portico, peer):
    """`-`, as usual."""
    done = await portico("send", "-", "--to", peer.address, stdin=ADT.read_bytes())

    assert done.code == exits.OK, done.err
    assert len(peer.got) == 1


def write(tmp_path, content):
    """A file with that content."""
    path = tmp_path / "file.hl7"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_line_ends_become_what_hl7_wants(tmp_path, end):
    """As mllp_send --loose does it."""
    path = write(tmp_path, end.join([b"MSH|^~\\&|A", b"PID|1", b""]))

    assert messages.read(path, as_is=False) == [b"MSH|^~\\&|A\rPID|1\r"]


def test_as_is_changes_not_one_byte(tmp_path):
    """To try what a peer does with broken input."""
    path = write(tmp_path, b"\nPID|1\n\x00MSH")

    assert messages.read(path, as_is=True) == [b"\nPID|1\n\x00MSH"]


def test_a_file_of_blocks_is_read_as_blocks(tmp_path):
    """Some systems log what they sent, framing and all."""
    path = write(tmp_path, b"\x0bMSH|a\x1c\r\x0bMSH|b\x1c\r")

    assert messages.read(path, as_is=False) == [b"MSH|a", b"MSH|b"]


def test_a_word_that_begins_with_msh_starts_no_message(tmp_path):
    """Only MSH and a separator does."""
    path = write(tmp_path, b"MSH|^~\\&|A\rMSHELL\rMSH|^~\\&|B\r")

    assert len(messages.read(path, as_is=False)) == 2


def test_an_empty_file_has_no_message(tmp_path):
    """And `send` says so."""
    assert messages.read(write(tmp_path, b"\r\n"), as_is=False) == []
