"""What `alarms` and `expect` name must be there."""

from collections.abc import Iterator

from portico.check.draft import Draft
from portico.spec.fields import nearest
from portico.spec.finding import Finding


def findings(draft: Draft) -> Iterator[Finding]:
    """Hours and sinks of alarms that the configuration does not define."""
    config = draft.config
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
