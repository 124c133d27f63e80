"""`was: old_name`: the journal follows a noun's new name when the engine starts.

Work that is in memory bears the old name, and its order and its repeats hang on it. So a
reload of a site that renames something drains the engine and starts it again, in one process.
"""

from collections.abc import Iterator, Mapping
from functools import partial

from portico.check.site import Site
from portico.events.site import NounRenamed
from portico.server.outboxes import patiently
from portico.server.parts import House
from portico.spec.agent import Agent
from portico.spec.channel import Channel
from portico.spec.destination import Destination

RESTART = "rename_restart"
Known = frozenset[tuple[str, str, str]]  # (scope, old, new) of what the journal has followed


async def follow(house: House, site: Site) -> Known:
    """Rename what the site renames, as often as the site says so; tell what is new."""
    known: set[tuple[str, str, str]] = set()
    desk = house.journal.desk
    for scope, nouns in nouns_of(site).items():
        renamed = partial(desk.renamed, scope, tuple(nouns))
        had = {(one.old, one.new) for one in await patiently(renamed)}
        for name, noun in nouns.items():
            if noun.was is None:
                continue
            moved = await patiently(partial(desk.rename, scope, noun.was, name))
            known.add((scope, noun.was, name))
            if moved or (noun.was, name) not in had:
                house.base.emit(NounRenamed(scope, name, noun.was))
        house.names.follow(await patiently(renamed))
    return frozenset(known)


def pending(site: Site, known: Known) -> Iterator[str]:
    """What this site renames and the journal has not followed, in words."""
    for scope, nouns in nouns_of(site).items():
        for name, noun in nouns.items():
            if noun.was is not None and (scope, noun.was, name) not in known:
                yield (
                    f"{scope} {name!r} was {noun.was!r}: the engine follows a new name when it "
                    f"starts, so it restarts itself now; its sources are closed meanwhile  "
                    f"[{RESTART}]"
                )


def nouns_of(site: Site) -> dict[str, Mapping[str, Channel | Agent | Destination]]:
    """By scope, by name."""
    return {
        "channel": site.channels,
        "agent": site.agents,
        "destination": site.destinations,
    }
