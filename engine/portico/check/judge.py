"""Compares what came of a case with what it expects."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from portico.check import differences
from portico.check.case import Case, Golden
from portico.check.stage import Happened, Stage


class Judge:
    """Compares what happened with what a case expects."""

    def __init__(self, stage: Stage, case: Case, update: bool) -> None:
        self.differences: list[str] = []
        self.updated: list[str] = []
        self._tables = stage.tables
        self._site = stage.site
        self._case, self._update = case, update
        self._read_by = stage.site.form(case.origin), stage.site.charset(case.origin)

    def all(self, happened: Sequence[Happened]) -> None:
        """Every expectation. Raises MessageError for what cannot be read."""
        expect = self._case.expect
        for one in happened:
            self._verdict(one)
            if "ack" in expect.model_fields_set:
                self._ack(one)
        outputs = [made for one in happened for made in one.outputs]
        emissions = [made for one in happened for made in one.emissions]
        if expect.deliveries is not None:
            self._made(
                "delivery to",
                expect.deliveries,
                [(o.destination, o.file, c) for o, c in outputs],
            )
        if expect.emits is not None:
            self._made("emitted", expect.emits, [(e.signal, "", c) for e, c in emissions])

    def _verdict(self, happened: Happened) -> None:
        kind, step = self._case.expect.verdict
        if not kind:
            return
        by = f" by {', '.join(happened.steps)}" if happened.steps else ""
        why = f": {happened.why}" if happened.why else ""
        if kind != happened.kind or (step and step not in happened.steps):
            wanted = f"{kind} by {step}" if step else kind
            self.differences.append(f"verdict: wanted {wanted}, found {happened.kind}{by}{why}")

    def _ack(self, happened: Happened) -> None:
        wanted = self._case.expect.ack
        last = happened.answers[-1] if happened.answers else None
        if wanted is None or last is None:
            if (wanted is None) is not (last is None):
                found = "none" if last is None else "an answer"
                self.differences.append(
                    f"ack: wanted {'none' if wanted is None else 'one'}, found {found}"
                )
            return
        lines = differences.of_condition(wanted, last, {}, self._tables, *self._read_by)
        self.differences += [f"ack {line}" for line in lines]

    def _made(
        self,
        title: str,
        wanted: Mapping[str, Sequence[Any]],
        made: Sequence[tuple[str, str, bytes]],
    ) -> None:
        """Contents by receiver, in order; a receiver that is not named gets none."""
        counts = Counter(name for name, _, _ in made)
        for name in sorted(wanted.keys() | counts.keys()):
            asked = wanted.get(name, ())
            if len(asked) != counts[name]:
                self.differences.append(
                    f"{title} {name}: wanted {len(asked)}, found {counts[name]}"
                )
            mine = [(file, content) for each, file, content in made if each == name]
            for number, (one, (file, content)) in enumerate(zip(asked, mine, strict=False), 1):
                which = f"{title} {name}" + (f" [{number}]" if len(asked) > 1 else "")
                lines = self._compared(one, file, content)
                self.differences += [f"{which} {line}" for line in lines]

    def _compared(self, wanted: Any, file: str, content: bytes) -> list[str]:
        if not isinstance(wanted, Golden):
            return differences.of_condition(
                wanted, content, {"file": file}, self._tables, *self._read_by
            )
        path = self._site.root / wanted.golden
        before = path.read_bytes() if path.is_file() else None
        if self._update:
            if before != content and (
                before is None or differences.of_golden(before, content, wanted.ignore)
            ):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                self.updated.append(wanted.golden)
            return []
        if before is None:
            return [f"{wanted.golden} is not there; --update writes it"]
        return differences.of_golden(before, content, wanted.ignore)
