"""A request of ours, and what its answer says."""

from collections.abc import Mapping
from dataclasses import dataclass

from lxml import etree

from portico.errors import HttpBroken
from portico.soap import envelope, xml
from portico.soap.envelope import NEW, OLD, WSA, WSSE, SoapFault
from portico.soap.service import Operation, Service, rendered
from portico.soap.xml import Element, written


@dataclass(frozen=True, slots=True)
class Said:
    """An answer. fault: the code of a fault, its typed detail's name before SOAP's own; text:
    of the result.
    """

    fault: str = ""
    text: str = ""


def request(
    service: Service,
    operation: Operation,
    values: Mapping[str, str],
    address: str,
    message_id: str,
    token: tuple[str, str] | None,
    whole: Element | None = None,
) -> bytes:
    """The envelope. message_id: for WS-Addressing, the same at each try; token: user and
    password of a UsernameToken; whole: the operation's element, in place of the values.
    """
    version = operation.version
    root = etree.Element(f"{{{version}}}Envelope", nsmap={"soap": version})
    header = etree.SubElement(root, f"{{{version}}}Header")
    if service.addressed:
        said = (("Action", operation.action), ("To", address), ("MessageID", message_id))
        for name, text in said:
            etree.SubElement(header, f"{{{WSA}}}{name}", nsmap={"wsa": WSA}).text = text
    if token is not None:
        header.append(_token(*token))
    if not len(header):
        root.remove(header)
    body = etree.SubElement(root, f"{{{version}}}Body")
    body.append(rendered(operation.asks, values) if whole is None else whole)
    return written(root)


def _token(user: str, password: str) -> Element:
    """WS-Security's UsernameToken with the password as text, which TLS keeps."""
    outer = etree.Element(envelope.SECURITY, nsmap={"wsse": WSSE})
    inner = etree.SubElement(outer, f"{{{WSSE}}}UsernameToken")
    etree.SubElement(inner, f"{{{WSSE}}}Username").text = xml.sendable(user)
    secret = etree.SubElement(inner, f"{{{WSSE}}}Password")
    secret.set("Type", f"{envelope.USERNAMES}#PasswordText")
    secret.text = xml.sendable(password)
    return outer


def fields(operation: Operation) -> dict[str, str]:
    """The header fields that say what kind of request it is."""
    media = envelope.media(operation.version)
    if operation.version == OLD:
        return {"Content-Type": media, "SOAPAction": f'"{operation.action}"'}
    return {"Content-Type": f'{media}; action="{operation.action}"'}


def read(content: bytes, content_type: str, result: str) -> Said | None:
    """What an answer says; None when it is no SOAP. result: the element that holds the text."""
    try:
        whole = envelope.read(content, envelope.version_of(content_type) or NEW)
    except (HttpBroken, SoapFault):
        return None
    body = whole.body
    if body.tag == f"{{{whole.version}}}Fault":
        return Said(fault=_code(body, whole.version))
    found = next((one for one in body if etree.QName(one).localname == result), None)
    text = "" if found is None else found.text or ""
    if "\r" not in text:  # XML has made line feeds of the returns of HL7 (W6)
        text = text.replace("\n", "\r")
    return Said(text=text)


def _code(fault: Element, version: str) -> str:
    new = version == NEW
    detail = fault.find(f"{{{NEW}}}Detail" if new else "detail")
    typed = "" if detail is None or not len(detail) else etree.QName(detail[0]).localname
    if typed.endswith("Fault"):
        return typed[:40]
    path = f"{{{NEW}}}Code/{{{NEW}}}Value" if new else "faultcode"
    said = (fault.findtext(path) or "").strip().rpartition(":")[2]
    return said.partition(".")[0][:40] or "Receiver"
