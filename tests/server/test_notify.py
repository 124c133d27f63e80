"""What systemd is told (sd_notify(3))."""

import socket

from portico.server.notify import Notifier


def test_the_service_manager_hears_every_word(tmp_path):
    """One datagram a word, on the socket that NOTIFY_SOCKET names."""
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        Notifier({"NOTIFY_SOCKET": str(path)}).say("READY=1")

        assert manager.recv(100) == b"READY=1"


def test_an_abstract_socket_is_found():
    """A name that begins with @ lies in no folder."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0portico-test-notify")
        Notifier({"NOTIFY_SOCKET": "@portico-test-notify"}).say("STOPPING=1")

        assert manager.recv(100) == b"STOPPING=1"


def test_nobody_listening_is_no_fault(tmp_path):
    """No manager, or a deaf one."""
    Notifier({}).say("READY=1")
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).say("READY=1")


def test_the_watchdog_is_fed_twice_as_often_as_it_bites():
    """WATCHDOG_USEC is in microseconds; nonsense means none."""
    assert Notifier({"WATCHDOG_USEC": "30000000"}).watchdog == 15.0
    assert Notifier({"WATCHDOG_USEC": "soon"}).watchdog == 0.0
