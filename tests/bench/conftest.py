"""A peer of the generator that the test itself plays."""

import socket

import pytest


class Stranger:
    """Listens, and answers one message as it is told."""

    def __init__(self):
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.settimeout(10)
        self.port = self._listening.getsockname()[1]

    def answer(self, made):
        """Read one frame and send what `made` gives for its control id."""
        line, _ = self._listening.accept()
        with line:
            line.settimeout(10)
            frame = b""
            while not frame.endswith(b"\x1c\r"):
                frame += line.recv(4096)
            line.sendall(made(frame.split(b"|", 10)[9]))

    def close(self):
        """Listen no more."""
        self._listening.close()


@pytest.fixture
def stranger():
    """One listening socket."""
    peer = Stranger()
    yield peer
    peer.close()
