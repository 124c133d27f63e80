"""Order keys beside the first one: `order_by: {key: P, with: [P]}`, and merges by themselves.

A message that merges, moves or links patients names more than one; by PID-3 alone it would
overtake what is on its way for the others. Source: HL7 v2.5.1 chapter 3.3 (A17, A18, A24, A30,
A34 to A37, A39 to A51) and 3.4.9 (MRG); SITE reference, `order_by`.
"""

from dataclasses import dataclass

from msgspec import Struct
from msgspec.structs import replace

from portico.hl7.path import Path
from portico.hl7.reading import Reading
from portico.language.context import Context
from portico.language.place import Hl7Place, Place
from portico.model import lane

# Events with an MRG segment, and A17, A24, A37 with two PID segments.
MEETINGS = frozenset(
    f"ADT^A{number}" for number in (17, 18, 24, 30, *range(34, 38), *range(39, 52))
)


@dataclass(frozen=True, slots=True)
class Order:
    """An `order_by`. keys: words or places, the first valued one counts; beside: `with`."""

    keys: tuple[str | Place, ...]
    beside: tuple[Place, ...] = ()

    def plain(self) -> object:
        """As a site's file says it."""
        if not self.beside:
            return self.keys
        return {"key": self.keys, "with": self.beside}


class Beside(Struct, frozen=True):
    """Where the other order keys of a message stand.

    places: of any message. patient: the order key's own path in PID-3, None when it stands
    elsewhere; a message of MEETINGS belongs to every patient that it names in that shape.
    """

    places: tuple[Place, ...] = ()
    patient: Path | None = None


def beside(order: Order) -> Beside | None:
    """What must be looked at beside the key; None: nothing, ever."""
    paths = (key.path for key in order.keys if isinstance(key, Hl7Place))
    patient = next((path for path in paths if (path.segment, path.field) == ("PID", 3)), None)
    return Beside(order.beside, patient) if order.beside or patient else None


def widened(key: str, rules: Beside, kind: str, context: Context) -> str:
    """The order key with those beside it, as model.lane joins them. kind: `ADT^A40`.

    Raises MessageError when a place cannot be read.
    """
    found = [key]
    for place in rules.places:
        found += [text for text in place.texts(context) if isinstance(text, str)]
    if rules.patient is not None and kind in MEETINGS and isinstance(context.view, Reading):
        found += _patients(context.view, rules.patient)
    return lane.joined(found) if len(found) > 1 else key


def _patients(view: Reading, shape: Path) -> list[str]:
    """PID-3 of every PID in that shape, and the same part of each repetition of every MRG-1."""
    everyone = replace(shape, occurrence=None, every=True, where=None)
    paths = [everyone]
    for mrg in view.expand(Path("MRG", every=True, field=1)):
        whole = shape.component is None and shape.repetition_where is None
        parts = [mrg] if whole else view.repetitions(mrg)
        paths += [
            replace(part, component=shape.component, subcomponent=shape.subcomponent)
            for part in parts
        ]
    return [text for path in paths for text in view.texts(path) if isinstance(text, str)]
