"""How long a site keeps what it has journaled, in seconds."""

from portico.check.site import Site
from portico.journal.retention import RetentionTerms


def terms_of(site: Site) -> RetentionTerms:
    """How long days are kept. A day holds every channel's messages and what agents emitted, so
    the longest of the site's and its channels' counts; never shorter than repeats are known.
    """
    own = site.config.retention
    bodies, headers = own.bodies, own.headers
    for channel in site.channels.values():
        said = channel.retention.model_fields_set
        bodies = max(bodies, channel.retention.bodies if "bodies" in said else 0.0)
        headers = max(headers, channel.retention.headers if "headers" in said else 0.0)
        headers = max(headers, channel.duplicates.window)
    return RetentionTerms(bodies, max(bodies, headers))


def shorter(site: Site) -> dict[str, float]:
    """The channels whose bytes go before their day does, and how long they keep them."""
    longest = terms_of(site).bodies
    said = {
        name: channel.retention.bodies
        for name, channel in site.channels.items()
        if "bodies" in channel.retention.model_fields_set
    }
    return {name: kept for name, kept in said.items() if kept < longest}
