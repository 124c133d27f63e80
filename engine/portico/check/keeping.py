"""What `retention` cannot do: what is known of a day's messages is dropped whole, so the
longest wish of a site counts."""

from collections.abc import Iterator

from portico.check.draft import Draft
from portico.spec.finding import Finding, Severity


def short(draft: Draft) -> Iterator[Finding]:
    """Channels that ask for shorter `headers` than the site, which keeps them all the same."""
    own = draft.config.retention
    for name, channel in draft.channels.items():
        kept = channel.retention
        if "headers" not in kept.model_fields_set or kept.headers >= own.headers:
            continue
        yield draft.named["channel", name].finding(
            ("retention", "headers"),
            "site.retention",
            "days are dropped whole, so the site's longer time counts for this channel too",
            "set retention: {headers: ...} in config/portico.yaml, and longer ones here",
            Severity.WARNING,
        )
