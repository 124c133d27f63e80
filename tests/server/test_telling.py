"""server/telling.py: alarms on their way to sinks."""

import asyncio
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiosmtpd.smtp import AuthResult

from portico.clock import SystemClock
from portico.server import mail, telling
from portico.server.telling import Notice, SinkRefused, Teller
from portico.spec.alarming import Mail, Sink


async def test_a_full_queue_gives_up_its_oldest_and_no_other(monkeypatch):
    """What is being told when the queue overflows is told, and so is all behind it."""
    monkeypatch.setattr(telling, "_MOST", 2)
    sink = SimpleNamespace(mail=None, webhook="")
    teller = Teller(lambda: {"desk": sink}, Path(), {}, SystemClock(), [].append, lambda: 0.0)
    told, room = [], asyncio.Semaphore(0)

    async def send(name, notice):
        await room.acquire()
        told.append(notice.name)

    monkeypatch.setattr(teller, "_send", send)
    teller.tell(notice("first"), None)
    await asyncio.sleep(0)
    for name in ("second", "third", "fourth"):
        teller.tell(notice(name), None)
    for _ in range(3):
        room.release()
    await asyncio.wait_for(asyncio.gather(*teller._tasks.values()), 5)

    assert told == ["first", "third", "fourth"]
    assert teller.taken(("down", "destination", "second"))


async def test_a_password_beyond_ascii_opens_the_mail_server(mail_server):
    """It is UTF-8, as RFC 4616 has it; a wrong one is a refusal as ever."""
    box = mail_server(authenticator=only("geöffnet"), auth_require_tls=False)
    environ = {"RIGHT": "geöffnet", "WRONG": "schloß"}
    await mail.send(letters_to(box, "RIGHT"), Path(), environ, notice("his"))
    with pytest.raises(SinkRefused) as refused:
        await mail.send(letters_to(box, "WRONG"), Path(), environ, notice("his"))

    assert refused.value.code == "SMTPAuthenticationError"
    assert len(box.letters) == 1


async def test_a_secret_that_is_no_text_is_a_refusal(mail_server):
    """A byte of another character set in the environment: the sink is tried again, and people
    hear that it was not told."""
    box = mail_server(authenticator=only(""), auth_require_tls=False)
    sink = Sink(mail=letters_to(box, "LATIN"))
    environ, events = {"LATIN": "ge\udcf6ffnet"}, []
    teller = Teller(
        lambda: {"desk": sink}, Path(), environ, SystemClock(), events.append, lambda: 0.0
    )
    teller.tell(notice("his"), None)
    async with asyncio.timeout(10):
        while not events:
            await asyncio.sleep(0.01)

    assert (events[0].code, "desk" in teller._tasks) == ("UnicodeEncodeError", True)
    await teller.stop()


async def test_a_fault_of_ours_is_a_refusal_too(monkeypatch):
    """It is tried again and said by its kind; the sink's next notice is told as ever."""

    async def broken(options, root, environ, notice):
        raise KeyError("a word that nobody prints")

    monkeypatch.setattr(telling, "SINKS", {"webhook": f"{__name__}:broken"})
    monkeypatch.setattr(sys.modules[__name__], "broken", broken, raising=False)
    events, sink = [], SimpleNamespace(mail=None, webhook="")
    teller = Teller(lambda: {"desk": sink}, Path(), {}, SystemClock(), events.append, lambda: 0)
    teller.tell(notice("his"), None)
    async with asyncio.timeout(10):
        while not events:
            await asyncio.sleep(0.01)

    assert (events[0].code, "desk" in teller._tasks) == ("KeyError", True)
    await teller.stop()


def only(password):
    """An authenticator that takes this password."""

    def authenticate(_server, _session, _envelope, _mechanism, data):
        return AuthResult(success=data.password == password.encode(), handled=False)

    return authenticate


def letters_to(box, name):
    """A mail sink whose password is this variable's."""
    return Mail.model_validate(
        {
            "server": f"127.0.0.1:{box.port}",
            "from": "engine@hospital.org",
            "to": "desk@hospital.org",
            "user": "engine",
            "password": f"${{env:{name}}}",
            "starttls": False,
        }
    )


def notice(name):
    """That a destination is down."""
    return Notice("open", "down", "destination", name, "", 0, 0)
