"""MLLP peers of an engine under test, on real sockets."""

import re
import socket
import threading
from contextlib import suppress

from portico.hl7 import ack
from portico.hl7.header import read
from portico.wire.mllp import MllpDecoder, encode
from ports import free_port


class Client:
    """One connection that sends."""

    def __init__(self, port):
        self._socket = socket.create_connection(("127.0.0.1", port), 60)
        self._socket.settimeout(60)
        self._decoder = MllpDecoder(1 << 20)
        self._answers = []

    def send(self, content, raw=False):
        """A frame, or bytes as they are."""
        self._socket.sendall(content if raw else encode(content))

    def answer(self):
        """The next answer; b"" when the connection ends instead."""
        while not self._answers:
            try:
                data = self._socket.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                return b""
            self._answers += self._decoder.feed(data)
        return self._answers.pop(0)

    def ask(self, content):
        """MSA-1 of the answer, or `close`."""
        self.send(content)
        answer = self.answer()
        found = re.search(rb"MSA.(\w+)", answer)
        return found[1].decode() if found else "close"

    def close(self):
        """Hang up."""
        self._socket.close()


class Listening:
    """Accepts connections and hands on their frames, each connection in a thread of its own.

    Not at one of the kernel's own ports: an engine that dials it while nobody listens could be
    given the same for its end, and be connected to itself.
    """

    def __init__(self, port=0):
        self.connections = []
        self.port = port or free_port()
        self._listening = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections.append(connection)
            number = len(self.connections)
            threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _serve(self, connection, number):
        decoder = MllpDecoder(1 << 20)
        with suppress(OSError):  # reset, or closed on our side
            while data := connection.recv(65536):
                for frame in decoder.feed(data):
                    self.heard(connection, number, frame)

    def heard(self, connection, number, frame):
        """A frame came on the connection of that number, from 1."""
        raise NotImplementedError

    def close(self):
        """Listen no more; what is connected stays."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def hang_up(self):
        """Listen no more, and end what is connected."""
        self.close()
        for one in self.connections:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


class Sink(Listening):
    """Says AA, or what `codes` has for a control id, and remembers."""

    def __init__(self, port=0):
        self.codes, self.got, self.contents = {}, [], []
        super().__init__(port)

    def heard(self, connection, number, frame):
        """Remember it, then answer."""
        header = read(frame)
        name = header.control_id.decode("latin-1")
        self.got.append(name)
        self.contents.append(frame)
        code = self.codes.get(name, "AA")
        connection.sendall(encode(ack.build(header, code=code, control_id="9", at_ns=0)))
