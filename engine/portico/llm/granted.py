"""What an `llm` step may use, frozen when its site came into force."""

from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Struct

from portico.spec.models import Phi


class Granted(Struct, frozen=True):
    """One tool. name: as the model sees it; call: `hl7.read`, or `plugin.tool`. approve: of
    spec.capability. phi: what it may give. idempotent: making it twice does no harm."""

    name: str
    call: str
    summary: str
    schema: dict[str, Any]
    approve: str = "always"
    phi: Phi = "none"
    idempotent: bool = True
    builtin: bool = True


class Frozen(Struct, frozen=True):
    """All of one step. before, after: texts around its prompt. tables, files: contents by name.
    rounds: exchanges of one turn; parallel: tools at once."""

    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    tools: tuple[Granted, ...] = ()
    tables: dict[str, str] = {}
    files: dict[str, str] = {}
    rounds: int = 8
    parallel: int = 4

    def plain(self) -> dict[str, Any]:
        """What the worker needs of it; the digest makes it part of the agent's version."""
        whole = msgspec.json.encode(self, order="sorted")
        return {
            "before": list(self.before),
            "after": list(self.after),
            "tools": [one.name for one in self.tools],
            "digest": sha256(whole).hexdigest(),
        }
