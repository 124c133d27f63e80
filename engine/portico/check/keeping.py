"""What `retention` cannot do: days are dropped whole, so the longest wish of a site counts."""

from collections.abc import Iterator

from portico.check.draft import Draft
from portico.spec.finding import Finding, Severity


def short(draft: Draft) -> Iterator[Finding]:
    """Channels that ask for less than the site, which keeps their days all the same."""
    own = draft.config.retention
    for name, channel in draft.channels.items():
        for key in sorted(channel.retention.model_fields_set):
            if getattr(channel.retention, key) >= getattr(own, key):
                continue
            yield draft.named["channel", name].finding(
                ("retention", key),
                "site.retention",
                "days are dropped whole, so the site's longer time counts for this channel too",
                f"set retention: {{{key}: ...}} in config/portico.yaml, and longer ones here",
                Severity.WARNING,
            )
