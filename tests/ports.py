"""Ports of the loopback for peers and engines of tests."""

import itertools
import os
import random
import socket

# Below those that the kernel gives to connections, and each process of pytest-xdist its own.
_share = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_numbers = range(10_000 + _share % 8, 30_000, 8)
_next = itertools.cycle(random.sample(_numbers, len(_numbers)))


def free_port() -> int:
    """A port that nobody has, and that was not given a while ago, either."""
    for port in itertools.islice(_next, len(_numbers)):
        with socket.socket() as trial:
            try:
                trial.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no port is free")


def free_ports(count: int) -> list[int]:
    """So many of them."""
    return [free_port() for _ in range(count)]
