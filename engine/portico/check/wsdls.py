"""`wsdl:` of sources and destinations: files that are there and can be served or asked."""

import importlib
from collections.abc import Iterator
from typing import Any

from portico.check.draft import Draft
from portico.errors import WsdlInvalid
from portico.spec.document import Location
from portico.spec.finding import Finding


def misfits(draft: Draft) -> Iterator[Finding]:
    """WSDLs that cannot be used, and operations that they do not have."""
    for noun, name, at, options in _users(draft):
        service: Any = importlib.import_module("portico.soap.service")  # zeep loads with it
        try:
            path = service.wsdl_of(options.profile, options.wsdl, draft.root)
            service.load(path).operation(getattr(options, "operation", ""))
        except WsdlInvalid as error:
            text, _, hint = str(error).partition("; ")
            yield draft.named[noun, name].finding(at, error.code, text, hint)


def _users(draft: Draft) -> Iterator[tuple[str, str, Location, Any]]:
    """Noun, name, place and options of all that have a `wsdl` or name an operation."""
    found: list[tuple[str, str, tuple[str, ...], Any]] = [
        ("channel", name, ("source",), channel.source.options)
        for name, channel in draft.channels.items()
    ]
    found += [
        ("destination", name, (), destination.options)
        for name, destination in draft.destinations.items()
    ]
    for noun, name, at, options in found:
        if getattr(options, "operation", ""):
            yield noun, name, (*at, "operation"), options
        elif getattr(options, "wsdl", None):
            yield noun, name, (*at, "wsdl"), options
