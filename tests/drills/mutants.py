"""Seeded defects: each is one piece of the engine's text replaced, and the short drill that
must notice. A defect that no drill notices would be one that nobody notices."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import portico

ENGINE = Path(portico.__file__).parent


@dataclass(frozen=True, slots=True)
class Mutant:
    """In `file` (of the package) `old` becomes `new`. drill: of short.SHORT."""

    name: str
    drill: str
    file: str
    old: str
    new: str

    def put(self, folder: Path) -> Path:
        """A copy of the engine, links but for what differs. Returns its PYTHONPATH."""
        source, copy = ENGINE, folder / "portico"
        for part in Path(self.file).parts:
            copy.mkdir(parents=True)
            for one in source.iterdir():
                if one.name not in (part, "__pycache__"):
                    (copy / one.name).symlink_to(one)
            source, copy = source / part, copy / part
        text = source.read_text()
        assert text.count(self.old) == 1, f"{self.name}: {self.file} has changed"
        copy.write_text(text.replace(self.old, self.new))
        shutil.rmtree(copy.parent / "__pycache__", ignore_errors=True)
        return folder


_FENCE = """\
            where l.name = fence.name and l.epoch = fence.epoch
                and l.flushed = fence.number - 1;
"""

MUTANTS = (
    Mutant(
        "answered before the commit",
        "answers_while_frozen",
        "flow/arrivals/intake.py",
        "self.world.writer.accept("
        "Entry(self, policy, arrival, signal, routed, agents, envelope))",
        "entry = Entry(self, policy, arrival, signal, routed, agents, envelope)\n"
        "        entry._tell(entry._accepted(signal.id))\n"
        "        self.world.writer.accept(entry)",
    ),
    Mutant(
        "answered although the database failed",
        "database_killed",
        "flow/arrivals/entries.py",
        "self._tell(answer.CLOSE)",
        "self._tell(self._accepted(self.signal.id))",
    ),
    Mutant(
        "commits that are not waited for",
        "database_killed",
        "journal/statements.py",
        'SESSION = ("set enable_seqscan = off", ',
        'SESSION = ("set synchronous_commit = off", "set enable_seqscan = off", ',
    ),
    Mutant(
        "queue only in memory",
        "backlog_killed",
        "journal/statements.py",
        "select destination, seq, signal, number, lane, 0 from owed",
        "select destination, seq, signal, number, lane, 0 from owed where false",
    ),
    Mutant(
        "marked sent before sent",
        "down_and_up",
        "flow/deliveries/delivering.py",
        "self.adapter.deliver(lane.items[0], partial(self._answered, lane))",
        "head = lane.items[0]\n"
        '            self._answered(lane, Attempt(Answered.ANSWERED, "AA"))\n'
        "            self.adapter.deliver(head, lambda attempt: None)",
    ),
    Mutant(
        "marks that stay in memory",
        "quiet_kill",
        "journal/statements.py",
        "where q.destination = d.destination and q.seq = d.seq\n        ),\n        again as",
        "where false\n        ),\n        again as",
    ),
    Mutant(
        "control id of the answer ignored",
        "wrong_answers",
        "destinations/exchange.py",
        "if self.control_id is not None and answer.control_id != self.control_id:",
        "if False:",
    ),
    Mutant(
        "refusal taken for success",
        "rejected_once",
        "policy/retry.py",
        '"AE": 3',
        '"AE": "done"',
    ),
    Mutant(
        "last in, first out",
        "down_and_up",
        "flow/deliveries/lanes.py",
        "        lane.items.append(delivery)\n",
        "        lane.items.insert(1 if lane.busy else 0, delivery)\n",
    ),
    Mutant(
        "several of a lane at once",
        "silent_answers",
        "flow/deliveries/lanes.py",
        "self._admit_to(self._lane(delivery.lane), delivery)",
        'self._admit_to(self._lane(f"{delivery.lane} {delivery.seq % 4}"), delivery)',
    ),
    Mutant(
        "skipped after a failure",
        "closed_answers",
        "flow/deliveries/delivering.py",
        "        return verdict\n",
        "        unclear = attempt.answered is Answered.UNCLEAR\n"
        "        return retry.DELIVERED if unclear else verdict\n",
    ),
    Mutant(
        "retried at the end of its lane",
        "closed_answers",
        "flow/deliveries/lanes.py",
        "        lane.blocked, lane.timer = False, None\n",
        "        lane.blocked, lane.timer = False, None\n        lane.items.rotate(-1)\n",
    ),
    Mutant(
        "all sent again at start",
        "quiet_kill",
        "journal/statements.py",
        "            select seq, signal, number, lane, tries from queued\n"
        "            where destination = %s and seq > %s order by seq limit %s",
        "            select seq, signal, number, lane, 0 as tries from delivery\n"
        "            where destination = %s and seq > %s order by seq limit %s",
    ),
    Mutant(
        "recovery passes the head by",
        "backlog_killed",
        "flow/deliveries/refill.py",
        "                for delivery in page:\n                    lanes.admit(delivery)",
        "                for delivery in page[1:]:\n                    lanes.admit(delivery)",
    ),
    Mutant(
        "waiting messages are not taken up",
        "workers_frozen",
        "flow/sessions/dispatch.py",
        "        self._behind = True\n        self._missed = True\n        self._aside",
        "        self._behind = False\n        self._missed = True\n        self._aside",
    ),
    Mutant(
        "no fence",
        "given_up",
        "journal/migrations/versions/0001_pre_first_tables.py",
        _FENCE,
        "            where l.name = fence.name;\n",
    ),
    Mutant(
        "a flush overtakes the one that was refused",
        "refused_flushes",
        "journal/migrations/versions/0001_pre_first_tables.py",
        _FENCE,
        "            where l.name = fence.name and l.epoch = fence.epoch;\n",
    ),
    Mutant(
        "flushes in doubt are always sent again",
        "database_cut",
        "journal/writer.py",
        "while self._doubt and self._doubt[0].number <= opened.flushed:",
        "while self._doubt and self._doubt[0].number <= 0:",
    ),
    Mutant(
        "flushes in doubt are believed",
        "database_cut",
        "journal/writer.py",
        "while self._doubt and self._doubt[0].number <= opened.flushed:",
        "while self._doubt:",
    ),
    Mutant(
        "retried under another id",
        "closed_answers",
        "flow/deliveries/delivering.py",
        "replace(delivery, tries=tries, since=since)",
        "replace(\n                delivery, tries=tries, since=since,\n"
        '                content=delivery.content.replace(b"|P|2.5.1", b"X|P|2.5.1", 1),\n'
        "            )",
    ),
    Mutant(
        "repeats known by id alone",
        "same_again",
        "policy/repeats.py",
        "    if digest in accepted:\n",
        "    if accepted:\n",
    ),
    Mutant(
        "repeats run again",
        "same_again",
        "policy/repeats.py",
        "    if digest in accepted:\n",
        "    if not accepted:\n",
    ),
    Mutant(
        "merges are no barriers",
        "merged",
        "language/order.py",
        "return lane.joined(found) if len(found) > 1 else key",
        "return key",
    ),
    Mutant(
        "barriers are one lane of their own",
        "merged",
        "flow/deliveries/lanes.py",
        "        if names.several(delivery.lane):\n            for key",
        "        if not delivery.lane:\n            for key",
    ),
    Mutant(
        "a released message goes to the end",
        "released",
        "flow/deliveries/lanes.py",
        "lane.items.insert(max(at, 1) if lane.busy else at, delivery)",
        "lane.items.append(delivery)",
    ),
    Mutant(
        "a stop forgets what is on its way",
        "stopped",
        "journal/postgres.py",
        "stored = self._writer is None or await self._writer.drain(grace)",
        "stored = True",
    ),
)
