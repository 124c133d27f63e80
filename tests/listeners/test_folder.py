"""The folder source: each file is taken once, whole, in order, and never another's."""

import asyncio
import errno
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from twisted.internet import inotify

from listeners.fetching import NOT_STORED, STORED, Journal, poll, until
from portico.listeners import answers
from portico.listeners import poller as pollers
from portico.listeners.folder import FOLDER
from portico.model.receipt import Receipt, Told

CLAIMS = ".portico-0badcafe"


@pytest.fixture
async def polled(tmp_path, reactor):
    """`polled(**options)`: a started poller of `in`, its folder and its journal."""
    started = []
    (tmp_path / "in").mkdir()

    async def start(journal=None, woken=True, **options):
        journal = journal or Journal()
        given = {"path": "in", "every": "20ms", **options}
        way = reactor if woken else None
        poller = await poll(FOLDER, given, tmp_path, journal, reactor=way)
        started.append(poller)
        return SimpleNamespace(poller=poller, journal=journal, folder=tmp_path / "in")

    yield start
    for poller in started:
        await poller.stop(5)


def put(folder: Path, name: str, content: bytes) -> Path:
    """A file that is whole from the moment it has its name."""
    part = folder / f".{len(name)}.writing"
    part.write_bytes(content)
    return part.rename(folder / name)


def below(folder: Path) -> list[str]:
    """What lies in it, claims and all."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


async def test_a_file_becomes_a_message_and_is_moved(polled):
    """F5: under its own name into `done`, once its message is stored."""
    one = await polled()
    put(one.folder, "a.hl7", b"MSH|1")
    await until(lambda: (one.folder / "done/a.hl7").exists())

    assert one.journal.taken[0][0] == b"MSH|1"
    assert one.journal.taken[0][2] == "a.hl7"
    assert below(one.folder) == [CLAIMS, "done", "done/a.hl7"]


async def test_a_file_is_not_finished_before_its_message_is_stored(polled):
    """P1: no Receipt, no move; the claim is where its owner looks first."""
    journal = Journal()
    journal.receipt = None
    one = await polled(journal)
    put(one.folder, "a.hl7", b"MSH|1")
    await until(lambda: journal.owed)
    lying = below(one.folder)
    journal.owed.pop().answer(STORED)
    await until(lambda: (one.folder / "done/a.hl7").exists())

    assert lying == [CLAIMS, f"{CLAIMS}/a.hl7", "done"]


async def test_what_the_journal_did_not_take_comes_again(polled):
    """The file goes back under its name, and is tried again under the same identity."""
    journal = Journal()
    journal.receipt = NOT_STORED
    one = await polled(journal)
    put(one.folder, "a.hl7", b"MSH|1")
    await until(lambda: journal.taken)
    await until(lambda: (one.folder / "a.hl7").exists())
    journal.receipt = STORED
    await until(lambda: (one.folder / "done/a.hl7").exists())

    assert len({identity for _, identity, _ in journal.taken}) == 1


async def test_a_file_that_goes_back_while_another_has_its_name_comes_first(polled):
    """An export of a fixed name, during an outage of the journal: none of the two is stuck."""
    journal = Journal()
    journal.receipt = None
    one = await polled(journal, files="export.hl7")
    put(one.folder, "export.hl7", b"1")
    await until(lambda: journal.owed)
    put(one.folder, "export.hl7", b"2")
    journal.receipt = STORED
    journal.owed.pop().answer(NOT_STORED)
    await until(lambda: (one.folder / "done/export-1.hl7").exists())

    assert journal.contents() == [b"1", b"1", b"2"]
    assert journal.taken[0][1] == journal.taken[1][1]


async def test_a_claim_of_an_earlier_life_is_handed_up_under_the_same_identity(polled):
    """F5: killed between commit and move: the journal recognises each of its messages."""
    journal = Journal()
    journal.receipt = None
    one = await polled(journal)
    put(one.folder, "a.hl7", b"LINES\n1\n2\n")
    await until(lambda: len(journal.owed) == 2)
    await one.poller.stop(0)
    before = list(journal.taken)
    second = Journal()
    await polled(second)
    await until(lambda: (one.folder / "done/a.hl7").exists())

    assert second.taken == before
    assert len({identity for _, identity, _ in before}) == 2


async def test_files_are_taken_in_the_order_of_their_names(polled):
    """`sort: name`, also when they came in another."""
    (names := [f"{n:03}.hl7" for n in range(100)]).reverse()
    one = await polled(woken=False, every="300ms")
    await until(lambda: one.poller.connections())
    for name in names:
        put(one.folder, name, name.encode())
    await until(lambda: len(one.journal.taken) == 100)

    assert one.journal.contents() == sorted(name.encode() for name in names)


async def test_files_are_taken_in_the_order_of_their_times(polled, tmp_path):
    """`sort: time`, and by name where the times are the same."""
    for name, when in (("a", 30), ("b", 10), ("d", 20), ("c", 20)):
        os.utime(put(tmp_path / "in", name, name.encode()), (when, when))
    one = await polled(sort="time")
    await until(lambda: len(one.journal.taken) == 4)

    assert one.journal.contents() == [b"b", b"c", b"d", b"a"]


async def test_a_file_that_grows_is_not_read(polled):
    """F1: size and time have to stay as they are for the whole of `stable`."""
    one = await polled(ready={"stable": "1s"})
    growing = one.folder / "a.hl7"
    for _ in range(12):
        with growing.open("ab") as file:
            file.write(b"x")
        await asyncio.sleep(0.09)
        assert one.journal.taken == []
    await until(lambda: one.journal.taken)

    assert one.journal.contents() == [b"x" * 12]


async def test_a_marker_makes_a_file_ready(polled):
    """F1: `a.hl7` is taken when `a.hl7.done` lies beside it, and the marker goes first."""
    one = await polled(ready={"suffix": ".done"})
    put(one.folder, "a.hl7", b"a")
    put(one.folder, "b.hl7", b"b")
    put(one.folder, "b.hl7.done", b"")
    await until(lambda: (one.folder / "done/b.hl7").exists())

    assert below(one.folder) == [CLAIMS, "a.hl7", "done", "done/b.hl7"]
    assert one.journal.contents() == [b"b"]


async def test_unfinished_and_hidden_names_and_other_kinds_are_never_taken(polled, tmp_path):
    """F1, F7: temporary names, dot files, folders, pipes and links stay where they are."""
    folder, secret = tmp_path / "in", tmp_path / "secret"
    secret.write_bytes(b"secret")
    for name in ("a.part", "b.filepart", "c.tmp", ".hidden", "d~"):
        (folder / name).write_bytes(b"unfinished")
    (folder / "folder.hl7").mkdir()
    os.mkfifo(folder / "pipe.hl7")
    (folder / "link.hl7").symlink_to(secret)
    one = await polled()
    put(folder, "z.hl7", b"z")
    await until(lambda: (folder / "done/z.hl7").exists())

    assert one.journal.contents() == [b"z"]
    assert secret.read_bytes() == b"secret"
    assert len(below(folder)) == 11


async def test_hostile_names_are_taken_and_stay_in_their_folder(polled):
    """F7: line feeds, bytes that are no UTF-8, dots, quotes: a name like any other."""
    names = [
        b"line\nfeed",
        b"\xff\xfe.hl7",
        b"..hl7",
        b"a b'\"`$(x);&|",
        b"-rf",
        b"%00",
        b"x" * 255,
    ]
    one = await polled()
    for number, name in enumerate(names):
        (one.folder / ".new").write_bytes(b"%d" % number)
        os.rename(os.fsencode(one.folder) + b"/.new", os.fsencode(one.folder) + b"/" + name)
    done = one.folder / "done"
    taken = len(names) - 1  # `..hl7` begins with a dot
    await until(lambda: done.exists() and len(os.listdir(done)) == taken)

    assert sorted(os.listdir(os.fsencode(done))) == sorted(n for n in names if n != b"..hl7")
    assert {file for _, _, file in one.journal.taken} >= {"line\nfeed", "\\xff\\xfe.hl7"}


async def test_a_name_that_is_taken_gets_a_number(polled):
    """Nothing in `done` is ever overwritten."""
    one = await polled()
    for content in (b"1", b"2", b"3"):
        put(one.folder, "a.hl7", content)
        await until(lambda c=content: c in one.journal.contents())
        await until(lambda: not (one.folder / "a.hl7").exists())
    done = one.folder / "done"
    await until(lambda: len(os.listdir(done)) == 3)

    assert (done / "a.hl7").read_bytes() == b"1"
    assert (done / "a-2.hl7").read_bytes() == b"3"


async def test_kept_files_are_remembered_until_they_change(polled, tmp_path):
    """`after: keep`: not read again by the next life; read again when written again."""
    journal = Journal()
    one = await polled(journal, after="keep")
    put(one.folder, "a.hl7", b"1")
    await until(lambda: journal.memory.kept)
    await one.poller.stop(5)
    second = Journal()
    second.memory = journal.memory
    await polled(second, after="keep")
    put(one.folder, "a.hl7", b"22")
    await until(lambda: second.taken)

    assert journal.contents() == [b"1"]
    assert second.contents() == [b"22"]
    assert below(one.folder) == ["a.hl7"]


async def test_kept_files_that_are_gone_are_forgotten_and_those_that_stay_are_not(polled):
    """The first look of a life notes what lies there still."""
    journal = Journal()
    one = await polled(journal, after="keep")
    for name in ("a.hl7", "b.hl7"):
        put(one.folder, name, b"1")
    await until(lambda: len(journal.memory.kept) == 2)
    await one.poller.stop(5)
    (one.folder / "a.hl7").unlink()
    put(one.folder, "c.hl7", b"1")
    second = Journal()
    second.memory = journal.memory
    await polled(second, after="keep")
    await until(lambda: "c.hl7" in journal.memory.kept)

    assert sorted(journal.memory.kept) == ["b.hl7", "c.hl7"]
    assert len(second.taken) == 1


async def test_the_answer_to_a_file_is_placed_before_the_file_is_finished(polled):
    """In the order of the file, over an earlier one; a file with nothing to say has none."""
    journal = Journal()
    journal.receipt = None
    one = await polled(journal, replies="acks")
    put(one.folder, "a.hl7", b"LINES\n1\n2\n")
    await until(lambda: len(journal.owed) == 2)
    for arrival, text in zip(reversed(journal.owed), (b"second", b"first"), strict=True):
        arrival.answer(Receipt(Told.ACCEPTED, (text,)))
    await until(lambda: (one.folder / "done/a.hl7").exists())
    (one.folder / "acks/.a.hl7.ack.part").write_bytes(b"left by a crash")
    put(one.folder, "a.hl7", b"3")
    await until(lambda: len(journal.owed) == 3)

    assert (one.folder / "acks/a.hl7.ack").read_bytes() == b"LINES|1 first|1 second"
    journal.owed[2].answer(Receipt(Told.REFUSED, (b"third",)))
    await until(lambda: (one.folder / "done/a-1.hl7").exists())
    assert os.listdir(one.folder / "acks") == ["a.hl7.ack"]
    assert (one.folder / "acks/a.hl7.ack").read_bytes() == b"3|0 third"


async def test_a_file_whose_answer_cannot_be_placed_is_not_finished(polled):
    """It is told, kept, and taken again until it can; its messages are known by then."""
    one = await polled(Journal(), replies="acks")
    await until((one.folder / "acks").exists)
    (one.folder / "acks/a.hl7.ack/in_the_way").mkdir(parents=True)
    put(one.folder, "a.hl7", b"1")
    await until(lambda: one.journal.named("FileKept"))
    assert one.journal.named("FileKept")[0].code == "unfinished"
    assert not (one.folder / "done/a.hl7").exists()
    shutil.rmtree(one.folder / "acks/a.hl7.ack")
    await until(lambda: (one.folder / "done/a.hl7").exists())

    assert (one.folder / "acks/a.hl7.ack").read_bytes() == b"1|1 "
    assert len({identity for _, identity, _ in one.journal.taken}) == 1


@pytest.mark.parametrize("verb", ["add", "__iter__"])
async def test_an_answer_for_which_there_is_no_room_is_told_when_the_file_is_taken_again(
    polled, monkeypatch, verb
):
    """A full disk ends no reading, and takes no message whose Receipt was to be kept."""
    whole, failing = getattr(answers.Answers, verb), [True]

    def full(*given):
        if failing:
            failing.clear()
            raise OSError(errno.ENOSPC, "full")
        return whole(*given)

    monkeypatch.setattr(answers.Answers, verb, full)
    one = await polled(replies="acks")
    put(one.folder, "a.hl7", b"LINES\n1\n2\n")
    await until(lambda: (one.folder / "done/a.hl7").exists())

    assert [told.code for told in one.journal.named("FileKept")] == ["unfinished"]
    assert (one.folder / "acks/a.hl7.ack").read_bytes() == b"LINES|1 |1 "
    assert len({identity for _, identity, _ in one.journal.taken}) == 2


async def test_a_file_that_cannot_be_taken_is_tried_every_time_and_not_all_the_time(
    polled, monkeypatch, tmp_path
):
    """Its messages are repeats each time, and rows of the journal; a server would be asked."""
    monkeypatch.setattr(pollers, "_SOON", 0.001)
    (tmp_path / "in/acks/a.hl7.ack/in_the_way").mkdir(parents=True)
    put(tmp_path / "in", "a.hl7", b"1")
    one = await polled(woken=False, every="1h", replies="acks")
    await until(lambda: one.journal.named("FileKept"))
    await asyncio.sleep(0.09)

    assert one.journal.contents() == [b"1"]


async def test_deleted_files_are_gone(polled):
    """`after: delete`."""
    one = await polled(after="delete")
    put(one.folder, "a.hl7", b"1")
    await until(lambda: one.journal.taken and below(one.folder) == [CLAIMS])


async def test_a_file_above_the_limit_stays_and_is_told_once(polled):
    """The others go on; a person sees to it; without its name, which may be a patient's."""
    one = await polled(limit="10B")
    put(one.folder, "MUSTER.hl7", b"x" * 11)
    put(one.folder, "z.hl7", b"z")
    await until(lambda: (one.folder / "done/z.hl7").exists())
    put(one.folder, "zz.hl7", b"z")
    await until(lambda: (one.folder / "done/zz.hl7").exists())
    (told,) = one.journal.named("FileKept")

    assert (told.code, told.size) == ("too_large", 11)
    assert "MUSTER" not in str(told)
    assert (one.folder / "MUSTER.hl7").exists()


async def test_a_file_that_cannot_be_cut_stays_until_it_changes(polled):
    """It is told once, and tried again when somebody has mended it."""
    one = await polled()
    put(one.folder, "a.hl7", b"!broken")
    await until(lambda: one.journal.named("FileKept"))
    put(one.folder, "a.hl7", b"mended")
    await until(lambda: (one.folder / "done/a.hl7").exists())

    assert [told.code for told in one.journal.named("FileKept")] == ["uncut"]
    assert one.journal.contents() == [b"mended"]


async def test_a_folder_that_is_away_is_told_once_and_comes_back(polled):
    """Unmounted, or renamed: one event, and on it goes when it is there again."""
    one = await polled()
    await until(lambda: one.poller.connections())
    one.folder.rename(one.folder.parent / "elsewhere")
    await until(lambda: one.journal.named("SourceLost"))
    one.folder.mkdir()
    put(one.folder, "a.hl7", b"1")
    await until(lambda: (one.folder / "done/a.hl7").exists())

    assert [type(told).__name__ for told in one.journal.events[:2]] == [
        "SourceLost",
        "SourceBack",
    ]
    assert one.journal.named("SourceLost")[0].code == "wire.source_away"


async def test_a_file_wakes_the_poller(polled):
    """Long before `every`, where the system tells what happens in a folder."""
    one = await polled(every="1h")
    await until(lambda: one.poller.connections())
    put(one.folder, "a.hl7", b"1")
    await until(lambda: (one.folder / "done/a.hl7").exists(), seconds=5)


async def test_two_pollers_of_one_folder_never_take_the_same_file(polled):
    """F2: two engines on two journals: a claim succeeds for one of them."""
    first, second = Journal(), Journal()
    second.memory.mark = first.memory.mark

    async def other():
        return "0ther000"

    second.memory.mark = other
    one = await polled(first, woken=False, every="20ms")
    await polled(second, woken=False, every="20ms")
    for n in range(300):
        put(one.folder, f"{n}.hl7", b"%d" % n)
        if n % 50 == 0:
            await asyncio.sleep(0.05)
    await until(lambda: len(first.taken) + len(second.taken) >= 300)
    await until(lambda: len(os.listdir(one.folder / "done")) == 300)

    assert sorted(first.contents() + second.contents()) == sorted(b"%d" % n for n in range(300))


async def test_a_poller_that_is_held_takes_nothing(polled):
    """Back-pressure and pause: files wait where they lie."""
    one = await polled()
    await until(lambda: one.poller.connections())
    one.poller.hold()
    put(one.folder, "a.hl7", b"1")
    await asyncio.sleep(0.09)
    lying = list(one.journal.taken)
    one.poller.release()
    await until(lambda: one.journal.taken)

    assert lying == []


async def test_a_huge_file_is_read_piece_by_piece(polled):
    """F6: no more messages than may be owed are ever in memory."""
    journal = Journal()
    journal.receipt = None
    one = await polled(journal)
    put(one.folder, "a.hl7", b"LINES\n" + b"x" * 99 + b"\n" * 1 + (b"y" * 99 + b"\n") * 9_999)
    await until(lambda: len(journal.owed) >= 1_024)
    await asyncio.sleep(0.09)
    most = len(journal.owed)
    journal.receipt = STORED
    for arrival in journal.owed:
        arrival.answer(STORED)
    await until(lambda: len(journal.taken) == 10_000)

    assert most <= 1_024 + 64


async def test_a_fault_of_ours_is_told_and_the_poller_goes_on(polled):
    """The fence of one channel: no fault ends a source in silence."""
    journal = Journal()
    broken = journal.cut
    journal.cut = lambda file, size: 1 / 0
    one = await polled(journal)
    put(one.folder, "MUSTER.hl7", b"1")
    await until(lambda: journal.named("SourceLost"))
    journal.cut = broken
    (told,) = journal.named("SourceLost")

    assert (told.code, told.text) == ("internal", "ZeroDivisionError")


async def test_a_file_that_a_fault_of_ours_kept_from_being_read_is_not_finished(
    polled, monkeypatch
):
    """P1: memory that is used up, say. It goes back unread, and is taken when it can be."""
    monkeypatch.setattr(pollers, "_MOST_AGAIN", 0.01)
    journal, faults = Journal(), [MemoryError()]
    whole = journal.cut

    def cut(file, size):
        while faults:
            raise faults.pop()
        yield from whole(file, size)

    journal.cut = cut
    one = await polled(journal)
    put(one.folder, "a.hl7", b"1")
    await until(lambda: (one.folder / "done/a.hl7").exists())

    assert journal.contents() == [b"1"]
    assert [told.text for told in journal.named("SourceLost")] == ["MemoryError"]


async def test_a_disk_that_cannot_be_read_for_a_moment_keeps_no_file_for_good(polled):
    """P8: another look tries again; only what stands in a file has to be mended by a person."""
    journal, faults = Journal(), [OSError(errno.EIO, "Input/output error")]
    whole = journal.cut

    def cut(file, size):
        while faults:
            raise faults.pop()
        yield from whole(file, size)

    journal.cut = cut
    one = await polled(journal)
    put(one.folder, "a.hl7", b"1")
    await until(lambda: (one.folder / "done/a.hl7").exists())

    assert [told.code for told in journal.named("FileKept")] == ["unreadable"]
    assert journal.contents() == [b"1"]


async def test_a_system_that_gives_no_more_watches_is_no_fault(polled, monkeypatch):
    """It bounds them by user; then `every` finds the files, and nothing is left open."""
    closed = []

    def refuse(notifier, *_, **__):
        raise inotify.INotifyError("Failed to add watch")

    monkeypatch.setattr(inotify.INotify, "watch", refuse)
    monkeypatch.setattr(inotify.INotify, "connectionLost", lambda *_: closed.append(1))
    one = await polled()
    put(one.folder, "a.hl7", b"1")
    await until(lambda: (one.folder / "done/a.hl7").exists())

    assert closed and not one.journal.named("SourceLost")


async def test_a_file_that_a_person_has_taken_away_is_forgotten(polled):
    """Whatever is told of files is held no longer than they lie there; another is told anew."""
    one = await polled(limit="10B")
    put(one.folder, "a.hl7", b"x" * 11)
    await until(lambda: one.journal.named("FileKept"))
    (one.folder / "a.hl7").unlink()
    await until(lambda: not one.poller._told)
    put(one.folder, "a.hl7", b"x" * 11)
    await until(lambda: len(one.journal.named("FileKept")) == 2)
