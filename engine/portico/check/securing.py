"""`tls:` wherever it may stand: what it names, and whether that can work."""

from collections.abc import Iterator

from portico.check.draft import Draft
from portico.errors import SecretMissing, TlsInvalid
from portico.spec.document import Document, Location
from portico.spec.fields import Options, nearest
from portico.spec.finding import Finding
from portico.spec.tls import Tls
from portico.tls.certificates import Certificates


def misfits(draft: Draft) -> Iterator[Finding]:
    """Names that lead nowhere, and files that cannot be used."""
    certificates = Certificates(draft.root, draft.environ)
    for document, at, options, listens in _users(draft):
        said = options.tls  # type: ignore[attr-defined]
        if not isinstance(said, Tls):
            continue
        if said.reference:
            text, known = f"there is no tls {said.reference!r}", draft.config.tls
            hint = nearest(said.reference, known) or "name it in config/portico.yaml"
            yield document.finding(at, "site.unknown_tls", text, hint)
            continue
        try:
            certificates.server(said) if listens else certificates.client(said)
        except TlsInvalid as error:
            if not isinstance(error.__cause__, SecretMissing):  # which is told where it stands
                text, _, hint = str(error).partition("; ")
                yield document.finding(at, error.code, text, hint)


def _users(draft: Draft) -> Iterator[tuple[Document, Location, Options, bool]]:
    """Document, place, options and whether peers connect to it, of all that have a `tls`."""
    for document in draft.documents:
        if not document.noun:
            yield document, ("api", "tls"), draft.config.api, True
            yield document, ("audit", "tls"), draft.config.audit, False
    for name, channel in draft.channels.items():
        options = channel.source.options
        if hasattr(options, "tls"):
            listens = getattr(options, "listen", None) is not None
            yield draft.named["channel", name], ("source", "tls"), options, listens
    for name, destination in draft.destinations.items():
        options = destination.options
        if hasattr(options, "tls"):
            listens = getattr(options, "listen", None) is not None
            yield draft.named["destination", name], ("tls",), options, listens
