"""A WSDL as what a channel or a destination needs of it: operations, checks, renderings.

zeep reads the WSDL and renders elements, lxml validates against its schemas. Everything comes
from files below the WSDL's folder; nothing is fetched. Document/literal style only, which is
all that WS-I Basic Profile 1.1 and the CDC's interfaces use.
"""

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import requests
from lxml import etree
from zeep.exceptions import Error as ZeepError
from zeep.settings import Settings
from zeep.transports import Transport
from zeep.wsdl import Document
from zeep.wsdl.bindings.soap import Soap12Binding
from zeep.xsd import String

from portico.errors import HttpBroken, WsdlInvalid
from portico.soap import schemas
from portico.soap.envelope import NEW, OLD
from portico.soap.xml import Element, parse, sendable

_BINDINGS = (
    "http://schemas.xmlsoap.org/wsdl/soap/",
    "http://schemas.xmlsoap.org/wsdl/soap12/",
)
# What leads to another file, and the attribute that says where.
_LEADS = {
    f"{{{schemas.XSD}}}import": "schemaLocation",
    f"{{{schemas.XSD}}}include": "schemaLocation",
    f"{{{schemas.WSDL}}}import": "location",
}
# WS-Addressing 1.0 Metadata, section 3: what says that requests bear its headers.
_ADDRESSED = (
    "{http://www.w3.org/2007/05/addressing/metadata}Addressing",
    "{http://www.w3.org/2006/05/addressing/wsdl}UsingAddressing",
)


@dataclass(frozen=True, slots=True)
class Profile:
    """How a well-known WSDL is used. submit, echo: operations; content: the argument that is
    the message; answer, echoed: what their answers hold; user, password, facility: arguments;
    security, too_large, unsupported, general: fault elements, empty where there is none.
    """

    file: str
    submit: str
    content: str
    answer: str
    user: str
    password: str
    facility: str
    echo: str
    echo_back: str
    echoed: str
    general: str = ""
    security: str = "SecurityFault"
    too_large: str = "MessageTooLargeFault"
    unsupported: str = "UnsupportedOperationFault"


PROFILES: dict[str, Profile] = {
    "cdc-iis": Profile(
        "cdc-iis-2011.wsdl",
        "submitSingleMessage",
        "hl7Message",
        "return",
        "username",
        "password",
        "facilityID",
        "connectivityTest",
        "echoBack",
        "return",
        "fault",
    ),
    "cdc-iis-2014": Profile(
        "cdc-iis-2014.wsdl",
        "SubmitSingleMessage",
        "Hl7Message",
        "Hl7Message",
        "Username",
        "Password",
        "FacilityID",
        "ConnectivityTest",
        "EchoBack",
        "EchoBack",
    ),
}


def wsdl_of(profile: str | None, wsdl: str | None, root: Path) -> Path:
    """The file of a profile or of a site's own WSDL."""
    if profile is not None:
        return Path(str(files("portico.soap") / "wsdl" / PROFILES[profile].file))
    return root / str(wsdl)


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. asks, answers: zeep's elements, None where there is no answer; action:
    its SOAPAction.
    """

    name: str
    action: str
    asks: Any
    answers: Any
    answer_action: str
    version: str

    def arguments(self) -> tuple[str, ...]:
        """Names of the elements that a request holds."""
        return tuple(name for name, _ in getattr(self.asks.type, "elements", ()))

    def results(self) -> tuple[str, ...]:
        """Names of the elements that an answer holds."""
        return tuple(name for name, _ in _held(self.answers))

    def result(self) -> str:
        """The name of the answer's first text, or of its first element; empty for neither."""
        held = _held(self.answers)
        texts = [one for one in held if isinstance(getattr(one[1], "type", None), String)]
        return next((str(name) for name, _ in texts or held), "")


class _Local(Transport):
    """Loads files below one folder and nothing else."""

    def __init__(self, folder: Path) -> None:
        super().__init__(session=requests.Session())  # type: ignore[no-untyped-call]
        self._folder = folder.resolve()
        self.read: dict[str, bytes] = {}

    def load(self, url: str) -> bytes:
        """The content of a file. Raises WsdlInvalid."""
        parts = urlsplit(url)
        if parts.scheme not in ("", "file"):
            raise WsdlInvalid("the WSDL imports from the network; keep a copy beside it")
        path = Path(unquote(parts.path)).resolve()
        if not path.is_relative_to(self._folder):
            raise WsdlInvalid("the WSDL imports from outside its folder")
        try:
            content = path.read_bytes()
        except OSError as error:
            raise WsdlInvalid(f"{path.name}: {error.strerror}") from None
        self.read[path.relative_to(self._folder).as_posix()] = content
        return content


class Service:
    """One WSDL. operations: by the tag of a request's body; by_name: by their names; addressed:
    requests bear WS-Addressing headers.
    """

    def __init__(self, path: Path) -> None:
        """Raises WsdlInvalid."""
        local: Any = _Local(path.parent)
        try:
            self._document = Document(str(path), local, settings=Settings(forbid_dtd=True))
            self.operations = {str(one.asks.qname): one for one in self._operations()}
            self._schema = schemas.whole(path.parent, local.read)
            self._name, self._files = next(iter(local.read)), local.read
            root = schemas.tree(self._name, self._files[self._name])
            self._namespace = root.get("targetNamespace", "")
            self.addressed = next(root.iter(*_ADDRESSED), None) is not None
        except (ZeepError, etree.LxmlError, ValueError, OSError, KeyError) as error:
            raise WsdlInvalid(f"{path.name} cannot be used: {type(error).__name__}") from error
        if not self.operations:
            raise WsdlInvalid(f"{path.name} has no SOAP operation in document/literal style")
        self.by_name: Mapping[str, Operation] = {
            one.name: one for one in self.operations.values()
        }

    def _operations(self) -> list[Operation]:
        """Every one once; the first port that has it says how it is called."""
        found: dict[str, Operation] = {}
        for service in self._document.services.values():
            for port in service.ports.values():
                version = NEW if isinstance(port.binding, Soap12Binding) else OLD
                for name, one in getattr(port.binding, "_operations", {}).items():
                    if getattr(one, "style", "") == "document" and one.input.body is not None:
                        found.setdefault(name, _operation(name, one, version))
        return list(found.values())

    def operation(self, name: str) -> Operation | None:
        """The operation of that name, None for no name. Raises WsdlInvalid."""
        if name and name not in self.by_name:
            raise WsdlInvalid(f"no operation {name!r}; known: {', '.join(self.by_name)}")
        return self.by_name.get(name)

    def misfit(self, element: Element) -> str | None:
        """Where an element breaks the schema, without its values; None when it fits."""
        alone = etree.ElementTree(element)
        if self._schema.validate(alone):
            return None
        last = self._schema.error_log[0]
        return f"line {last.line}: {last.type_name.removeprefix('SCHEMAV_').lower()}"

    def element(self, name: str, **values: Any) -> Element | None:
        """A global element of the WSDL's own namespace, rendered; None when there is none."""
        qname = f"{{{self._namespace}}}{name}"
        try:
            kind = self._document.types.get_element(qname)
        except (LookupError, ZeepError):
            return None
        known = {key for key, _ in getattr(kind.type, "elements", ())}
        return rendered(kind, {k: v for k, v in values.items() if k in known})

    def text(self, address: str) -> bytes:
        """The WSDL for `?wsdl`: its address ours, its imports found at `?xsd=`."""
        return self._told(self._name, address)

    def schema(self, name: str, address: str) -> bytes | None:
        """What the WSDL imports, for `?xsd=`; None for any other name."""
        known = name in self._files and name != self._name
        return self._told(name, address) if known else None

    def _told(self, name: str, address: str) -> bytes:
        root = schemas.tree(name, self._files[name])
        for binding in _BINDINGS:
            for one in root.iter(f"{{{binding}}}address"):
                one.set("location", address)
        for tag, key in _LEADS.items():
            for one in root.iter(tag):
                if where := one.get(key):
                    found = posixpath.join(posixpath.dirname(name), unquote(where))
                    one.set(key, f"{address}?xsd={quote(posixpath.normpath(found))}")
        text: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8")
        return text


def _operation(name: str, one: Any, version: str) -> Operation:
    answers = one.output.body if one.output is not None else None
    said = getattr(one.abstract.output_message, "wsa_action", None)
    return Operation(name, one.soapaction or "", one.input.body, answers, said or "", version)


def rendered(kind: Any, values: Mapping[str, Any]) -> Element:
    """An element of zeep's with these values below it. Raises TypeError and ValueError where
    they do not fit.
    """
    holder = etree.Element("holder")
    clean = {k: sendable(v) if isinstance(v, str) else v for k, v in values.items()}
    try:
        kind.render(holder, kind(**clean))
    except ZeepError as error:
        raise ValueError("the values do not fit the WSDL") from error
    element = holder[0]
    holder.remove(element)
    etree.cleanup_namespaces(element)
    return element


def filled(kind: Any, name: str, text: str) -> Element:
    """An element of zeep's with this text in its element of that name, or as all that it
    holds. What else it must hold is left out: who sent a message is told of it all the same.
    """
    try:
        return rendered(kind, {name: text} if name else {})
    except (TypeError, ValueError, AttributeError):
        top = inner = etree.Element(str(kind.qname))
        held = dict(_held(kind)).get(name)
        if (tag := getattr(held, "qname", None)) is not None:
            inner = etree.SubElement(top, str(tag))
        inner.text = sendable(text)
        return top


def _held(kind: Any) -> list[tuple[str, Any]]:
    """The elements in an element of zeep's, by name; none for an answer that is not there."""
    return list(getattr(getattr(kind, "type", None), "elements", ()))


def own(kind: Any, text: str) -> Element | None:
    """The text as this element of the WSDL's, where it is one; None for any other text."""
    if not text.lstrip().startswith("<"):
        return None
    try:
        root = parse(text.encode())
    except HttpBroken:
        return None
    return root if root.tag == str(kind.qname) else None


@lru_cache(maxsize=16)
def _loaded(path: Path, changed: int) -> Service:
    return Service(path)


def load(path: Path) -> Service:
    """The Service of a WSDL, read again when the file has changed. Raises WsdlInvalid."""
    try:
        changed = path.stat().st_mtime_ns
    except OSError as error:
        raise WsdlInvalid(f"{path}: {error.strerror}") from None
    return _loaded(path, changed)
