"""Envelopes and faults of SOAP 1.1 and 1.2, and what of WS-Addressing an answer needs.

Source: W3C SOAP 1.1 (sections 4, 6), SOAP 1.2 parts 1 (5, 6) and 2 (7, the HTTP binding);
WS-Addressing 1.0 Core (3.4, replies). PROTOCOLS W1 to W4, W7.
"""

from dataclasses import dataclass

from lxml import etree

from portico.soap import xml
from portico.soap.xml import Element

OLD = "http://schemas.xmlsoap.org/soap/envelope/"
NEW = "http://www.w3.org/2003/05/soap-envelope"
WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
USERNAMES = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0"
WSA = "http://www.w3.org/2005/08/addressing"
SECURITY = f"{{{WSSE}}}Security"
_ANONYMOUS = (f"{WSA}/anonymous", f"{WSA}/none")
_MEDIA = {OLD: "text/xml; charset=utf-8", NEW: "application/soap+xml; charset=utf-8"}
_OURS = {
    OLD: ("", "http://schemas.xmlsoap.org/soap/actor/next"),
    NEW: (
        "",
        f"{NEW}/role/next",
        f"{NEW}/role/ultimateReceiver",
    ),
}
# The two sides of a fault by version; the sender must change something, or we failed.
_CODES = {
    OLD: {"sender": "Client", "receiver": "Server"},
    NEW: {"sender": "Sender", "receiver": "Receiver"},
}


@dataclass(frozen=True, slots=True)
class SoapEnvelope:
    """What came: version (its namespace), the one element of the body, headers by tag."""

    version: str
    body: Element
    headers: tuple[Element, ...] = ()

    def header(self, tag: str) -> Element | None:
        """The first header of that tag."""
        return next((one for one in self.headers if one.tag == tag), None)


class SoapFault(Exception):
    """A SOAP fault. side: `sender`, `receiver`, or the standard's own `VersionMismatch` and
    `MustUnderstand`. detail: typed elements of the WSDL. stranger: who sent the request has
    not shown who it is.
    """

    stranger = False

    def __init__(self, side: str, text: str, detail: tuple[Element, ...] = ()) -> None:
        super().__init__(text)
        self.side, self.text, self.detail = side, text, detail

    def status(self, version: str) -> int:
        """Of its HTTP response (W3)."""
        return 400 if version == NEW and self.side == "sender" else 500


def media(version: str) -> str:
    """The media type of an answer in that version."""
    return _MEDIA[version]


def version_of(content_type: str) -> str | None:
    """The version that a Content-Type announces; None for neither."""
    kind = content_type.partition(";")[0].strip().lower()
    return {"text/xml": OLD, "application/soap+xml": NEW}.get(kind)


def read(content: bytes, version: str, most: int | None = None) -> SoapEnvelope:
    """The envelope. version: as its Content-Type says; most: of elements and attributes. Raises
    SoapFault and HttpBroken.
    """
    root = xml.parse(content, most)
    name = etree.QName(root)
    if name.localname != "Envelope" or name.namespace not in (OLD, NEW):
        raise SoapFault("VersionMismatch", "SOAP 1.1 and 1.2 are spoken here")
    if name.namespace != version:
        raise SoapFault(
            "VersionMismatch", "the envelope is of another version than Content-Type"
        )
    header = root.find(f"{{{version}}}Header")
    body = root.find(f"{{{version}}}Body")
    if body is None or len(body) != 1:
        raise SoapFault("sender", "the body does not hold one element")
    return SoapEnvelope(version, body[0], tuple(header) if header is not None else ())


def must_understand(envelope: SoapEnvelope, known: frozenset[str]) -> None:
    """Raises SoapFault for a header that is meant for us, insisted on, and not known (W2)."""
    version = envelope.version
    for one in envelope.headers:
        role = one.get(f"{{{version}}}{'actor' if version == OLD else 'role'}", "")
        insisted = one.get(f"{{{version}}}mustUnderstand", "0") in ("1", "true")
        if insisted and role in _OURS[version] and one.tag not in known:
            if etree.QName(one).namespace != WSA:
                raise SoapFault("MustUnderstand", "a header that must be understood is not")
    address = envelope.header(f"{{{WSA}}}ReplyTo")
    if address is not None:
        told = address.findtext(f"{{{WSA}}}Address", "").strip()
        if told not in _ANONYMOUS:
            raise SoapFault("sender", "answers go back on the connection and nowhere else")


def answer(
    asked: SoapEnvelope | None, version: str, action: str = ""
) -> tuple[Element, Element]:
    """An empty envelope and its body. asked: what it answers, for WS-Addressing."""
    root = etree.Element(f"{{{version}}}Envelope", nsmap={"soap": version})
    message = asked.header(f"{{{WSA}}}MessageID") if asked is not None else None
    if message is not None and message.text:
        header = etree.SubElement(root, f"{{{version}}}Header", nsmap={"wsa": WSA})
        if action:
            etree.SubElement(header, f"{{{WSA}}}Action").text = action
        etree.SubElement(header, f"{{{WSA}}}RelatesTo").text = message.text
    return root, etree.SubElement(root, f"{{{version}}}Body")


def faulty(fault: SoapFault, version: str, asked: SoapEnvelope | None = None) -> bytes:
    """The envelope of a fault."""
    root, body = answer(asked, version, f"{WSA}/fault")
    said = xml.sendable(fault.text)
    made = etree.SubElement(body, f"{{{version}}}Fault")
    code = f"soap:{_CODES[version].get(fault.side, fault.side)}"
    if version == OLD:
        etree.SubElement(made, "faultcode").text = code
        etree.SubElement(made, "faultstring").text = said
        tag = "detail"
    else:
        outer = etree.SubElement(made, f"{{{version}}}Code")
        etree.SubElement(outer, f"{{{version}}}Value").text = code
        reason = etree.SubElement(made, f"{{{version}}}Reason")
        text = etree.SubElement(reason, f"{{{version}}}Text")
        text.set("{http://www.w3.org/XML/1998/namespace}lang", "en")
        text.text = said
        tag = f"{{{version}}}Detail"
    if fault.detail:
        etree.SubElement(made, tag).extend(fault.detail)
    return xml.written(root)
