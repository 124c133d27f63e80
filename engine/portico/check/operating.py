"""What `alarms`, `expect` and quotas name must be there."""

from collections.abc import Iterator

from portico.check.draft import Draft
from portico.spec.alarming import loopback
from portico.spec.fields import nearest
from portico.spec.finding import Finding, Severity
from portico.spec.site import API


def findings(draft: Draft) -> Iterator[Finding]:
    """Hours and sinks of alarms that the configuration does not define; quotas of nobody."""
    config = draft.config
    owners = {agent.owner for agent in draft.agents.values()}
    for owner in sorted(config.workers.quotas.keys() - owners):
        text, hint = f"no agent has the owner {owner!r}", nearest(owner, owners)
        document = next(each for each in draft.documents if not each.noun)
        spot = ("workers", "quotas", owner)
        yield document.finding(spot, "site.unknown_owner", text, hint)
    api = config.api
    if api.open and api.tls is None and not loopback(api.listen):
        yield _open_api(draft)
    to = config.audit.to
    if to is not None and to.way == "udp" and not loopback(to.where):
        text = f"audit messages to {to} are in the clear, and lost when the network loses them"
        document = next(each for each in draft.documents if not each.noun)
        hint = "tls:// where the repository takes it"
        yield document.finding(("audit", "to"), "site.audit", text, hint, Severity.WARNING)
    for noun, specs in (("channel", draft.channels), ("destination", draft.destinations)):
        for name, spec in specs.items():
            document = draft.named[noun, name]
            during = spec.expect.during if spec.expect else ""
            if during and during not in config.hours:
                text, hint = f"there are no hours {during!r}", nearest(during, config.hours)
                hint = hint or "define them in config/portico.yaml"
                yield document.finding(("expect", "during"), "site.unknown_hours", text, hint)
            for sink in sorted({*(spec.alarms.to or ())} - config.alarms.to.keys()):
                text, hint = f"there is no sink {sink!r}", nearest(sink, config.alarms.to)
                hint = hint or "define it in config/portico.yaml"
                yield document.finding(("alarms", "to"), "site.unknown_sink", text, hint)


def _open_api(draft: Draft) -> Finding:
    """/v1 in the clear for everybody who reaches that address."""
    text = f"the API at {draft.config.api.listen} would be in the clear"
    hint = "set api.tls, or listen on 127.0.0.1"
    if draft.environ.get(API):
        return Finding(API, 0, "", text, hint, "site.open_door")
    document = next(each for each in draft.documents if not each.noun)
    return document.finding(("api", "listen"), "site.open_door", text, hint)
