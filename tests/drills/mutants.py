"""Seeded defects: each is one piece of the engine's text replaced, and the short drill that
must notice. A defect that no drill notices would be one that nobody notices."""

import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import portico

ENGINE = Path(portico.__file__).parent


@cache
def sources() -> dict[Path, str]:
    """The engine's own text, by its place in the package."""
    return {path.relative_to(ENGINE): path.read_text() for path in ENGINE.rglob("*.py")}


@dataclass(frozen=True, slots=True)
class Mutant:
    """`old`, which stands in the engine once, becomes `new`. drill: of short.SHORT."""

    name: str
    drill: str
    old: str
    new: str

    def places(self) -> list[Path]:
        """Where the engine has the text, each place as often as it stands there."""
        return [path for path, text in sources().items() for _ in range(text.count(self.old))]

    def put(self, folder: Path) -> Path:
        """A copy of the engine with the defect; its PYTHONPATH. No links: workers may read
        only what lies below it."""
        (place,) = self.places()
        shutil.copytree(ENGINE, folder / "portico")
        (folder / "portico" / place).write_text(sources()[place].replace(self.old, self.new))
        return folder


_FENCE = """\
            where l.name = fence.name and l.epoch = fence.epoch
                and l.flushed = fence.number - 1;
"""

MUTANTS = (
    Mutant(
        "answered before the commit",
        "answers_while_frozen",
        "self.world.writer.accept("
        "Entry(self, policy, arrival, signal, routed, agents, envelope))",
        "entry = Entry(self, policy, arrival, signal, routed, agents, envelope)\n"
        "        entry._tell(entry._accepted(signal.id))\n"
        "        self.world.writer.accept(entry)",
    ),
    Mutant(
        "answered although the database failed",
        "database_killed",
        "self._tell(answer.CLOSE)",
        "self._tell(self._accepted(self.signal.id))",
    ),
    Mutant(
        "commits that are not waited for",
        "database_killed",
        'SESSION = ("set enable_seqscan = off", ',
        'SESSION = ("set synchronous_commit = off", "set enable_seqscan = off", ',
    ),
    Mutant(
        "queue only in memory",
        "backlog_killed",
        "select destination, seq, signal, number, lane, 0 from owed",
        "select destination, seq, signal, number, lane, 0 from owed where false",
    ),
    Mutant(
        "marked sent before sent",
        "down_and_up",
        "self.adapter.deliver(lane.items[0], partial(self._answered, lane))",
        "head = lane.items[0]\n"
        '            self._answered(lane, Attempt(Answered.ANSWERED, "AA"))\n'
        "            self.adapter.deliver(head, lambda attempt: None)",
    ),
    Mutant(
        "marks that stay in memory",
        "quiet_kill",
        "where q.destination = d.destination and q.seq = d.seq\n        ),\n        again as",
        "where false\n        ),\n        again as",
    ),
    Mutant(
        "control id of the answer ignored",
        "wrong_answers",
        "if self.control_id is not None and answer.control_id != self.control_id:",
        "if False:",
    ),
    Mutant(
        "refusal taken for success",
        "rejected_once",
        '"AE": 3',
        '"AE": "done"',
    ),
    Mutant(
        "last in, first out",
        "down_and_up",
        "        lane.items.append(delivery)\n",
        "        lane.items.insert(1 if lane.busy else 0, delivery)\n",
    ),
    Mutant(
        "several of a lane at once",
        "silent_answers",
        "self._admit_to(self._lane(delivery.lane), delivery)",
        'self._admit_to(self._lane(f"{delivery.lane} {delivery.seq % 4}"), delivery)',
    ),
    Mutant(
        "skipped after a failure",
        "closed_answers",
        "        return verdict\n",
        "        unclear = attempt.answered is Answered.UNCLEAR\n"
        "        return retry.DELIVERED if unclear else verdict\n",
    ),
    Mutant(
        "retried at the end of its lane",
        "closed_answers",
        "        lane.blocked, lane.timer = False, None\n",
        "        lane.blocked, lane.timer = False, None\n        lane.items.rotate(-1)\n",
    ),
    Mutant(
        "all sent again at start",
        "quiet_kill",
        "            select seq, signal, number, lane, tries from queued\n",
        "            select seq, signal, number, lane, 0 as tries from delivery\n",
    ),
    Mutant(
        "recovery passes the head by",
        "backlog_killed",
        "for delivery in page:\n                        lanes.admit(delivery)",
        "for delivery in page[1:]:\n                        lanes.admit(delivery)",
    ),
    Mutant(
        "waiting messages are not taken up",
        "workers_frozen",
        "        self._behind = True\n        self._missed = True\n        self._held",
        "        self._behind = False\n        self._missed = True\n        self._held",
    ),
    Mutant(
        "no fence",
        "flush_frozen",
        _FENCE,
        "            where l.name = fence.name;\n",
    ),
    Mutant(
        "a flush overtakes the one that was refused",
        "refused_flushes",
        _FENCE,
        "            where l.name = fence.name and l.epoch = fence.epoch;\n",
    ),
    Mutant(
        "flushes in doubt are always sent again",
        "answers_cut",
        "while self._doubt and self._doubt[0].number <= opened.flushed:",
        "while self._doubt and self._doubt[0].number <= 0:",
    ),
    Mutant(
        "flushes in doubt are believed",
        "database_cut",
        "while self._doubt and self._doubt[0].number <= opened.flushed:",
        "while self._doubt:",
    ),
    Mutant(
        "retried under another id",
        "closed_answers",
        "replace(delivery, tries=tries, since=since)",
        "replace(\n                delivery, tries=tries, since=since,\n"
        '                content=delivery.content.replace(b"|P|2.5.1", b"X|P|2.5.1", 1),\n'
        "            )",
    ),
    Mutant(
        "repeats known by id alone",
        "same_again",
        "    if digest in accepted:\n",
        "    if accepted:\n",
    ),
    Mutant(
        "repeats run again",
        "same_again",
        "    if digest in accepted:\n",
        "    if not accepted:\n",
    ),
    Mutant(
        "merges are no barriers",
        "merged",
        "return lane.joined(found) if len(found) > 1 else key",
        "return key",
    ),
    Mutant(
        "barriers are one lane of their own",
        "merged",
        "        if names.several(delivery.lane):\n            for key",
        "        if not delivery.lane:\n            for key",
    ),
    Mutant(
        "a released message goes to the end",
        "released",
        "lane.items.insert(max(at, 1) if lane.busy else at, delivery)",
        "lane.items.append(delivery)",
    ),
    Mutant(
        "answers name the first message",
        "down_and_up",
        "        named = header.control_id\n        if named",
        '        named = build.__dict__.setdefault("named", header.control_id)\n'
        "        if named",
    ),
    Mutant(
        "timers by the wall clock",
        "clock_set_back",
        "seconds = staticmethod(time.monotonic)",
        "seconds = staticmethod(time.time)",
    ),
)
