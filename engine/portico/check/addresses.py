"""Where channels listen: addresses that meet, paths that meet, doors that stand open."""

from collections.abc import Iterator
from typing import Any

from portico.check.draft import Draft
from portico.spec.fields import HostPort
from portico.spec.finding import Finding

_ANY = ("0.0.0.0", "::", "*")  # noqa: S104 -- compared with, never listened on


def misfits(draft: Draft) -> Iterator[Finding]:
    """Two listeners of one address, of which only the first to start would open it; channels
    that anybody on the network could send to.

    Sources with paths (`apart`) share an address when their paths differ and `tls` does not.
    """
    taken: list[tuple[HostPort, str, Any]] = [
        (draft.config.api.listen, "the API", None),
        (draft.config.metrics.listen, "the metrics", None),
    ]
    for name, channel in draft.channels.items():
        options = channel.source.options
        listen = getattr(options, "listen", None)
        if not isinstance(listen, HostPort):
            continue
        document = draft.named["channel", name]
        for other, owner, others in taken if listen.port else ():
            if _meet(listen, other) and (said := _clash(listen, owner, options, other, others)):
                at, text, hint = said
                yield document.finding(("source", at), "site.same_address", text, hint)
        taken.append((listen, f"channel {name!r}", options))
        if getattr(options, "exposed", False):
            text = f"anybody who reaches {listen} could send here"
            hint = "set auth, or tls with clients: required; none is for loopback"
            yield document.finding(("source", "listen"), "site.open_door", text, hint)


def _clash(
    listen: HostPort, owner: str, options: Any, other: HostPort, others: Any
) -> tuple[str, str, str] | None:
    """The key that is in the way, what is wrong and what would be right; None: they share."""
    path, theirs = getattr(options, "apart", None), getattr(others, "apart", None)
    if path is None or theirs is None or listen != other:
        return "listen", f"{listen} is taken by {owner}", "choose another port"
    if path == theirs:
        return "path", f"{listen}{path} is taken by {owner}", "choose another path"
    if (options.tls and options.tls.bare) != (others.tls and others.tls.bare):
        text = f"{owner} has another tls at {listen}"
        return "listen", text, "one address has one tls"
    return None


def _meet(one: HostPort, other: HostPort) -> bool:
    same_host = one.host == other.host or one.host in _ANY or other.host in _ANY
    return one.port == other.port and same_host
