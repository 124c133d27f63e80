"""Twins of what a source that fetches has of the engine, and a poller's own loop."""

import asyncio

from portico.clock import SystemClock
from portico.errors import BatchInvalid
from portico.listeners.contract import Known, Surroundings
from portico.model.receipt import Receipt, Told
from portico.tls.certificates import Certificates

STORED = Receipt(Told.ACCEPTED, code="accepted")
NOT_STORED = Receipt(Told.SILENT, close=True)


class Memory:
    """A Memory that lives as long as the test."""

    def __init__(self):
        self.kept = {}
        self.noted = []
        self.firings = {}

    async def mark(self):
        """Always the same."""
        return "0badcafe"

    async def known(self, names):
        """Of these, those that were remembered."""
        return {name: self.kept[name] for name in names if name in self.kept}

    async def remember(self, files):
        """They were read."""
        self.kept |= {one.name: one for one in files}
        assert all(isinstance(one, Known) for one in files)

    async def seen(self, names):
        """They lie there still."""
        self.noted.append(sorted(names))

    async def forget(self, seconds):
        """What was not noted; however long it is."""
        there = {name for names in self.noted for name in names}
        self.kept = {name: one for name, one in self.kept.items() if name in there}
        self.noted = []

    async def firing(self, until):
        """The last one up to then."""
        known = [planned for planned in self.firings if planned <= until]
        return self.firings[max(known)] if known else None

    async def fired(self, firing):
        """Once each, unless a plan begins."""
        if firing.outcome == "begun" or firing.planned not in self.firings:
            self.firings[firing.planned] = firing


class Journal:
    """A Fetching: takes messages, tells each at once what `receipt` says; None: later."""

    def __init__(self):
        self.memory = Memory()
        self.taken = []  # (content, identity, file)
        self.faults = []
        self.events = []
        self.receipt = STORED
        self.owed = []
        self.busy = 0

    def once(self, arrival, identity, fault=None):
        """Take one message."""
        self.taken.append((arrival.content, identity, arrival.file))
        self.faults.append(fault)
        if self.receipt is None:
            self.owed.append(arrival)
        else:
            arrival.answer(self.receipt)

    def cut(self, file, size):
        """A message a line where the file says so; a file that begins with ! cannot be cut."""
        if file.read(1) == b"!":
            raise BatchInvalid("it cannot be cut")
        file.seek(0)
        if file.read(6) == b"LINES\n":
            for line in file:
                yield line, None
        else:
            file.seek(0)
            yield file.read(), None

    def reply(self, file, answers):
        """The file's first bytes, then what each message was told."""
        file.seek(0)
        yield file.read(5)
        for positive, said in answers:
            yield b"|%d %b" % (positive, said)

    def waiting(self):
        """As the test says."""
        return self.busy

    def contents(self):
        """What was taken, in order."""
        return [content for content, _, _ in self.taken]

    def named(self, name):
        """Events of that class."""
        return [event for event in self.events if type(event).__name__ == name]


async def until(holds, seconds=10.0):
    """Look again until it holds."""
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.01)


async def poll(kind, given, root, journal, environ=None, certificates=None, reactor=None):
    """A started poller of this type with these options, looking all the time."""
    options = {"every": "50ms", "ready": "rename", **given}
    (root / "scratch").mkdir(exist_ok=True)
    around = Surroundings(
        reactor,
        SystemClock(),
        journal.events.append,
        root,
        environ or {},
        certificates or Certificates(),
        fetching=journal,
        scratch=str(root / "scratch"),
    )
    source = kind.options.model_validate(options)
    poller = kind.build("files", source, lambda arrival: None, around)
    await poller.start()
    return poller
