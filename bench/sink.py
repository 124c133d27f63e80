"""The receiver: answers every frame AA, in a process of its own, as cheaply as Python can.

    python -m bench.sink

It prints the port that it listens on. Each line on its input asks for a report on what came
since the last one, a JSON object in one line; it ends when its input does.
"""

import json
import os
import selectors
import socket
from array import array

from bench import messages
from bench.figures import percentile

_READ = 1 << 18


class Sink:
    """One listening socket and all its connections. received: latencies in nanoseconds."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self._listening.getsockname()[1]
        self.received = array("q")
        self._peers: dict[int, socket.socket] = {}
        self._rests: dict[socket.socket, bytes] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listening, selectors.EVENT_READ)
        self._selector.register(0, selectors.EVENT_READ)

    def serve(self) -> None:
        """Until the input ends."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._listening:
                    self._accept()
                elif key.fd == 0:
                    if not os.read(0, 4096):
                        return
                    self._report()
                else:
                    self._answer(self._peers[key.fd])

    def _accept(self) -> None:
        peer, _ = self._listening.accept()
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._peers[peer.fileno()] = peer
        self._rests[peer] = b""
        self._selector.register(peer, selectors.EVENT_READ)

    def _answer(self, peer: socket.socket) -> None:
        try:
            data = self._rests[peer] + peer.recv(_READ)
        except OSError:
            data = self._rests[peer]
        if data == self._rests[peer]:
            self._selector.unregister(peer)
            del self._rests[peer], self._peers[peer.fileno()]
            peer.close()
            return
        *frames, self._rests[peer] = data.split(messages.END)
        now, answers = messages.now(), []
        for frame in frames:
            control_id = frame.split(b"|", 10)[9]
            self.received.append(now - messages.sent_at(control_id))
            answers.append(messages.answer(control_id))
        if answers:
            peer.sendall(b"".join(answers))

    def _report(self) -> None:
        took, self.received = self.received, array("q")
        report = {
            "received": len(took),
            "p50_ms": percentile(took, 0.50) / 1e6,
            "p99_ms": percentile(took, 0.99) / 1e6,
        }
        print(json.dumps(report), flush=True)


def main() -> None:
    """Listen, say where, serve."""
    sink = Sink()
    print(sink.port, flush=True)
    sink.serve()


if __name__ == "__main__":
    main()
