"""portico.workers.voice: what a worker says while an item runs is said whole."""

import socket
import threading
import time

import pytest

from portico.clock import SystemClock
from portico.model.verdict import LogLine
from portico.steps import deadline
from portico.wire.pipe import PipeDecoder
from portico.workers import protocol
from portico.workers.protocol import Log
from portico.workers.voice import Voice


def test_a_step_whose_time_ends_while_it_speaks_has_said_it_whole():
    """Half a message would make nonsense of all that the worker says after it."""
    ours, theirs = socket.socketpair()
    heard, line = [], LogLine("step", "info", "x" * 60_000)
    for which, size in ((socket.SO_SNDBUF, 1), (socket.SO_RCVBUF, 1)):
        ours.setsockopt(socket.SOL_SOCKET, which, size)

    def listen() -> None:
        time.sleep(0.06)
        decoder = PipeDecoder(1 << 24, 1 << 24)
        while data := theirs.recv(1 << 20):
            heard.extend(decoder.feed(data))

    listener = threading.Thread(target=listen)
    with ours, theirs:
        voice = Voice(ours, SystemClock())
        listener.start()
        with pytest.raises(deadline.Expired):
            deadline.call(0.02, voice.log, line)
        voice.log(LogLine("step", "info", "more"))
        ours.shutdown(socket.SHUT_WR)
        listener.join()

    said = [protocol.read_worker(frame.header) for frame in heard]
    assert all(isinstance(one, Log) for one in said)
    assert [len(one.lines[0].text) for one in said] == [60_000, 4]
